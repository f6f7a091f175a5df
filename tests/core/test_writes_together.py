"""Changes of several callers in one statement, and rows made without ceremony."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.apps import apps
from django.db import DataError, models, transaction
from django.db.models.expressions import DatabaseDefault

from core import clock
from core.writes import Sql, Writes, execute_together, fetch, new_instance
from ledger.models import Transaction
from merchants.models import Event, Merchant
from payments.models import Deposit, DepositTransition, Payment
from tests.factories.unsaved import deposit_of, payment_of
from tests.provider_messages import StpSender
from webhooks.models import ProviderEvent

OURS = {"core", "ledger", "merchants", "payments", "webhooks", "staff", "kyc", "reconciliation"}


@pytest.mark.parametrize("model", [Deposit, Event, ProviderEvent, Transaction, Payment])
def test_a_fresh_row_is_as_the_model_would_make_it(model: type[models.Model], merchant: Merchant) -> None:
    given = {"merchant": merchant, "currency": "MXN"} if model is Payment else {"livemode": True}
    usual, made = model(**given), new_instance(model, **given)

    assert made._state.adding
    assert made._state.fields_cache == usual._state.fields_cache
    for name, value in usual.__dict__.items():
        if name != "_state" and not name.endswith(("_at", "public_id")):
            assert type(made.__dict__[name]) is type(value)
            assert made.__dict__[name] == value or isinstance(value, DatabaseDefault), name
    with pytest.raises(TypeError, match="lacks some of"):
        new_instance(model, **given, nonsense=1)


def paying(payment: Payment, **fields: Any) -> Writes:
    """A change of the usual kinds: rows that point to each other, an update, a value of the database's."""
    deposit, writes = deposit_of(payment, **fields), Writes()
    payment.complete(deposit=deposit, completed_at=clock.now())
    event = Event(merchant=payment.merchant, livemode=False, type="t", object_id=payment.public_id, data={"ñ": None})
    writes.insert(deposit)
    writes.insert(DepositTransition(deposit=deposit, to_status="credited", cause="api", actor=payment.public_id))
    writes.insert(event, {"object_sequence": Sql("SELECT length(%s)", (payment.public_id[:3],))})
    writes.update(payment, "status", "amount_received", "completed_at", "operating_date", "tracking_key")
    return writes


def saved(merchant: Merchant, stp: StpSender, number: int) -> Payment:
    clabe = f"64618015700000{number:04d}"
    payment = payment_of(merchant, stp, external_id=f"{number}", clabe=clabe, fee_percent="0")
    payment.save()
    return payment


@pytest.mark.usefixtures("never_committed")
def test_changes_of_several_callers_are_written_as_each_would_be(merchant: Merchant, stp: StpSender) -> None:
    payments = [saved(merchant, stp, number) for number in range(5)]
    changes = [paying(p, tracking_key=f"K'\"{{}}\\,{n}", deposit_key=f"{n}") for n, p in enumerate(payments[:4])]
    alone = paying(payments[4], tracking_key="", deposit_key="alone")

    with transaction.atomic():
        execute_together(changes)
        alone.execute()

    for number, payment in enumerate(payments):
        fresh = Payment.objects.get(pk=payment.pk)
        assert (fresh.status, fresh.amount_received, fresh.operating_date) == ("completed", 125_050, date(2026, 11, 26))
        assert fresh.tracking_key == (f"K'\"{{}}\\,{number}" if number < 4 else "")
        deposit = Deposit.objects.get(payment=payment)
        assert deposit.deposit_key == (f"{number}" if number < 4 else "alone")
        assert DepositTransition.objects.get(actor=payment.public_id).deposit_id == deposit.pk
        event = Event.objects.get(object_id=payment.public_id)
        assert (event.object_sequence, event.data) == (3, {"ñ": None})


@pytest.mark.usefixtures("never_committed")
def test_changes_of_different_shapes_share_a_transaction(merchant: Merchant, stp: StpSender) -> None:
    payments, heard = [saved(merchant, stp, number) for number in range(3)], list[str]()
    other, last = Writes(), Writes()
    other.insert(Event(merchant=merchant, livemode=False, type="t", object_id="pay_1", object_sequence=1, data={}))
    last.insert(Event(merchant=merchant, livemode=False, type="t", object_id="pay_2", object_sequence=1, data={}))
    last.after_write(lambda: heard.append("written"))
    changes = [paying(p, deposit_key=f"{n}") for n, p in enumerate(payments)]

    with transaction.atomic():
        execute_together([other, *changes, last])

    assert heard == ["written"]
    assert (Deposit.objects.count(), Event.objects.count()) == (3, 5)


def test_if_one_of_several_changes_finds_its_row_gone_nothing_is_written(merchant: Merchant, stp: StpSender) -> None:
    payments = [saved(merchant, stp, number) for number in range(3)]
    payments[1].pk = 10**9
    changes = []
    for payment in payments:
        writes = Writes()
        payment.voucher_asked_until = clock.now()
        writes.update(payment, "voucher_asked_until")
        changes.append(writes)

    with pytest.raises(RuntimeError, match="not written"), transaction.atomic():
        execute_together(changes)

    assert Payment.objects.filter(voucher_asked_until=None).count() == 3


def test_if_one_of_several_rows_is_there_already_the_error_given_for_that_is_raised(stp: StpSender) -> None:
    def storing(event_id: str) -> Writes:
        writes = Writes()
        event = new_instance(ProviderEvent, account=stp.account, livemode=False, event_id=event_id, body_sha256="")
        writes.insert(event, on_conflict_do_nothing=("account", "event_id"), missing=LookupError("there already"))
        return writes

    storing("known").execute()

    with pytest.raises(LookupError, match="there already"), transaction.atomic():
        execute_together([storing("new"), storing("known")])

    assert ProviderEvent.objects.count() == 1


def test_if_the_database_refuses_one_of_several_changes_the_error_expected_for_that_is_raised(
    merchant: Merchant, stp: StpSender
) -> None:
    payments = [saved(merchant, stp, number) for number in range(2)]
    changes = [paying(payment, deposit_key="the same") for payment in payments]
    for change in changes:
        change.expect("deposit_key_unique", LookupError("booked already"))

    with pytest.raises(LookupError, match="booked already"), transaction.atomic():
        execute_together(changes)

    assert Deposit.objects.count() == 0


def test_a_value_too_long_is_refused_and_not_cut_among_several_too(merchant: Merchant, stp: StpSender) -> None:
    payments = [saved(merchant, stp, number) for number in range(2)]
    payments[0].description = "x" * 10_000
    changes = []
    for payment in payments:
        writes = Writes()
        writes.update(payment, "description")
        changes.append(writes)

    with pytest.raises(DataError), transaction.atomic():
        execute_together(changes)


def test_every_key_comes_from_the_sequence_that_is_named_after_its_table(db: None) -> None:
    """``execute_together`` takes keys from it before it writes their rows."""
    for model in apps.get_models():
        key = model._meta.pk
        if isinstance(key, models.BigAutoField) and model._meta.managed and model._meta.app_label in OURS:
            table = model._meta.db_table
            named = fetch("SELECT pg_get_serial_sequence($1, 'id')", [table])
            assert named == [(f"public.{table}_id_seq",)], table
