"""Creation, expiry and cancellation of payments, and vouchers for OXXO payments.

A SPEI payment gets its CLABE at once; the voucher of an OXXO payment is requested from Conekta in a second step.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from django.conf import settings
from django.db import transaction

from core import clock, jobs, lease
from core.backoff import backoff
from core.db import transaction_forbidden, transaction_required
from core.errors import (
    DuplicateExternalId,
    IllegalTransition,
    KycRequired,
    OutcomeUnknown,
    ProviderNotContacted,
    ProviderRefused,
    ProviderUnavailable,
)
from core.money import CURRENCY
from core.state import Origin, TransitionRow
from core.unit_of_work import joined, separately
from core.writes import column_names, fetch, hydrate
from kyc.services import case as kyc_case
from merchants.models import Merchant
from payments.models import Clabe, Deposit, Payment, ProviderAccount
from payments.providers import registry
from payments.providers.base import CashOrder, CashOrderClient
from payments.providers.stp import clabes
from payments.services import clabe_number, provider_account, provider_client
from payments.services.fee import iva_rate, terms, terms_sql
from payments.services.transition import record_payment

logger = logging.getLogger(__name__)

DEFAULT_LIFETIME = timedelta(days=3)
MAX_LIFETIME = timedelta(days=30)
WAITING = (Payment.Status.PENDING, Payment.Status.PROCESSING)
"""States of an open payment: unpaid and not ended."""
EXPIRY_BATCH = 100
_WITHOUT_ORDER = [spec.name for spec in registry.METHODS.values() if not spec.needs_order]
_VOUCHER_RETRY = timedelta(seconds=15)
_VOUCHER_RESCUE = timedelta(seconds=60)
"""Delay after which the worker requests a voucher whose web process may have been killed."""
_VOUCHER_LEASE = timedelta(seconds=30)
"""Lease of a voucher request: longer than a search and a creation at Conekta can take."""
_VOUCHER_RETRY_MAX = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class NewPayment:
    """A valid request for a payment. ``amount`` in centavos."""

    method: Payment.Method
    amount: int
    expires_at: datetime
    description: str = ""
    external_id: str | None = None
    customer_name: str = ""
    customer_email: str = ""
    customer_phone: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


@transaction_required
def create(merchant: Merchant, *, livemode: bool, wanted: NewPayment, origin: Origin) -> Payment:
    """Create a pending payment. A SPEI payment gets its CLABE here; an OXXO payment still needs its voucher.

    Raises ``KycRequired`` in live mode without an approved case, ``DuplicateExternalId`` (once it is written), and
    ``ProviderUnavailable`` if no account at the method's provider takes new payments in this mode.
    """
    account = account_for(merchant, wanted.method, livemode=livemode)
    now = clock.now()
    day = clock.mexico_city_date(now)
    payment = Payment(
        merchant=merchant,
        livemode=livemode,
        provider_account=account,
        method=wanted.method,
        amount=wanted.amount,
        currency=CURRENCY,
        fee_iva=iva_rate(day),
        description=wanted.description,
        external_id=wanted.external_id,
        customer_name=wanted.customer_name,
        customer_email=wanted.customer_email,
        customer_phone=wanted.customer_phone,
        metadata=dict(wanted.metadata),
        expires_at=wanted.expires_at,
        created_at=now,
    )
    needs_order = registry.method(wanted.method).needs_order
    with joined() as writes:
        if not needs_order:
            number = clabe_number.take(account)
            payment.clabe = clabes.build(account.clabe_prefix or "", number)
            payment.reference_number = f"{number:07d}"
            writes.if_skipped(lambda: clabe_number.give_back(account, number))
        writes.insert(payment, terms_sql(merchant, wanted.method, day))
        writes.expect("payment_external_id_unique", DuplicateExternalId())
        record_payment(payment, from_status="", origin=origin, event_type="payment.created")
        if needs_order:  # the job names the row's key
            writes.after_write(lambda: _schedule_retry(payment, after=_VOUCHER_RESCUE, attempt=1, alone=False))
    # The database computed them: they are loaded on access.
    del payment.fee_percent, payment.fee_fixed
    return payment


@transaction_required
def expire(payment: Payment, *, origin: Origin) -> None:
    """Expire an open payment, whose row is locked. Money that arrives later is still booked."""
    before = payment.status
    payment.expire()
    payment.save(update_fields=["status"])
    record_payment(payment, from_status=before, origin=origin, event_type="payment.expired")


@transaction.atomic
def expire_due() -> int:
    """Expire one batch of overdue payments without an order; returns how many.

    Locked rows are skipped: a concurrent deposit decides first, and the next batch checks again. Payments with an order
    expire when the provider confirms it (``payments.services.order``).
    """
    now = clock.now()
    due = (
        Payment.objects.select_for_update(of=("self",), skip_locked=True)
        .select_related("merchant", "reusable_clabe")
        .filter(method__in=_WITHOUT_ORDER, status__in=WAITING, expires_at__lte=now)
        .order_by("expires_at")[:EXPIRY_BATCH]
    )
    expired = list(due)
    for payment in expired:
        expire(payment, origin=Origin(TransitionRow.Cause.WORKER, "expiry"))
    return len(expired)


def account_for(merchant: Merchant, method: str, *, livemode: bool) -> ProviderAccount:
    """The provider account for the merchant's new payments by ``method`` in this mode.

    Raises ``KycRequired`` in live mode without an approved case, ``ProviderUnavailable`` if no account takes new
    payments.
    """
    if livemode and not kyc_case.is_approved(merchant):
        raise KycRequired
    spec = registry.method(method)
    account = provider_account.accepting_payments(spec.provider, livemode=livemode)
    if account is None or (spec.needs_order and not provider_client.can_connect(account)):
        raise ProviderUnavailable(f"{method.upper()} payments are not set up in this mode.")
    return account


@transaction_required
def create_for_deposit(
    deposit: Deposit, merchant: Merchant, *, reusable_clabe: Clabe | None, origin: Origin, reason: str = ""
) -> Payment:
    """Create a pending payment for money that arrived at a reusable CLABE or was assigned to the merchant."""
    now = clock.now()
    account = reusable_clabe.provider_account if reusable_clabe else deposit.provider_account
    method = Payment.Method(registry.method_at(account.provider).name)
    costs = terms(merchant, method, clock.mexico_city_date(now))
    payment = Payment(
        merchant=merchant,
        livemode=deposit.livemode,
        provider_account=account,
        method=method,
        made_by=Payment.MadeBy.CLABE if reusable_clabe else Payment.MadeBy.STAFF,
        amount=deposit.amount,
        currency=deposit.currency,
        fee_percent=costs.percent,
        fee_fixed=costs.fixed,
        fee_iva=costs.iva,
        description=deposit.concept,
        clabe=reusable_clabe.clabe if reusable_clabe else None,
        reusable_clabe=reusable_clabe,
        customer_name=reusable_clabe.customer_name if reusable_clabe else "",
        customer_email=reusable_clabe.customer_email if reusable_clabe else "",
        customer_phone=reusable_clabe.customer_phone if reusable_clabe else "",
        metadata=reusable_clabe.metadata if reusable_clabe else {},
        expires_at=now,
        created_at=now,
    )
    with separately() as writes:  # crediting the deposit changes the row again
        writes.insert(payment)
        record_payment(payment, from_status="", origin=origin, event_type="payment.created", reason=reason)
    return payment


@transaction_required
def cancel(payment_id: int, *, origin: Origin) -> Payment:
    """Cancel an open payment; cancelling it again changes nothing.

    The worker then cancels its order at Conekta. Money that arrives later is booked by the merchant's policy. Raises
    ``IllegalTransition`` for a payment that was paid or has ended otherwise.
    """
    payment = lock(payment_id)
    if payment.status == Payment.Status.CANCELLED:
        return payment
    if payment.status not in WAITING:
        raise IllegalTransition("Only an unpaid payment that has not ended can be cancelled.")
    before = payment.status
    payment.cancel(at=clock.now())
    payment.save(update_fields=["status", "cancelled_at"])
    record_payment(payment, from_status=before, origin=origin, event_type="payment.cancelled")
    if registry.method(payment.method).needs_order:
        jobs.defer("payments.withdraw_order", payment_id=payment.pk, attempt=0)
    return payment


@transaction_forbidden
def request_voucher(payment_id: int, *, attempt: int = 0) -> None:
    """Request the voucher of a pending OXXO payment from Conekta and attach it.

    ``attempt`` 0 is the first one, by the request that created the payment. Every later attempt searches Conekta for an
    order of this payment before it creates one, because an earlier attempt may have reached Conekta. A payment that has
    its voucher, is no longer pending or has expired is not changed. If Conekta cannot be reached or the outcome is
    unknown, the worker retries after 15 s, 30 s, … 1 h; if Conekta refuses, the payment fails.
    """
    payment = Payment.objects.select_related("provider_account", "merchant").get(pk=payment_id)
    if payment.status != Payment.Status.PENDING or payment.order_id or clock.now() >= payment.expires_at:
        return
    rows = Payment.objects.filter(pk=payment_id)
    if not lease.take(rows, "voucher_asked_until", _VOUCHER_LEASE):  # concurrent requests could create two orders
        return
    account = payment.provider_account
    client = provider_client.connect_for_cash(account, about=payment.public_id)
    try:
        order = _find_order(client, payment) if attempt else None
        if order is None:
            order = client.create_cash_order(
                payment_id=payment.public_id,
                amount=payment.amount,
                description=payment.description,
                # Conekta requires all three, our merchants may omit them.
                customer_name=payment.customer_name or payment.merchant.name,
                customer_email=payment.customer_email or settings.CONEKTA_CUSTOMER_EMAIL,
                customer_phone=payment.customer_phone or settings.CONEKTA_CUSTOMER_PHONE,
                expires_at=payment.expires_at,
            )
    except (ProviderNotContacted, OutcomeUnknown) as error:
        lease.release(rows, "voucher_asked_until")
        logger.warning("voucher not available yet", extra={"payment": payment.public_id, "why": error.message})
        _schedule_retry(
            payment, after=backoff(attempt, first=_VOUCHER_RETRY, most=_VOUCHER_RETRY_MAX), attempt=attempt + 1
        )
    except ProviderRefused as error:
        _fail(payment_id, error, actor=account.public_id)
    else:
        attach_voucher(payment_id, order, actor=account.public_id)


def _find_order(client: CashOrderClient, payment: Payment) -> CashOrder | None:
    """The order created by an earlier attempt. A refused search is an unknown outcome: the order may exist."""
    try:
        order = client.find_order(payment.public_id)
    except ProviderRefused as error:
        raise OutcomeUnknown(f"Conekta refused the search: {error.message}") from error
    if order is not None and (order.amount != payment.amount or not order.reference):
        raise OutcomeUnknown("Conekta has an order of this payment that does not match it.")
    return order


def _schedule_retry(payment: Payment, *, after: timedelta, attempt: int, alone: bool = True) -> None:
    """Schedule a voucher request by the worker. ``alone``: unless a retry is scheduled already."""
    jobs.defer(
        "payments.request_voucher",
        queueing_lock=f"voucher:{payment.public_id}" if alone else None,
        schedule_at=clock.now() + after,
        payment_id=payment.pk,
        attempt=attempt,
    )


@transaction.atomic
def attach_voucher(payment_id: int, order: CashOrder, *, actor: str) -> None:
    """Store the voucher of a payment, once; ``actor`` is the provider account's public id."""
    payment = lock(payment_id)
    if payment.order_id:
        return
    payment.order_id = order.order_id
    payment.voucher_reference = order.reference
    payment.voucher_barcode_url = order.barcode_url
    payment.voucher_store_name = order.store_name
    if payment.status == Payment.Status.CANCELLED:  # during the call to Conekta: it must not be paid any more
        jobs.defer("payments.withdraw_order", payment_id=payment.pk, attempt=0)
    payment.save(
        update_fields=["order_id", "voucher_reference", "voucher_barcode_url", "voucher_store_name"],
    )
    record_payment(
        payment,
        from_status=payment.status,
        origin=Origin(TransitionRow.Cause.WORKER, actor, order.order_id),
        event_type="payment.updated",
        previous={"oxxo": None},
    )


@transaction.atomic
def _fail(payment_id: int, error: ProviderRefused, *, actor: str) -> None:
    payment = lock(payment_id)
    if payment.status != Payment.Status.PENDING:
        return
    before = payment.status
    payment.fail(code=error.provider_code or "provider_refused", message=error.message)
    payment.save(update_fields=["status", "failure_code", "failure_message"])
    record_payment(
        payment,
        from_status=before,
        origin=Origin(TransitionRow.Cause.WORKER, actor),
        event_type="payment.failed",
    )


@transaction_required
def lock(payment_id: int) -> Payment:
    """Lock the payment's row until the end of the transaction, as every change of state does first."""
    found = fetch(
        f"SELECT {payment_and_merchant()} FROM payments_payment p "  # noqa: S608 - constants only
        "JOIN merchants_merchant m ON m.id = p.merchant_id WHERE p.id = $1 FOR NO KEY UPDATE OF p",
        [payment_id],
    )
    if not found:
        raise Payment.DoesNotExist
    return locked(found[0])


def locked(row: Sequence[Any]) -> Payment:
    """The payment with its merchant, from a row of the columns ``payment_and_merchant``."""
    payment = hydrate(Payment, row[: len(Payment._meta.concrete_fields)])
    payment.merchant = hydrate(Merchant, row[len(Payment._meta.concrete_fields) :])
    return payment


@cache
def payment_and_merchant() -> str:
    """The columns that ``locked`` reads, of ``payments_payment p`` and ``merchants_merchant m``."""
    return f"{column_names(Payment, 'p')}, {column_names(Merchant, 'm')}"
