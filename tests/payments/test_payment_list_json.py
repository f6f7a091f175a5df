"""The JSON that PostgreSQL renders for lists equals that of ``payments.resources.payment``."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, date, datetime

import pytest

from core.mx import clabe
from payments.models import Deposit, Payment
from payments.resources.payment import payment as payment_resource
from payments.services import payment_list
from payments.services.payment_list import Filters

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("never_committed")]

MOMENT = datetime(2026, 11, 23, 18, 4, 5, 6, UTC)
AWKWARD = 'Ñandú "x" \\ / \u2028 \u00a0 \t \b😀 </script> \x7f'
NOBODY = {"customer_name": "", "customer_email": "", "customer_phone": ""}
SITUATIONS = {
    "fresh": {},
    "completed": {
        "status": "completed",
        "amount_received": 100_000,
        "amount_refunded": 5,
        "fee": 1_000,
        "fee_tax": 160,
        "completed_at": MOMENT,
        "tracking_key": "MBAN0100ABC",
        "payer_name": AWKWARD,
        "payer_account": "012180015025335996",
        "payer_institution": "40012",
        "operating_date": date(2026, 11, 24),
    },
    "payer of a card": {"payer_account": "4152313412341234", "payer_institution": "99999"},
    "payer of a phone": {"payer_account": "5512345678", "payer_name": ""},
    "payer's name only": {"payer_name": "ANA", "payer_institution": "2001"},
    "short account": {"payer_account": "1234567"},
    "customer": {"customer_name": AWKWARD, "customer_email": "a@b.mx", "customer_phone": "+52 55"},
    "customer's name only": NOBODY | {"customer_name": "Ana"},
    "customer's phone only": NOBODY | {"customer_phone": "1"},
    "texts": {"description": AWKWARD, "external_id": AWKWARD},
    "metadata": {"metadata": {AWKWARD[:40]: AWKWARD, "b": "", "a": "1"}},
    "failed": {"status": "failed", "failure_code": 'x"y', "failure_message": AWKWARD},
    "whole second": {"created_at": MOMENT.replace(microsecond=0), "expires_at": MOMENT.replace(microsecond=120_000)},
    "long ago": {"created_at": datetime(1999, 12, 31, 23, 59, 59, 999_999, UTC)},
}
LATER = {"status", "amount_received", "amount_refunded", "fee", "fee_tax"}
"""What a new row cannot have."""

OXXO = {
    "no voucher": {"method": "oxxo", "clabe": None, "reference_number": ""},
    "voucher": {
        "method": "oxxo",
        "clabe": None,
        "reference_number": "",
        "order_id": "ord_2xay",
        "voucher_reference": "93000262276908",
        "voucher_barcode_url": 'https://x.mx/?a=1&b="2"',
        "voucher_store_name": AWKWARD,
    },
}


@pytest.fixture
def make(merchant, stp):
    number = itertools.count(1)

    def create(**changes):
        """A row as it could be; PostgreSQL's guards have their own tests."""
        digits = f"6461801570{next(number):07d}"
        payment = Payment(
            **{
                "merchant": merchant,
                "livemode": False,
                "provider_account": stp.account,
                "method": "spei",
                "amount": 100_000,
                "currency": "MXN",
                "clabe": digits + clabe.check_digit(digits),
                "reference_number": digits[-7:],
                "expires_at": MOMENT,
                **{name: value for name, value in changes.items() if name not in LATER},
            }
        )
        payment.save(force_insert=True)
        if "amount_received" in changes:
            deposit = Deposit(
                provider_account=stp.account,
                livemode=False,
                deposit_key=digits,
                amount=changes["amount_received"],
                currency="MXN",
                paid_at=MOMENT,
                operating_date=MOMENT.date(),
            )
            deposit.credit(payment=payment, fee=changes["fee"], fee_tax=changes["fee_tax"])
            deposit.save()
        if later := {name: value for name, value in changes.items() if name in LATER}:
            Payment.objects.filter(pk=payment.pk).update(**later)
        return Payment.objects.select_related("merchant").get(pk=payment.pk)

    return create


def listed(payment):
    """The payment as the list shows it."""
    found = payment_list.page(payment.merchant, livemode=payment.livemode, filters=Filters(), after=None, limit=100)
    return next(one for one in json.loads(f"[{found.data}]") if one["id"] == payment.public_id)


@pytest.mark.parametrize("changes", [*SITUATIONS.values(), *OXXO.values()], ids=[*SITUATIONS, *OXXO])
def test_a_listed_payment_is_the_payments_own_form(make, changes):
    payment = make(**changes)

    assert listed(payment) == payment_resource(payment)


def test_the_members_come_in_the_same_order(make):
    payment = make(**SITUATIONS["completed"])

    assert list(listed(payment)) == list(payment_resource(payment))


@pytest.mark.parametrize("name", [AWKWARD.strip(), "'; --", "%s %% {}", "a'b\\'c"])
def test_a_merchants_name_is_only_a_name(make, merchant, name):
    merchant.name = name
    merchant.save()
    payment = make()

    assert listed(payment)["spei"]["beneficiary_name"] == payment_resource(payment)["spei"]["beneficiary_name"] == name


@pytest.mark.parametrize("account", [f"{code}180000000000001"[:18] for code in sorted(clabe.BANKS)[::7]] + ["9" * 18])
def test_banks_have_their_names(make, account):
    payment = make(clabe=account)

    assert listed(payment)["spei"]["bank_name"] == clabe.bank_name(account)


def test_every_member_that_the_schema_names_is_there(make, client):
    schemas = client.get("/v1/openapi.json").json()["components"]["schemas"]

    for changes, method in ((SITUATIONS["completed"], "spei"), (OXXO["voucher"], "oxxo")):
        shown = listed(make(**changes))
        assert set(shown) == set(schemas["PaymentObject"]["properties"]) - ({"spei", "oxxo"} - {method})
        details = {"spei": "SpeiDetails", "oxxo": "OxxoDetails"}[method]
        assert set(shown[method]) == set(schemas[details]["properties"])


def test_the_payment_after_a_page_is_cut_off_for_any_texts(make):
    payments = [
        make(clabe=f"64618015700000000{n}", metadata={"a": "b,\nc", "d": "\r,\n"}, payer_name=",\n") for n in (1, 2, 3)
    ]

    page = payment_list.page(payments[0].merchant, livemode=False, filters=Filters(), after=None, limit=2)

    assert [one["metadata"] for one in json.loads(f"[{page.data}]")] == [payments[0].metadata] * 2
    assert page.last is not None
