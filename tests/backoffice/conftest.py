"""A back office with something in it: a paid payment, a waiting one, and money that belongs to nobody yet."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from django.contrib.auth.models import Permission, User
from django.db import transaction
from django.test import Client

from core import clock
from kyc.models import Case
from kyc.services import case as case_service
from ledger.models import Transaction
from merchants.models import Merchant
from payments.models import Deposit, Payment, ProviderAccount, Report
from payments.services import report
from tests.conftest import Api
from tests.provider_messages import ConektaSender, StpSender
from webhooks.models import ProviderEvent


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
        }


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
