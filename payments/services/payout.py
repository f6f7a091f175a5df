"""Payouts: creating, approving and cancelling them.

``payout_sending`` sends them, ``payout_inquiry`` queries the provider, ``payout_outcome`` books the outcome.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core import calendar, clock, jobs
from core.db import transaction_required
from core.errors import DuplicateExternalId, IllegalTransition, KycRequired, ProviderUnavailable
from core.money import CURRENCY, fee_on_top, format_mxn
from core.mx import clabe as clabe_rules
from core.state import Origin, TransitionRow
from core.unit_of_work import joined, unit_of_work
from core.writes import Writes
from kyc.services import case as kyc_case
from ledger.services import hold
from ledger.services.journal import PostingTime
from merchants.models import Merchant
from payments.models import Destination, FeeRule, Payout, ProviderAccount, Refund
from payments.models.payout import APPROVAL_KIND
from payments.providers import registry
from payments.providers.payout import OutgoingOrder
from payments.resources.payout import with_approvals
from payments.services import payout_limit, provider_account
from payments.services.fee import terms
from payments.services.payout_lock import lock
from payments.services.refund_outcome import record_change
from staff.models import Approval
from staff.services import approval

OPEN = (Payout.Status.PENDING_APPROVAL, Payout.Status.PENDING)
"""States of a payout that was never sent and may be cancelled."""


@dataclass(frozen=True, slots=True)
class NewPayout:
    """A valid request for a payout. ``amount`` in centavos, ``name`` and ``concept`` folded (``core.mx.spei_text``)."""

    amount: int
    clabe: str
    name: str
    concept: str
    tax_id: str = ""
    reference_number: int | None = None
    external_id: str | None = None
    scheduled_for: datetime | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@transaction_required
def create(merchant: Merchant, *, livemode: bool, wanted: NewPayout, maker: User | str, origin: Origin) -> Payout:
    """Record a payout and hold its amount, fee and IVA. It is sent by the worker, after an approval if it needs one.

    ``maker`` is a person, whose payouts always need one, or the public id of the requesting API key. Raises
    ``KycRequired``, ``ProviderUnavailable``, the refusals of ``payout_limit``, ``DecisionNotAllowed`` for a person who
    may not propose, ``InsufficientFunds``, and ``DuplicateExternalId`` when it is written.
    """
    account = account_for(merchant, livemode=livemode)
    bank = payout_limit.bank_of(account, wanted.clabe)
    merchant = payout_limit.lock_settings(merchant)
    payout_limit.require_within(merchant, livemode=livemode, amount=wanted.amount, clabe=wanted.clabe)
    destination, is_new = payout_limit.destination(merchant, livemode=livemode, clabe=wanted.clabe)
    now = clock.now()
    costs = terms(merchant, FeeRule.Method.PAYOUT, clock.mexico_city_date(now))
    fee, fee_tax = fee_on_top(wanted.amount, percent=costs.percent, fixed=costs.fixed, rate=costs.iva)
    needs_approval = isinstance(maker, User) or _needs_approval(merchant, wanted.amount, is_new)
    payout = Payout(
        merchant=merchant,
        livemode=livemode,
        provider_account=account,
        kind=Payout.Kind.MERCHANT,
        status=Payout.Status.PENDING_APPROVAL if needs_approval else Payout.Status.PENDING,
        amount=wanted.amount,
        currency=CURRENCY,
        fee=fee,
        fee_tax=fee_tax,
        fee_percent=costs.percent,
        fee_fixed=costs.fixed,
        fee_iva=costs.iva,
        destination_clabe=wanted.clabe,
        destination_bank=bank,
        destination_name=wanted.name,
        destination_tax_id=wanted.tax_id,
        concept=wanted.concept,
        reference_number=wanted.reference_number or 1 + secrets.randbelow(9_999_999),
        external_id=wanted.external_id,
        metadata=dict(wanted.metadata),
        scheduled_for=wanted.scheduled_for,
        created_at=now,
    )
    due = max(moment for moment in (now, wanted.scheduled_for, destination.usable_at) if moment is not None)
    payout.waiting_for = _first_reason(payout, destination.usable_at, now)
    payout.next_attempt_at = None if needs_approval else due
    with joined() as writes:
        hold.place(
            merchant,
            livemode=livemode,
            source=payout.public_id,
            amount=payout.total,
            purpose=hold.Purpose.PAYOUT,
            when=PostingTime(now, calendar.operating_date(now)),
        )
        if is_new:
            writes.insert(destination)
        writes.insert(payout)
        writes.expect("payout_external_id_unique", DuplicateExternalId())
        record_change(payout, from_status="", origin=origin, event_type="payout.created")
        if needs_approval:
            approval.request(APPROVAL_KIND, payout.public_id, content_of(payout), maker)
        else:
            defer_after(writes, payout, due)
    return payout


def account_for(merchant: Merchant, *, livemode: bool) -> ProviderAccount:
    """The account that the merchant's payouts are sent from. Raises ``KycRequired`` and ``ProviderUnavailable``."""
    if livemode and not kyc_case.is_approved(merchant):
        raise KycRequired
    account = provider_account.accepting_payments(registry.PAYOUT_METHOD.provider, livemode=livemode)
    if account is None or not account.ordering_clabe:
        raise ProviderUnavailable("Payouts are not set up in this mode.")
    return account


def cancel(public_id: str, *, origin: Origin) -> Payout:
    """Withdraw a payout that was not sent; cancelling it again changes nothing. Its hold is released.

    Raises ``IllegalTransition`` for one that is being sent or has another final state, ``Payout.DoesNotExist``.
    """
    with unit_of_work():
        asked = approval.lock_of(APPROVAL_KIND, public_id)  # before the payout, as a decision locks them
        payout = lock(Payout.objects.values_list("pk", flat=True).get(public_id=public_id))
        if payout.status == Payout.Status.CANCELLED:
            return payout
        if payout.status not in OPEN or payout.kind != Payout.Kind.MERCHANT:
            raise IllegalTransition("Only a payout that was not sent yet can be cancelled.")
        withdraw(payout, asked, origin=origin)
        return payout


@transaction_required
def withdraw(payout: Payout, asked: Approval | None, *, origin: Origin) -> None:
    """Cancel a payout that was not sent and release its hold. It is locked, and so is its approval ``asked``."""
    if asked is not None and asked.status == Approval.Status.PENDING:
        approval.discard(asked)
    before = payout.status
    now = clock.now()
    payout.cancel(at=now)
    _end(payout, before, "cancelled_at", origin=origin, at=now)


def content_of(payout: Payout) -> dict[str, Any]:
    """The content that an approval is bound to; it never changes."""
    content = {
        "merchant": payout.merchant.public_id,
        "livemode": payout.livemode,
        "amount": payout.amount,
        "clabe": payout.destination_clabe,
        "name": payout.destination_name,
        "concept": payout.concept,
    }
    return content if payout.refund is None else {**content, "refund": payout.refund.public_id}


def is_approved(payout: Payout) -> bool:
    """True unless the payout's approval is missing or was granted for other contents."""
    with_approvals([payout])  # its event shows them, too
    asked = payout.approval_rows[-1] if payout.approval_rows else None
    return asked is None or (
        asked.status == Approval.Status.APPROVED and asked.content_sha256 == approval.digest(content_of(payout))
    )


def order_of(payout: Payout) -> OutgoingOrder:
    """The order to send; equal for every send on its operating date."""
    account = payout.provider_account
    if payout.operating_date is None:
        raise ValueError(f"{payout.public_id} has no operating date")
    return OutgoingOrder(
        tracking_key=payout.tracking_key,
        operating_date=payout.operating_date,
        amount=payout.amount,
        reference=payout.public_id,
        beneficiary_name=payout.destination_name,
        beneficiary_clabe=payout.destination_clabe,
        beneficiary_bank=payout.destination_bank,
        beneficiary_tax_id=payout.destination_tax_id,
        ordering_name=account.ordering_name,
        ordering_clabe=account.ordering_clabe,
        ordering_tax_id=account.ordering_tax_id,
        concept=payout.concept,
        reference_number=payout.reference_number,
    )


def register() -> None:
    """Make payouts a kind of action that can be approved."""
    approval.register(
        approval.Kind(
            name=APPROVAL_KIND,
            title=gettext_lazy("Payout"),
            page="payments_payout",
            content_of=lambda public_id: content_of(_find(public_id)),
            on_approved=_on_approved,
            on_closed=_on_closed,
            describe=_describe,
            permission="payments.approve_payout",
        )
    )


def _needs_approval(merchant: Merchant, amount: int, is_new: bool) -> bool:
    above = merchant.payout_approval_above
    return (above is not None and amount > above) or (is_new and merchant.payout_approval_new_destination)


def _first_reason(payout: Payout, usable_at: datetime, now: datetime) -> Payout.WaitingFor:
    reasons = Payout.WaitingFor
    if payout.status == Payout.Status.PENDING_APPROVAL:
        return reasons.APPROVAL
    if payout.scheduled_for is not None and payout.scheduled_for > now:
        return reasons.SCHEDULE
    return reasons.DESTINATION if usable_at > now else reasons.NOTHING


def _find(public_id: str) -> Payout:
    try:
        return Payout.objects.select_related("merchant", "refund__deposit", "refund__payment").get(public_id=public_id)
    except Payout.DoesNotExist as error:
        raise LookupError(public_id) from error


def _describe(public_id: str) -> Sequence[str]:
    payout = _find(public_id)
    sentences = [
        _("%(amount)s to %(name)s at %(bank)s, CLABE %(clabe)s")
        % {
            "amount": format_mxn(payout.amount),
            "name": payout.destination_name,
            "bank": clabe_rules.bank_name(payout.destination_clabe) or payout.destination_bank,
            "clabe": payout.destination_clabe,
        },
        _("From the balance of %(merchant)s, concept: %(concept)s")
        % {"merchant": payout.merchant.name, "concept": payout.concept},
    ]
    return sentences if payout.refund is None else [*sentences, *_about_refund(payout.refund)]


def _about_refund(refund: Refund) -> Sequence[str]:
    deposit = refund.deposit
    text = _("Refund of %(amount)s that %(name)s paid from %(account)s, reason: %(reason)s")
    if not deposit.payer_account:
        text = _("Refund of %(amount)s that were paid in cash, reason: %(reason)s")
    said = [
        text
        % {
            "amount": format_mxn(deposit.amount),
            "name": deposit.payer_name,
            "account": deposit.payer_account,
            "reason": refund.reason.rstrip("."),
        }
    ]
    if not refund.to_payer:
        said.append(_("The money goes to another account than the payer's: check who its holder is"))
    return said


def _on_approved(asked: Approval) -> None:
    payout = lock(_find(asked.subject).pk)
    before, now = payout.status, clock.now()
    payout.approve()
    usable_at = now
    if payout.kind == Payout.Kind.MERCHANT:
        usable_at = Destination.objects.values_list("usable_at", flat=True).get(
            merchant=payout.merchant, livemode=payout.livemode, clabe=payout.destination_clabe
        )
    payout.waiting_for = _first_reason(payout, usable_at, now)
    due = max(moment for moment in (now, payout.scheduled_for, usable_at) if moment is not None)
    payout.next_attempt_at = due
    with joined() as writes:
        writes.update(payout, "status", "waiting_for", "next_attempt_at")
        record_change(
            payout, from_status=before, origin=_by_approval(asked), event_type="payout.approved", reason=asked.public_id
        )
        defer_after(writes, payout, due)


def _on_closed(asked: Approval) -> None:
    payout = lock(_find(asked.subject).pk)
    before, now = payout.status, clock.now()
    if asked.status == Approval.Status.CANCELLED:  # withdrawn by the person who proposed it
        payout.cancel(at=now)
        _end(payout, before, "cancelled_at", origin=_by_approval(asked), at=now)
        return
    if asked.status == Approval.Status.EXPIRED:
        payout.reject(code="approval_expired", message=_("It was not approved in time."))
    else:
        payout.reject(code="approval_rejected", message=_("A second person did not approve it."))
    _end(payout, before, "failure_code", "failure_message", origin=_by_approval(asked), at=now)


def _by_approval(asked: Approval) -> Origin:
    """The person whose vote decided, or who withdrew the proposal."""
    last = asked.votes.select_related("user").order_by("-pk").first()
    person = asked.maker if asked.status == Approval.Status.CANCELLED else last.user if last is not None else None
    return Origin(TransitionRow.Cause.STAFF, person.get_username()[:100] if person else "approval", asked.public_id)


def _end(payout: Payout, before: str, *changed: str, origin: Origin, at: datetime) -> None:
    """Write the final state of a payout that was never sent, and release its hold."""
    payout.waiting_for, payout.next_attempt_at = Payout.WaitingFor.NOTHING, None
    with joined() as writes:
        writes.update(payout, "status", "waiting_for", "next_attempt_at", *changed)
        hold.release(hold.id_of(payout.public_id), when=PostingTime(at, calendar.operating_date(at)))
        record_change(payout, from_status=before, origin=origin, event_type=f"payout.{payout.status}")


def defer_after(writes: Writes, payout: Payout, due: datetime) -> None:
    """Defer the worker's job for the payout at its due time, after the rows of ``writes``."""
    writes.after_write(
        lambda: jobs.defer(
            "payments.advance_payout",
            queueing_lock=f"payout:{payout.public_id}",
            schedule_at=due if due > clock.now() else None,
            payout_id=payout.pk,
        )
    )
