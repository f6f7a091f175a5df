"""Refunds: creating, cancelling and trying them again. ``refund_outcome`` follows what becomes of their attempts."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.contrib.auth.models import User

from core import calendar, clock, ids
from core.db import transaction_required
from core.errors import (
    AmountExceedsRefundable,
    DuplicateExternalId,
    FieldError,
    IllegalTransition,
    NotFound,
    UnusableValue,
)
from core.money import CURRENCY, IVA, format_mxn
from core.mx import clabe as clabe_rules
from core.mx import spei_text
from core.state import Origin
from core.unit_of_work import joined, unit_of_work
from ledger.services import hold
from ledger.services.journal import PostingTime
from merchants.models import Merchant
from payments.models import Clabe, Deposit, Payment, Payout, Refund
from payments.models.payout import APPROVAL_KIND
from payments.services import payment as payment_service
from payments.services import payout as payout_service
from payments.services import payout_limit, refund_outcome
from payments.services.payout_lock import lock_approval, lock_deposit, lock_refund
from payments.services.transition import record_payout, record_refund
from staff.services import approval

RETRIED = (Refund.Status.FAILED, Refund.Status.RETURNED)
"""States in which staff may make another attempt."""
_LISTED = 10
"""Deposits that an error message names."""


@dataclass(frozen=True, slots=True)
class NewRefund:
    """A valid request for a refund. ``amount`` in centavos, None: all that is left; ``name`` folded for SPEI.

    ``payment`` and ``deposit`` are public ids; a top-up is named by its deposit alone.
    """

    reason: str
    payment: str | None = None
    deposit: str | None = None
    amount: int | None = None
    clabe: str | None = None
    name: str = ""
    external_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@transaction_required
def create(merchant: Merchant, *, livemode: bool, wanted: NewRefund, maker: User | str, origin: Origin) -> Refund:
    """Record a refund, reserve its amount of its deposit and of ``available``, and make its first attempt.

    It goes to the account that the deposit came from, or to a given one with a second person's approval. ``maker`` is a
    person or the public id of the requesting API key. Raises ``NotFound``, ``UnusableValue`` with the field at fault,
    ``AmountExceedsRefundable``, ``InsufficientFunds``, ``DuplicateExternalId`` when it is written, and the errors of
    ``payout.account_for``, ``payout_limit.bank_of`` and ``approval.request``.
    """
    account = payout_service.account_for(merchant, livemode=livemode)
    payment, deposit = _lock_target(merchant, livemode, wanted)
    amount = _amount(deposit, wanted.amount)
    clabe, name, to_payer = _destination(deposit, wanted)
    refund = Refund(
        merchant=merchant,
        livemode=livemode,
        origin=Refund.Origin.STAFF if isinstance(maker, User) else Refund.Origin.MERCHANT,
        payment=payment,
        deposit=deposit,
        amount=amount,
        currency=CURRENCY,
        reason=wanted.reason,
        to_payer=to_payer,
        destination_clabe=clabe,
        destination_bank=payout_limit.bank_of(account, clabe),
        destination_name=name,
        external_id=wanted.external_id,
        metadata=dict(wanted.metadata),
        created_at=clock.now(),
    )
    refund.attempt_rows = []
    with joined() as writes:
        writes.insert(refund)
        writes.expect("refund_external_id_unique", DuplicateExternalId())
        payout = _attempt(refund, maker)
        refund_outcome.reserve(refund, amount)
        record_payout(payout, from_status="", origin=origin, event_type="")
        record_refund(refund, from_status="", origin=origin, event_type="refund.created")
    return refund


def cancel(public_id: str, *, origin: Origin) -> Refund:
    """Withdraw a refund that was not sent; cancelling it again changes nothing. Its money is available again.

    Raises ``IllegalTransition`` for one that is being sent or has ended, ``Refund.DoesNotExist``.
    """
    with unit_of_work():
        refund = lock_refund(Refund.objects.values_list("pk", flat=True).get(public_id=public_id))
        if refund.status == Refund.Status.CANCELLED:
            return refund
        attempt = refund.attempt
        if refund.status != Refund.Status.PENDING or attempt is None:
            raise IllegalTransition("Only a refund that was not sent yet can be cancelled.")
        payout_service.withdraw(attempt, lock_approval(attempt.public_id), origin=origin)
        return refund


def try_again(public_id: str, *, maker: User, origin: Origin) -> Refund:
    """Make another attempt of a refund that failed or came back; a second person must approve it.

    Raises ``IllegalTransition`` in another state, ``AmountExceedsRefundable`` if its amount was refunded otherwise
    meanwhile, ``InsufficientFunds``, ``ProviderUnavailable``, ``KycRequired`` and ``DecisionNotAllowed``.
    """
    with unit_of_work():
        refund = lock_refund(Refund.objects.values_list("pk", flat=True).get(public_id=public_id))
        if refund.status not in RETRIED:
            raise IllegalTransition("Only a refund that failed or came back can be tried again.")
        _amount(refund.deposit, refund.amount)
        payout = _attempt(refund, maker)
        refund_outcome.record_change(payout, from_status="", origin=origin, event_type="")
        return refund


def _attempt(refund: Refund, maker: User | str) -> Payout:
    """A new attempt of the refund with its hold and its approval, if it needs one; the caller records it."""
    merchant = refund.merchant
    now = clock.now()
    above = merchant.payout_approval_above
    needs_approval = isinstance(maker, User) or not refund.to_payer or (above is not None and refund.amount > above)
    payout = Payout(
        merchant=merchant,
        livemode=refund.livemode,
        provider_account=payout_service.account_for(merchant, livemode=refund.livemode),
        refund=refund,
        kind=Payout.Kind.REFUND,
        status=Payout.Status.PENDING_APPROVAL if needs_approval else Payout.Status.PENDING,
        waiting_for=Payout.WaitingFor.APPROVAL if needs_approval else Payout.WaitingFor.NOTHING,
        amount=refund.amount,
        currency=refund.currency,
        fee_iva=IVA,
        destination_clabe=refund.destination_clabe,
        destination_bank=refund.destination_bank,
        destination_name=refund.destination_name,
        concept=spei_text.closest(f"Reembolso {merchant.name}", otherwise="Reembolso"),
        reference_number=1 + secrets.randbelow(9_999_999),
        next_attempt_at=None if needs_approval else now,
        created_at=now,
    )
    refund.attempt_rows = [*refund.attempts_read, payout]
    with joined() as writes:
        hold.place(
            merchant,
            livemode=refund.livemode,
            source=payout.public_id,
            amount=refund.amount,
            purpose=hold.Purpose.REFUND,
            when=PostingTime(now, calendar.operating_date(now)),
        )
        writes.insert(payout)
        if needs_approval:
            approval.request(APPROVAL_KIND, payout.public_id, payout_service.content_of(payout), maker)
        else:
            payout_service.defer_after(writes, payout, now)
    return payout


def _lock_target(merchant: Merchant, livemode: bool, wanted: NewRefund) -> tuple[Payment | None, Deposit]:
    if wanted.payment is None:
        return None, _lock_topup(merchant, livemode, wanted.deposit or "")
    own = Payment.objects.filter(merchant=merchant, livemode=livemode, public_id=wanted.payment)
    payment_id = own.values_list("pk", flat=True).first() if ids.is_id(wanted.payment, "payment") else None
    if payment_id is None:
        raise _unknown("payment", "You have no such payment in this mode.")
    payment = payment_service.lock(payment_id)
    deposits = dict(
        payment.deposits.filter(status=Deposit.Status.CREDITED).order_by("pk").values_list("public_id", "pk")
    )
    if not deposits:
        raise _refused("payment", "not_refundable", "This payment has received no money: nothing can be refunded.")
    if wanted.deposit is None and len(deposits) > 1:
        raise _refused(
            "deposit",
            "required",
            "This payment was paid by several deposits; name the one to refund: %(ids)s.",
            {"ids": ", ".join(list(deposits)[:_LISTED])},
        )
    chosen = wanted.deposit or next(iter(deposits))
    if chosen not in deposits:
        raise _refused(
            "deposit",
            "not_found",
            "This payment has no such deposit; it has %(ids)s.",
            {"ids": ", ".join(list(deposits)[:_LISTED])},
        )
    return payment, lock_deposit(deposits[chosen])


def _lock_topup(merchant: Merchant, livemode: bool, public_id: str) -> Deposit:
    funding = Clabe.objects.filter(merchant=merchant, livemode=livemode, purpose=Clabe.Purpose.FUNDING)
    own = Deposit.objects.filter(
        public_id=public_id, reusable_clabe__in=funding, purpose=Deposit.Purpose.FUNDING, status=Deposit.Status.CREDITED
    )
    found = own.values_list("pk", flat=True).first() if ids.is_id(public_id, "deposit") else None
    if found is None:
        raise _unknown("deposit", "You have no such top-up in this mode. For a deposit of a payment, name the payment.")
    return lock_deposit(found)


def _amount(deposit: Deposit, wanted: int | None) -> int:
    left = deposit.amount_refundable
    amount = left if wanted is None else wanted
    if left == 0 or amount > left:
        raise AmountExceedsRefundable(
            "Of this deposit of %(amount)s, %(left)s can still be refunded.",
            params={"amount": format_mxn(deposit.amount), "left": format_mxn(left)},
        )
    return amount


def _destination(deposit: Deposit, wanted: NewRefund) -> tuple[str, str, bool]:
    """CLABE, name, and whether it is the account that the deposit came from."""
    payer = deposit.payer_account
    if wanted.clabe is not None:
        return wanted.clabe, wanted.name, wanted.clabe == payer
    if not payer:
        message = "This was paid in cash: say in `destination` where the refund goes."
    elif not clabe_rules.is_valid(payer):
        message = "The payer's account is not a CLABE: say in `destination` where the refund goes."
    else:
        return payer, spei_text.closest(deposit.payer_name, otherwise="Ordenante"), True
    raise _refused("destination", "required", message)


def _unknown(name: str, message: str) -> NotFound:
    error = NotFound(message)
    error.errors = (FieldError(name, "not_found", message),)
    return error


def _refused(name: str, code: str, message: str, params: Mapping[str, object] | None = None) -> UnusableValue:
    return UnusableValue(message, errors=[FieldError(name, code, message, params)], params=params)
