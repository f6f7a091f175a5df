"""Orders of cash payments at Conekta: cancelling them, and reading them when a payment is overdue.

An order that turns out to be paid is booked like a notice. No transaction is open during a call to Conekta.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db import transaction
from django.db.models import F

from core import clock, jobs, lease
from core.backoff import backoff
from core.db import transaction_forbidden
from core.errors import OutcomeUnknown, ProviderNotContacted, ProviderRefused, UnknownToProvider
from core.state import Origin, TransitionRow
from core.unit_of_work import unit_of_work
from payments.models import Payment
from payments.providers import registry
from payments.providers.base import CashOrder, CashOrderClient, MoneyReceived
from payments.services import notice, provider_client
from payments.services.payment import WAITING, expire, lock

logger = logging.getLogger(__name__)

EXPIRES_AFTER = timedelta(minutes=60)
"""Delay after ``expires_at`` during which Conekta may still report an order itself; then the order is read."""
_ASK_AGAIN = timedelta(minutes=10)
_RETRY, _RETRY_MAX = timedelta(seconds=15), timedelta(hours=1)
_GIVE_UP_ASKING = 3
"""Failures after which a run ends, because Conekta or the network is down; the next run continues."""
_WITH_ORDER = [spec.name for spec in registry.METHODS.values() if spec.needs_order]


@transaction_forbidden
def withdraw(payment_id: int, *, attempt: int) -> None:
    """Cancel the order of a cancelled payment at Conekta, so that it can no longer be paid.

    Retried after 15 s, 30 s, … 1 h until Conekta responds or the order has expired by itself. If the order was paid
    meanwhile, the money is booked as usual.
    """
    payment = Payment.objects.select_related("provider_account", "merchant").get(pk=payment_id)
    if payment.status != Payment.Status.CANCELLED or clock.now() > payment.expires_at + EXPIRES_AFTER:
        return
    client = provider_client.connect_for_cash(payment.provider_account, about=payment.public_id)
    try:
        order_id = payment.order_id or _find_order_id(client, payment)
        if order_id is None:
            return
        try:
            client.cancel_order(order_id)
        except ProviderRefused:  # no longer pending (cancelled, expired or paid), or unknown to Conekta
            order = _read(client, payment)
            if order is not None and not _book_if_paid(payment, order) and order.is_payable:
                raise OutcomeUnknown("Conekta did not cancel an order that can still be paid.") from None
    except (ProviderNotContacted, OutcomeUnknown, ProviderRefused) as error:
        logger.warning("order not withdrawn yet", extra={"payment": payment.public_id, "why": error.message})
        jobs.defer(
            "payments.withdraw_order",
            schedule_at=clock.now() + backoff(attempt, first=_RETRY, most=_RETRY_MAX),
            payment_id=payment.pk,
            attempt=attempt + 1,
        )


@transaction_forbidden
def expire_unpaid(*, limit: int = 50) -> int:
    """Expire OXXO payments that are an hour overdue and unpaid at Conekta; returns how many were decided.

    Paid ones, whose notice was lost, are booked. Payments without a response from Conekta are retried later.
    """
    now = clock.now()
    over = Payment.objects.filter(
        lease.is_free("voucher_asked_until"),
        method__in=_WITH_ORDER,
        status__in=WAITING,
        expires_at__lte=now - EXPIRES_AFTER,
    )
    decided = failures = 0
    # Least recently requested first, so that payments without a response do not block others.
    over = over.order_by(F("voucher_asked_until").asc(nulls_first=True), "expires_at")
    for payment_id in over.values_list("pk", flat=True)[:limit]:
        try:
            decided += _expire_if_unpaid(payment_id)
        except (ProviderNotContacted, OutcomeUnknown, ProviderRefused) as error:
            failures += 1
            logger.warning("Conekta did not say what became of an order", extra={"why": error.message})
        except Exception:  # an internal error about one payment must not block the others
            failures += 1
            logger.exception("what became of an order could not be decided", extra={"payment_pk": payment_id})
        if failures >= _GIVE_UP_ASKING:
            break
    return decided


def _expire_if_unpaid(payment_id: int) -> bool:
    payment = Payment.objects.select_related("provider_account", "merchant").get(pk=payment_id)
    if not lease.take(Payment.objects.filter(pk=payment_id), "voucher_asked_until", _ASK_AGAIN):
        return False
    account = payment.provider_account
    client = provider_client.connect_for_cash(account, about=payment.public_id)
    order = _read(client, payment)
    if order is not None and _book_if_paid(payment, order):
        return True
    with transaction.atomic():
        locked = lock(payment_id)
        if locked.status not in WAITING:
            return False
        reference = order.order_id if order else ""
        expire(locked, origin=Origin(TransitionRow.Cause.WORKER, account.public_id, reference))
    return True


def _read(client: CashOrderClient, payment: Payment) -> CashOrder | None:
    """The current order at Conekta; None if there is none with the order's or the payment's id.

    The second request also distinguishes a deleted order from a wrong API address, where nothing is found.
    """
    if payment.order_id:
        try:
            return client.get_order(payment.order_id)
        except UnknownToProvider:
            logger.warning("Conekta does not know the order any more", extra={"payment": payment.public_id})
    return client.find_order(payment.public_id)


def _book_if_paid(payment: Payment, order: CashOrder) -> bool:
    """Book a paid order like its notice. False if it is not paid."""
    if not order.has_money or not order.charge_id:
        return False
    account = payment.provider_account
    found = MoneyReceived(
        event_id=order.order_id,
        event_type="order.read",
        deposit_key=order.charge_id,
        amount=order.amount,
        currency=order.currency,
        paid_at=order.paid_at or clock.now(),
        order_id=order.order_id,
        payment_id=payment.public_id,
        reference_number=order.reference,
        livemode=order.livemode,
    )
    with unit_of_work():
        outcome = notice.apply(account, found, event_id=order.order_id)
    logger.warning(
        "order paid, but no notice arrived",
        extra={"payment": payment.public_id, "outcome": outcome.reason},
    )
    return True


def _find_order_id(client: CashOrderClient, payment: Payment) -> str | None:
    order = client.find_order(payment.public_id)
    return order.order_id if order else None
