"""Paid payments, their refunds, and what becomes of the attempts."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Permission, User
from django.db import transaction

from core import clock, ids
from core.state import Origin, TransitionRow
from ledger.models import Account, Transaction
from ledger.services.balance import of_account
from merchants.models import Event, Merchant
from payments.models import Payment, Payout, Refund
from payments.services import payment as payment_service
from payments.services import payout_outcome
from payments.services.payout_lock import lock
from staff.models import Approval
from staff.services import approval as approvals
from tests.factories.payouts import as_sent, balances
from tests.provider_messages import StpSender

OTHER_CLABE = "072691004495711499"
INQUIRY = Origin(TransitionRow.Cause.WORKER, "inquiry")
_numbers = itertools.count(1)


def person(name: str, *rights: str) -> User:
    """A member of staff, with an account of long ago."""
    user = User.objects.create_user(name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    User.objects.filter(pk=user.pk).update(date_joined=clock.now() - timedelta(days=30))
    return User.objects.get(pk=user.pk)


def unpaid(merchant: Merchant, amount: int) -> Payment:
    """A SPEI payment that waits."""
    new = payment_service.NewPayment(Payment.Method.SPEI, amount, clock.now() + payment_service.DEFAULT_LIFETIME)
    with transaction.atomic():
        return payment_service.create(merchant, livemode=False, wanted=new, origin=INQUIRY)


def paid(api: Any, stp: StpSender, amount: int = 100_000, **deposit: Any) -> Payment:
    """A SPEI payment that a payer with a CLABE has paid."""
    body = {"method": "spei", "amount": amount, "currency": "MXN"}
    made = api.post("/v1/payments", body, key=f"paid-{next(_numbers)}").json()
    pay(stp, made["spei"]["clabe"], amount, **deposit)
    return Payment.objects.get(public_id=made["id"])


def pay(stp: StpSender, clabe: str, amount: int, **deposit: Any) -> None:
    """One more transfer to ``clabe``."""
    given = {"claveRastreo": ids.new_id("deposit")[4:].upper(), "id": 5_000_000 + next(_numbers)}
    answer = stp.post(stp.deposit(clabe, amount, **given | deposit))
    assert answer.status_code == 200, answer.content


def wanted(payment: Payment, /, **changes: Any) -> dict[str, Any]:
    """The body of a valid request for a refund."""
    return {"payment": payment.public_id, "reason": "Producto agotado", **changes}


def create(api: Any, payment: Payment, **changes: Any) -> Refund:
    """A refund made by the API."""
    answer = api.post("/v1/refunds", wanted(payment, **changes), key=f"refund-{next(_numbers)}")
    assert answer.status_code == 202, answer.content
    return Refund.objects.get(public_id=answer.json()["id"])


def last(refund: Refund) -> Payout:
    """The refund's newest attempt, as it is now."""
    return refund.attempts.select_related("provider_account", "merchant").latest("pk")


def settled(payout: Payout) -> None:
    """The provider says that the attempt was settled; one that waits is sent first."""
    _after_sending(payout)
    with transaction.atomic():
        payout_outcome.settle(lock(payout.pk), at=clock.now(), origin=INQUIRY, confirmed=True)


def failed(payout: Payout) -> None:
    """The provider says that the attempt was not carried out."""
    _after_sending(payout)
    with transaction.atomic():
        payout_outcome.fail(lock(payout.pk), code="destination_closed", message="La cuenta no existe", origin=INQUIRY)


def returned(payout: Payout) -> None:
    """The receiving bank sent the attempt back."""
    with transaction.atomic():
        payout_outcome.come_back(lock(payout.pk), at=clock.now(), cause=3, origin=INQUIRY)


def _after_sending(payout: Payout) -> None:
    if Payout.objects.get(pk=payout.pk).status == Payout.Status.PENDING:
        as_sent(payout, "accepted")


def approve(payout: Payout, voter: User, decision: str = "approve") -> None:
    """Decide about the attempt as a second person."""
    asked = Approval.objects.get(subject=payout.public_id)
    approvals.vote(asked.pk, voter, decision, "No lo conozco" if decision == "reject" else "")


def amounts(payment: Payment) -> tuple[int, int, int]:
    """Refunded, reserved and excess of a payment of one deposit, which says the same."""
    payment.refresh_from_db()
    (deposit,) = payment.deposits.all()
    found = [(row.amount_refunded, row.refund_reserved, row.amount_over_refunded) for row in (payment, deposit)]
    assert found[0] == found[1]
    return found[0]


def events(record: Refund) -> list[str]:
    """The types of its events, in order."""
    rows = Event.objects.filter(object_id=record.public_id).order_by("object_sequence")
    return [event.type.removeprefix("refund.") for event in rows]


def kinds(payout: Payout) -> list[str]:
    """The kinds of its postings, in order."""
    return list(Transaction.objects.filter(source=payout.public_id).order_by("id").values_list("kind", flat=True))


def lost() -> int:
    """Centavos that ``losses`` holds."""
    account = Account.objects.filter(purpose="losses", livemode=False).first()
    return 0 if account is None else of_account(account)


def available(merchant: Merchant) -> int:
    """What the merchant may spend: debt is recovered first."""
    funds = balances(merchant)
    return funds["available"] - funds["debt"]


def status(record: Refund) -> str:
    """Its state now."""
    return Refund.objects.get(pk=record.pk).status
