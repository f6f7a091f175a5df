"""Applying what a provider says: the one path by which money that arrived enters the books.

Lock order: the inbox row (held by the caller), then the payment, then the ledger. Money that arrived is always booked
in the transaction that records it: to the merchant if it is creditable, else to suspense with a reason.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date, timedelta
from typing import assert_never

from django.conf import settings
from django.db import connection

from core import clock
from core.db import transaction_required
from core.money import CURRENCY, fee_with_iva
from core.mx.banking_days import banking_holidays
from core.state import Origin, TransitionRow
from ledger.services.door import OLDEST_EFFECTIVE, When
from ledger.services.postings import pay_in
from payments.models import Deposit, Payment, ProviderAccount
from payments.providers.base import MoneyReceived, Notice, OrderClosed, Uninteresting
from payments.services.payment import lock
from payments.services.transition import record_deposit, record_payment

logger = logging.getLogger(__name__)

_SLACK = timedelta(minutes=1)
_PAYABLE = {Payment.Status.PENDING, Payment.Status.PROCESSING, Payment.Status.EXPIRED, Payment.Status.CANCELLED}


CONFLICT = "conflict"
"""Begins the reason of an outcome that somebody must look at: the notice contradicts what is booked."""

UNMATCHED = "unmatched"
"""Begins the reason of an outcome that may be another one later: what the notice is about is not here (yet)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a notice led to. ``applied`` is False if nothing had to change; ``reason`` says why in one word."""

    applied: bool
    reason: str
    object_id: str = ""


@transaction_required
def apply(account: ProviderAccount, notice: Notice, *, event_id: str) -> Outcome:
    """Carry out one authentic notice of ``account``; ``event_id`` is the inbox row's public id.

    Safe under any repetition, order and concurrency: the same money is booked once, a state never goes back.
    """
    origin = Origin(TransitionRow.Cause.NOTICE, account.public_id, event_id)
    said = getattr(notice, "livemode", None)
    if said is not None and said != account.livemode:
        return Outcome(False, f"{CONFLICT}: it says {'live' if said else 'test'}, the account is not")
    match notice:
        case MoneyReceived():
            return _receive_money(account, notice, origin)
        case OrderClosed():
            return _close_order(account, notice, origin)
        case Uninteresting():
            return Outcome(False, notice.reason)
        case _:
            assert_never(notice)


def _receive_money(account: ProviderAccount, notice: MoneyReceived, origin: Origin) -> Outcome:
    if notice.currency != CURRENCY:
        return Outcome(False, f"{CONFLICT}: it reports {notice.currency}, the books hold {CURRENCY} only")
    payment = _find_payment(account, clabe=notice.clabe, order_id=notice.order_id, payment_id=notice.payment_id)
    if payment is None:
        _serialise(account, notice.deposit_key)
    known = Deposit.objects.filter(provider_account=account, deposit_key=notice.deposit_key).first()
    if known is not None:
        if (known.amount, known.currency, known.clabe) != (notice.amount, notice.currency, notice.clabe):
            return Outcome(False, f"{CONFLICT}: the deposit it reports is booked otherwise", known.public_id)
        return Outcome(False, "duplicate", known.public_id)

    deposit = Deposit(
        provider_account=account,
        livemode=account.livemode,
        deposit_key=notice.deposit_key,
        amount=notice.amount,
        currency=notice.currency,
        paid_at=notice.paid_at,
        operating_date=notice.operating_date or _operating_date(notice),
        clabe=notice.clabe,
        tracking_key=notice.tracking_key,
        concept=notice.concept,
        payer_name=notice.payer.name,
        payer_account=notice.payer.account,
        payer_institution=notice.payer.institution_code,
        provider_event=origin.reference,
    )
    reason = _why_not_creditable(account, notice, payment)
    if reason is None and payment is not None:
        return _credit(deposit, payment, origin)
    return _suspend(deposit, payment, reason or Deposit.SuspenseReason.NOT_PAYABLE, origin)


def _credit(deposit: Deposit, payment: Payment, origin: Origin) -> Outcome:
    deposit.credit(payment=payment)
    deposit.save(force_insert=True)
    record_deposit(deposit, origin=origin)

    fee, fee_tax = fee_with_iva(deposit.amount, percent=payment.fee_percent, fixed=payment.fee_fixed)
    before = payment.status
    payment.complete(deposit=deposit, fee=fee, fee_tax=fee_tax, completed_at=clock.now())
    payment.save()
    post = pay_in.spei_deposit if payment.method == Payment.Method.SPEI else pay_in.oxxo_paid
    post(
        payment.merchant,
        livemode=deposit.livemode,
        source=deposit.public_id,
        amount=deposit.amount,
        fee=fee,
        fee_tax=fee_tax,
        when=_when(deposit),
    )
    record_payment(payment, from_status=before, origin=origin, event_type="payment.completed")
    return Outcome(True, "credited", payment.public_id)


def _suspend(deposit: Deposit, payment: Payment | None, reason: Deposit.SuspenseReason, origin: Origin) -> Outcome:
    deposit.suspend(reason=reason, payment=payment)
    deposit.save(force_insert=True)
    record_deposit(deposit, origin=origin)
    is_stp = deposit.provider_account.provider == ProviderAccount.Provider.STP
    pay_in.deposit_suspended(
        livemode=deposit.livemode,
        source=deposit.public_id,
        cash="stp_cash" if is_stp else "conekta_receivable",
        amount=deposit.amount,
        reason=reason,
        when=_when(deposit),
    )
    if payment is not None:
        record_payment(
            payment, from_status=payment.status, origin=origin, event_type="payment.review_required", previous={}
        )
    logger.warning("deposit in suspense", extra={"deposit": deposit.public_id, "why": str(reason)})
    return Outcome(True, f"suspended:{reason}", deposit.public_id)


def _close_order(account: ProviderAccount, notice: OrderClosed, origin: Origin) -> Outcome:
    payment = _find_payment(account, order_id=notice.order_id, payment_id=notice.payment_id)
    if payment is None:
        return Outcome(False, f"{UNMATCHED}: no payment has this order")
    if payment.order_id not in (None, notice.order_id):
        return Outcome(False, "another_order", payment.public_id)
    if payment.status not in (Payment.Status.PENDING, Payment.Status.PROCESSING):
        return Outcome(False, "stale", payment.public_id)
    before = payment.status
    if notice.reason == "expired":
        payment.expire()
    else:
        payment.cancel()
    payment.save(update_fields=["status"])
    record_payment(payment, from_status=before, origin=origin, event_type=f"payment.{payment.status}")
    return Outcome(True, notice.reason, payment.public_id)


def _why_not_creditable(
    account: ProviderAccount, notice: MoneyReceived, payment: Payment | None
) -> Deposit.SuspenseReason | None:
    reasons = Deposit.SuspenseReason
    if notice.event_type == "stp.return":
        return reasons.RETURNED_TRANSFER
    if payment is None:
        return reasons.UNKNOWN_CLABE if account.provider == ProviderAccount.Provider.STP else reasons.UNKNOWN_ORDER
    if payment.status == Payment.Status.COMPLETED:
        return reasons.ALREADY_PAID
    if payment.status not in _PAYABLE:
        return reasons.NOT_PAYABLE
    if notice.amount != payment.amount:
        return reasons.AMOUNT_DIFFERS
    return None


def _find_payment(
    account: ProviderAccount, *, clabe: str = "", order_id: str = "", payment_id: str = ""
) -> Payment | None:
    """The payment a notice is about, its row locked. A notice may overtake the answer that brings the order's id."""
    for wanted in ({"clabe": clabe}, {"order_id": order_id}, {"public_id": payment_id}):
        if all(wanted.values()):
            found = Payment.objects.filter(provider_account=account, **wanted).values_list("pk", flat=True).first()
            if found is not None:
                return lock(found)
    return None


def _serialise(account: ProviderAccount, deposit_key: str) -> None:
    """Let two notices of one deposit pass one after the other although no payment's row is there to lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, %s))", [deposit_key, account.pk])


def _when(deposit: Deposit) -> When:
    """The provider's own moment. News that comes later than the ledger takes counts from the oldest moment it takes.

    The ledger looks at the clock a little later than this; without the slack it would refuse the money.
    """
    return When(max(deposit.paid_at, clock.now() - OLDEST_EFFECTIVE + _SLACK), deposit.operating_date)


def _operating_date(notice: MoneyReceived) -> date:
    year = notice.paid_at.astimezone(clock.MEXICO_CITY).year
    return clock.operating_date(
        notice.paid_at,
        holidays=banking_holidays(year) | banking_holidays(year + 1) | frozenset(settings.EXTRA_BANKING_HOLIDAYS),
    )
