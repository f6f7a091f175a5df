"""A back office with something in it: a paid payment, a waiting one, and money that belongs to nobody yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import transaction
from django.test import Client

from core import clock
from kyc.models import Case
from kyc.services import case as case_service
from ledger.models import Transaction
from merchants.models import Merchant
from payments.models import Deposit, Destination, Payment, Payout, ProviderAccount, Report
from payments.services import provider_account, report
from tests.conftest import Api
from tests.factories import payouts
from tests.provider_messages import ConektaSender, StpSender
from tests.webhooks.outbound.merchant_side import Receiver
from tests.webhooks.outbound.merchant_side import endpoint as make_endpoint
from webhooks.models import Delivery, Endpoint, ProviderEvent
from webhooks.outbound.services import endpoint as endpoint_service
from webhooks.outbound.services.sender import deliver_due


@dataclass
class Desk:
    """What staff finds."""

    merchant: Merchant
    paid: Payment
    waiting: Payment
    suspended: Deposit
    case: Case
    report: Report

    def pages(self) -> dict[str, str]:
        """Admin's name of a model -> public id or key of an object of it."""
        return {
            "payments_payment": self.paid.public_id,
            "payments_deposit": self.suspended.public_id,
            "payments_provideraccount": ProviderAccount.objects.get(provider="stp").public_id,
            "webhooks_providerevent": ProviderEvent.objects.earliest("id").public_id,
            "ledger_transaction": Transaction.objects.earliest("id").public_id,
            "ledger_account": str(Transaction.objects.earliest("id").entries.earliest("id").account_id),
            "merchants_apikey": self.merchant.api_keys.earliest("id").public_id,
            "payments_report": self.report.public_id,
            "kyc_case": self.case.public_id,
            **{f"webhooks_{one._meta.model_name}": one.public_id for one in self.webhooks()},
        }

    def webhooks(self) -> list[Any]:
        """An endpoint and a delivery, of ``with_endpoint``."""
        return [*Endpoint.objects.order_by("pk")[:1], *Delivery.objects.order_by("pk")[:1]]


@dataclass
class PayoutDesk(Desk):
    """The same with payouts."""

    payout: Payout
    """Sent; it is not known whether it left."""
    proposed: Payout
    """Waits for a second person."""

    def pages(self) -> dict[str, str]:
        return {
            **super().pages(),
            "payments_payout": self.payout.public_id,
            "payments_destination": str(Destination.objects.earliest("id").pk),
        }


def with_endpoint(merchant: Merchant) -> Endpoint:
    """An endpoint of the merchant with a test event that its receiver refused."""
    made = make_endpoint(merchant)
    with transaction.atomic():
        endpoint_service.send_test(made.pk)
    deliver_due(Receiver(lambda _: 500))
    return made


def with_payouts(desk: Desk, api: Api, stp: StpSender) -> PayoutDesk:
    """The desk with two payouts of its merchant."""
    payouts.ready_to_send(stp.account)
    payouts.fund(desk.merchant, 200_000)
    provider_account._seen.clear()

    def pay_out(key: str, **fields: object) -> Payout:
        answer = api.post("/v1/payouts", payouts.wanted(**fields), key=key)
        assert answer.status_code == 202, answer.content
        return Payout.objects.get(public_id=answer.json()["id"])

    sent = payouts.as_sent(pay_out("three", external_id="nomina-1"))
    Merchant.objects.filter(pk=desk.merchant.pk).update(payout_approval_above=60_000)
    proposed = pay_out("four", amount=70_000, external_id="nomina-2")
    return PayoutDesk(**vars(desk), payout=sent, proposed=proposed)


@pytest.fixture
def desk(api: Api, merchant: Merchant, stp: StpSender, conekta: ConektaSender, staff_origin: object) -> Desk:
    def pay(key: str, **fields: object) -> Payment:
        body = {"method": "spei", "amount": 125050, "currency": "MXN", **fields}
        answer = api.post("/v1/payments", body, key=key)
        assert answer.status_code == 201, answer.content
        return Payment.objects.get(public_id=answer.json()["id"])

    paid = pay("one", external_id="pedido-1", customer={"name": "María Peña"})
    waiting = pay("two", external_id="100%_off", customer={"name": "Luis Ortega"})
    assert stp.post(stp.deposit(paid.clabe or "", 125050)).status_code == 200
    stray = stp.deposit("646180157099999994", 9900, claveRastreo="AJENO1", nombreOrdenante="EMPRESA AJENA")
    assert stp.post(stray).status_code == 200
    paid.refresh_from_db()
    day = clock.mexico_city_date(clock.now())
    wanted = report.NewReport(Report.Type.PAYMENTS, day, day, {})
    with transaction.atomic():
        ordered = report.create(merchant, livemode=False, wanted=wanted, origin=staff_origin)  # type: ignore[arg-type]
    return Desk(
        merchant,
        paid,
        waiting,
        Deposit.objects.get(status="suspended"),
        case_service.open_case(merchant, origin=staff_origin),  # type: ignore[arg-type]
        ordered,
    )


@pytest.fixture
def viewer(db: None) -> Client:
    """A staff user who may look at everything and do nothing."""
    user = User.objects.create_user("vera", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client = Client()
    client.force_login(user)
    return client
