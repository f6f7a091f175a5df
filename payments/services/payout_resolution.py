"""Payouts that need a person: which they are, what is known of one, and what two people may decide about it.

A resolution is proposed by one person with evidence and carried out by a second one's vote
(``staff.services.approval``). What it may say is checked at both moments, under the payout's lock.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.files.base import ContentFile, File
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core import clock, jobs
from core.db import transaction_required
from core.errors import FieldError, IllegalTransition, InvalidRequest
from core.files import MAX_BYTES, content_type_of, printable_name, sha256_of
from core.money import format_mxn
from core.state import Origin, TransitionRow
from core.unit_of_work import joined
from payments.models import Payout, PayoutResolution, ProviderCall
from payments.models.payout_resolution import KIND
from payments.services import payout_outcome, payout_return, provider_client
from payments.services.payout_lock import lock
from staff.models import Approval
from staff.services import approval

Decision = PayoutResolution.Decision
_states, _outcomes = Payout.Status, Payout.SendOutcome
OPEN_CALL = "open"
"""In ``Evidence.calls``: a call of which no outcome is recorded."""

ANOTHER_ORDER = "order_differs"
"""``Payout.needs_staff``: the provider has another order under its tracking key, so that no answer ever decides."""

_PERSON = ~Q(needs_staff="") | Q(delayed=True)
ATTENTION = {
    "person": _PERSON,
    "unknown": _PERSON & Q(status=_states.PROCESSING, send_outcome=_outcomes.UNKNOWN),
    "delayed": Q(delayed=True),
    "liquidity": Q(
        status__in=[_states.PENDING, _states.PROCESSING],
        waiting_for=Payout.WaitingFor.LIQUIDITY,
        next_attempt_at__isnull=False,
    ),
}
"""What staff looks at. ``person``: one that is marked or delayed; an unknown outcome is always delayed."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a payout that a person looks at.

    ``calls``: outcome -> number of the calls that sent it. ``last_question``: the last time that the provider was asked
    about this order alone. ``fails_from``: when it fails by itself at the earliest if the provider lacks it; None
    unless its outcome is unknown. ``refusals``: why each decision cannot be made now, "" if it can.
    """

    calls: Counter[str]
    last_question: ProviderCall | None
    fails_from: datetime | None
    refusals: dict[str, str]


def narrowed(rows: QuerySet[Payout], attention: str) -> QuerySet[Payout]:
    """Only the payouts of a key of ``ATTENTION``; all of them for another text."""
    return rows.filter(ATTENTION[attention]) if attention in ATTENTION else rows


def may_be_asked(payout: Payout) -> bool:
    """True if the provider has, or may have, an order of the payout to be asked about."""
    if payout.operating_date is None or payout.status in (_states.PENDING_APPROVAL, _states.PENDING):
        return False
    return payout.status != _states.PROCESSING or payout.send_outcome in (_outcomes.ACCEPTED, _outcomes.UNKNOWN)


@transaction.atomic
def ask_now(payout_id: int) -> None:
    """Let the worker ask the provider about the payout now. Raises ``IllegalTransition`` if there is nothing to ask."""
    payout = lock(payout_id)
    if not may_be_asked(payout):
        raise IllegalTransition("The provider has no order of this payout to be asked about.")
    if payout.next_attempt_at is not None and payout.next_attempt_at <= clock.now():
        raise IllegalTransition("The worker is about to ask already.")
    payout.next_attempt_at = clock.now()
    with joined() as writes:
        writes.update(payout, "next_attempt_at")
    jobs.defer("payments.advance_payout", queueing_lock=f"ask:{payout.public_id}", payout_id=payout.pk)


def evidence(payout: Payout) -> Evidence:
    """What is known of the payout now."""
    calls = Counter(
        outcome or OPEN_CALL
        for outcome in ProviderCall.objects.filter(
            object_id=payout.public_id, operation=provider_client.SEND
        ).values_list("outcome", flat=True)
    )
    questions = ProviderCall.objects.filter(object_id=payout.public_id).exclude(operation=provider_client.SEND)
    return Evidence(
        calls=calls,
        last_question=questions.order_by("-id").first(),
        fails_from=_fails_from(payout),
        refusals={decision: refusal(payout, decision) for decision in Decision.values},
    )


def refusal(payout: Payout, decision: str) -> str:
    """Why ``decision`` cannot be made about the payout now, for people; "" if it can."""
    if decision == Decision.NOT_RETURNED:
        return payout_return.undo_refusal(payout)
    if decision == Decision.SEEN:
        return "" if payout.needs_staff else _("It is not marked for a person.")
    if payout.status == _states.PROCESSING and payout.send_outcome == _outcomes.SENDING:
        return _("It is being sent at this moment.")
    if decision == Decision.SETTLED:
        if payout.liquidated_at is not None:
            return _("Its settlement is known already.")
        possible = payout.status in (_states.PROCESSING, _states.FAILED)
        return "" if possible else _("Only a payout that is in process or failed can turn out to be settled.")
    if decision == Decision.RETURNED:
        if payout.returned_at is not None:
            return _("Its return is known already.")
        possible = payout.status in (_states.PROCESSING, _states.COMPLETED)
        return "" if possible else _("Only a payout that is in process or completed can come back.")
    return _why_not_failed(payout)


def possible(payout: Payout) -> list[str]:
    """The decisions that can be made about the payout now."""
    return [decision for decision in Decision.values if not refusal(payout, decision)]


@transaction.atomic
def propose(
    payout_id: int,
    *,
    decision: str,
    reason: str,
    maker: User,
    happened_at: datetime | None = None,
    file: File[Any] | None = None,
) -> PayoutResolution:
    """Propose ``decision`` about a payout; a second person's approval carries it out.

    ``reason`` says what the evidence is; ``happened_at`` is when the money was settled or came back, now by default.
    Raises ``InvalidRequest`` for bad input, ``IllegalTransition`` if the decision cannot be made now or another one
    waits already, and ``DecisionNotAllowed`` for a maker without the permission; then nothing is written.
    """
    payout = lock(payout_id)
    _require_possible(payout, decision)
    if payout.resolutions.filter(status=PayoutResolution.Status.PROPOSED).exists():
        raise IllegalTransition("Another resolution of this payout waits for a decision.")
    wanted = PayoutResolution(
        payout=payout,
        decision=decision,
        reason=_given(reason),
        happened_at=_moment(payout, happened_at) if decision in (Decision.SETTLED, Decision.RETURNED) else None,
        maker=maker,
    )
    raw = b""
    if file is not None:
        raw = bytes(file.read(MAX_BYTES + 1))
        wanted.evidence_type = content_type_of(raw, field="evidence")
        wanted.evidence_name = printable_name(file.name or "")
        wanted.evidence_sha256 = hashlib.sha256(raw).hexdigest()
    approval.request(KIND, wanted.public_id, _content(wanted, wanted.evidence_sha256), maker)
    if raw:
        wanted.evidence.save(wanted.public_id, ContentFile(raw), save=False)
    try:
        wanted.save(force_insert=True)
    except Exception:
        if raw:
            wanted.evidence.delete(save=False)
        raise
    return wanted


def approval_of(resolution: PayoutResolution) -> Approval | None:
    """The resolution's approval."""
    return approval.of(KIND, resolution.public_id)


def register() -> None:
    """Make resolutions a kind of action that can be approved: the maker and one other person make two."""
    approval.register(
        approval.Kind(
            name=KIND,
            title=gettext_lazy("Resolution of a payout"),
            page="payments_payoutresolution",
            content_of=_content_of,
            on_approved=_on_approved,
            on_closed=_on_closed,
            describe=_describe,
            permission="payments.resolve_payout",
        )
    )


def _why_not_failed(payout: Payout) -> str:
    if payout.status != _states.PROCESSING or payout.liquidated_at is not None:
        return _("Only a payout that is in process and not settled can fail.")
    if payout.send_outcome == _outcomes.NOT_SENT and not provider_client.may_have_sent(payout.public_id):
        return ""
    if payout.send_outcome != _outcomes.UNKNOWN:
        return _("The provider took it, or a call that may have sent it has no outcome.")
    fails_from = _fails_from(payout)
    if payout.needs_staff != ANOTHER_ORDER:
        return _("It may have left. It fails by itself when the provider has said twice that it lacks the order.")
    if fails_from is None or clock.now() < fails_from:
        return _("It may still be carried out: wait until the provider's time is over.")
    return ""


def _fails_from(payout: Payout) -> datetime | None:
    """The end of the window after an unknown outcome, and of the order's operating day."""
    if payout.status != _states.PROCESSING or payout.send_outcome != _outcomes.UNKNOWN:
        return None
    if payout.send_started_at is None or payout.operating_date is None:
        return None
    window: timedelta = settings.PAYOUT_NOT_FOUND_WINDOW
    # The day counts until midnight, by the database's rule too, not only until the cut.
    next_day = datetime.combine(payout.operating_date + timedelta(days=1), time(), tzinfo=clock.MEXICO_CITY)
    return max(payout.send_started_at + window, next_day)


@transaction_required
def _on_approved(asked: Approval) -> None:
    resolution = _locked(asked)
    if resolution.decision == Decision.NOT_RETURNED:
        payout_return.lock_match(resolution.payout_id)  # before the payout
    payout = lock(resolution.payout_id)
    _require_possible(payout, resolution.decision)
    resolution.apply()
    resolution.save(update_fields=["status", "resolved_at"])  # its guard looks at the payout as it is now
    vote = asked.votes.select_related("user").order_by("-pk").first()
    actor = vote.user.get_username()[:100] if vote is not None else "approval"
    _carry_out(payout, resolution, Origin(TransitionRow.Cause.STAFF, actor, resolution.public_id))


def _carry_out(payout: Payout, resolution: PayoutResolution, origin: Origin) -> None:
    at = resolution.happened_at or clock.now()
    match resolution.decision:
        case Decision.NEVER_LEFT:
            done = payout_outcome.fail(
                payout, code="not_executed", message=_("The provider never carried it out."), origin=origin
            )
        case Decision.SETTLED:
            done = payout_outcome.settle(payout, at=at, origin=origin, confirmed=True)
        case Decision.RETURNED:
            done = payout_outcome.come_back(payout, at=at, cause=None, origin=origin)
        case Decision.NOT_RETURNED:
            payout_return.undo(payout, resolution=resolution.public_id, origin=origin, reason=resolution.reason)
            done = True
        case _:
            done = True
    if not done:
        raise IllegalTransition
    payout.needs_staff = ""  # people have looked at it
    with joined() as writes:
        writes.update(payout, "needs_staff")


def _on_closed(asked: Approval) -> None:
    resolution = _locked(asked)
    resolution.reject()
    resolution.save(update_fields=["status", "resolved_at"])


def _content(resolution: PayoutResolution, evidence_sha256: str) -> dict[str, Any]:
    return {
        "id": resolution.public_id,
        "payout": resolution.payout.public_id,
        "decision": resolution.decision,
        "happened_at": clock.to_rfc3339(resolution.happened_at) if resolution.happened_at else None,
        "reason": resolution.reason,
        "evidence": evidence_sha256,
        "maker": resolution.maker_id,
    }


def _content_of(public_id: str) -> dict[str, Any]:
    """The content that would be approved now, with the evidence as stored."""
    resolution = _find(public_id)
    if not resolution.evidence:
        return _content(resolution, "")
    try:
        with resolution.evidence.open("rb") as file:
            return _content(resolution, sha256_of(file))
    except FileNotFoundError as error:
        raise LookupError(f"the evidence of {public_id}") from error


def _describe(public_id: str) -> Sequence[str]:
    resolution = _find(public_id)
    payout = resolution.payout
    return [
        _("%(payout)s of %(amount)s for %(merchant)s: %(decision)s")
        % {
            "payout": payout.public_id,
            "amount": format_mxn(payout.amount),
            "merchant": payout.merchant.name,
            "decision": resolution.get_decision_display(),
        },
        resolution.reason.rstrip("."),
    ]


def _find(public_id: str) -> PayoutResolution:
    found = PayoutResolution.objects.select_related("payout__merchant").filter(public_id=public_id).first()
    if found is None:
        raise LookupError(public_id)
    return found


def _locked(asked: Approval) -> PayoutResolution:
    return PayoutResolution.objects.select_for_update(of=("self",), no_key=True).get(public_id=asked.subject)


def _require_possible(payout: Payout, decision: str) -> None:
    if decision not in Decision.values:
        raise _invalid("decision", "Choose one of the listed decisions.")
    if why := refusal(payout, decision):
        raise IllegalTransition(why)


def _given(reason: str) -> str:
    reason = reason.strip()
    if not reason:
        raise _invalid("reason", "Say what the evidence is.")
    if len(reason) > 500:
        raise _invalid("reason", "The evidence in words has at most 500 characters.")
    return reason


def _moment(payout: Payout, happened_at: datetime | None) -> datetime:
    now = clock.now()
    if happened_at is None:
        return now
    if happened_at > now:
        raise _invalid("happened_at", "The moment is in the future.")
    if happened_at < payout.created_at.replace(second=0, microsecond=0):
        raise _invalid("happened_at", "The moment is before the payout was created.")
    return happened_at


def _invalid(field: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, errors=[FieldError(field, "invalid", message)])
