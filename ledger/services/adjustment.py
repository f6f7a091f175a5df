"""Adjustments: manual corrections of the ledger with a second person's approval, instead of SQL.

A proposal is checked by a dry run against the ledger. Approving it posts it, in the transaction of the deciding vote
(``staff.services.approval``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.files.base import ContentFile, File
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from core import calendar, clock
from core.errors import FieldError, InsufficientFunds, InvalidRequest
from core.files import MAX_BYTES, content_type_of, printable_name, sha256_of
from core.money import format_mxn
from ledger.models import Account, Adjustment, Transaction
from ledger.services import balance, reversal
from ledger.services.chart import AccountName
from ledger.services.errors import UnknownAccount
from ledger.services.journal import Leg, PostingTime
from ledger.services.postings.adjustment import adjustment as post_adjustment
from merchants.models import Merchant
from staff.models import Approval
from staff.services import approval

KIND = "ledger.adjustment"
OLDEST = date(2000, 1, 1)
"""Earliest date of an adjustment."""


@transaction.atomic
def propose(
    *,
    livemode: bool,
    description: str,
    reason: str,
    legs: Sequence[tuple[str, int]],
    effective_at: datetime,
    operating_date: date,
    evidence: File[Any] | None,
    maker: User,
) -> Adjustment:
    """Propose to post ``legs``: two or more account codes with centavos, debits positive, that sum to zero.

    ``effective_at`` may be long ago but not in the future. Raises the errors of posting it now
    (``ledger.services.errors``, ``InsufficientFunds``), ``InvalidRequest`` for invalid input, and
    ``DecisionNotAllowed`` for a maker without the permission; then nothing is written.
    """
    _refuse_impossible(effective_at, operating_date)
    wanted = Adjustment(
        livemode=livemode,
        description=description.strip(),
        legs=[{"account": code, "amount": amount} for code, amount in legs],
        effective_at=effective_at,
        operating_date=operating_date,
    )
    return _propose(wanted, reason, evidence, maker)


@transaction.atomic
def propose_reversal(
    original: Transaction, *, amount: int | None = None, reason: str, evidence: File[Any] | None, maker: User
) -> Adjustment:
    """Propose to reverse what is left of ``original``, or ``amount`` centavos of its debits.

    The legs are fixed now: if another reversal is posted first, approving this one is refused. Raises as ``propose``
    does, and ``NothingLeftToReverse``.
    """
    wanted = Adjustment(
        livemode=original.livemode, description=f"Reversión de {original.public_id}", legs=[], reverses=original
    )
    return _propose(wanted, reason, evidence, maker, amount)


def approval_of(adjustment: Adjustment) -> Approval | None:
    """The adjustment's approval."""
    return approval.of(KIND, adjustment.public_id)


def content(adjustment: Adjustment, evidence_sha256: str) -> dict[str, Any]:
    """The approved content, as JSON."""
    return {
        "id": adjustment.public_id,
        "livemode": adjustment.livemode,
        "description": adjustment.description,
        "reason": adjustment.reason,
        "legs": adjustment.legs,
        "reverses": adjustment.reverses.public_id if adjustment.reverses else None,
        "effective_at": clock.to_rfc3339(adjustment.effective_at) if adjustment.effective_at else None,
        "operating_date": adjustment.operating_date.isoformat() if adjustment.operating_date else None,
        "evidence": evidence_sha256,
        "maker": adjustment.maker_id,
    }


def debits(adjustment: Adjustment) -> int:
    """Centavos that it moves."""
    return sum(leg["amount"] for leg in adjustment.legs if leg["amount"] > 0)


def account_named(code: str) -> AccountName:
    """``platform:losses`` or ``mer_…:available`` as an account, opened or not. Raises ``UnknownAccount``."""
    owner, _separator, purpose = code.partition(":")
    if owner == "platform":
        return AccountName(purpose)
    merchant = Merchant.objects.filter(public_id=owner).first()
    if merchant is None:
        raise UnknownAccount(f"There is no account {code!r}.")
    return AccountName(purpose, merchant)


def register() -> None:
    """Register adjustments as a kind of approval."""
    approval.register(
        approval.Kind(
            KIND,
            title=gettext_lazy("Adjustment of the books"),
            page="ledger_adjustment",
            content_of=_content_of,
            on_approved=_on_approved,
            on_closed=_on_closed,
            describe=_describe,
        )
    )


def _propose(
    wanted: Adjustment, reason: str, evidence: File[Any] | None, maker: User, amount: int | None = None
) -> Adjustment:
    wanted.reason = _given(reason)
    wanted.maker = maker
    raw = _read(evidence)
    wanted.evidence_type = content_type_of(raw, field="evidence")
    wanted.evidence_name = printable_name(evidence.name or "" if evidence else "")
    wanted.evidence_sha256 = hashlib.sha256(raw).hexdigest()
    wanted.legs = _try_out(wanted, amount)
    approval.request(KIND, wanted.public_id, content(wanted, wanted.evidence_sha256), maker)
    wanted.evidence.save(wanted.public_id, ContentFile(raw), save=False)
    try:
        wanted.save(force_insert=True)
    except Exception:
        wanted.evidence.delete(save=False)
        raise
    return wanted


class _TriedOut(Exception):
    """Rolls back the dry run."""


def _try_out(wanted: Adjustment, amount: int | None) -> list[dict[str, Any]]:
    """Dry run: the legs that posting it now would write. Everything is rolled back."""
    legs: list[dict[str, Any]] = []
    try:
        with transaction.atomic():
            legs = _legs_of(_post(wanted, amount))
            raise _TriedOut
    except _TriedOut:
        return legs


def _post(adjustment: Adjustment, amount: int | None) -> Transaction:
    try:
        if adjustment.reverses is not None:
            now = clock.now()
            return reversal.reverse(
                adjustment.reverses,
                source=adjustment.public_id,
                when=PostingTime(now, calendar.operating_date(now)),
                description=adjustment.description,
                amount=amount,
            )
        if adjustment.effective_at is None or adjustment.operating_date is None:
            raise ValueError("an adjustment that reverses nothing has its own moment")
        return post_adjustment(
            livemode=adjustment.livemode,
            source=adjustment.public_id,
            legs=_named(adjustment),
            when=PostingTime(adjustment.effective_at, adjustment.operating_date),
            description=adjustment.description,
        )
    except InsufficientFunds as error:
        raise InsufficientFunds(_what_is_missing(adjustment)) from error


def _on_approved(given: Approval) -> None:
    adjustment = _locked(given)
    posted = _post(adjustment, debits(adjustment))
    if _legs_of(posted) != adjustment.legs:
        raise approval.ContentChanged("Another part of the transaction was reversed since; propose it again.")
    adjustment.book()
    adjustment.save(update_fields=["status", "resolved_at"])


def _on_closed(given: Approval) -> None:
    adjustment = _locked(given)
    adjustment.reject()
    adjustment.save(update_fields=["status", "resolved_at"])


def _content_of(public_id: str) -> dict[str, Any]:
    """The content that would be approved now, with the evidence as stored."""
    adjustment = Adjustment.objects.filter(public_id=public_id).select_related("reverses").first()
    if adjustment is None:
        raise LookupError(public_id)
    try:
        with adjustment.evidence.open("rb") as file:
            return content(adjustment, sha256_of(file))
    except FileNotFoundError as error:
        raise LookupError(f"the evidence of {public_id}") from error


def _describe(public_id: str) -> list[str]:
    adjustment = Adjustment.objects.filter(public_id=public_id).first()
    if adjustment is None:
        raise LookupError(public_id)
    return [f"{adjustment.description}: {format_mxn(debits(adjustment))}"]


def _locked(given: Approval) -> Adjustment:
    found = Adjustment.objects.select_for_update(of=("self",), no_key=True).select_related("reverses")
    return found.get(public_id=given.subject)


def _named(adjustment: Adjustment) -> list[Leg]:
    return [(account_named(leg["account"]), leg["amount"]) for leg in adjustment.legs]


def _legs_of(posted: Transaction) -> list[dict[str, Any]]:
    """The transaction's legs, debits first, then by account code."""
    legs = [(entry.account.code, entry.amount) for entry in posted.entries.select_related("account")]
    legs.sort(key=lambda leg: (leg[1] < 0, leg[0]))
    return [{"account": code, "amount": amount} for code, amount in legs]


def _what_is_missing(adjustment: Adjustment) -> str | None:
    """A sentence about the first account whose balance does not suffice."""
    for name, amount in _named(adjustment):
        if name.floor is not None and (amount > 0) == (name.normal_side == Account.Side.CREDIT):
            held = balance.of_name(name, livemode=adjustment.livemode)
            if held - abs(amount) < name.floor:
                return _("%(account)s holds %(held)s; %(needed)s are needed.") % {
                    "account": name.code,
                    "held": format_mxn(held),
                    "needed": format_mxn(abs(amount)),
                }
    return None


def _refuse_impossible(effective_at: datetime, operating_date: date) -> None:
    now = clock.now()
    if effective_at > now:
        raise _invalid("effective_at", "The moment is in the future.")
    if clock.mexico_city_date(effective_at) < OLDEST:
        raise _invalid("effective_at", "The moment is before the year 2000.")
    if not OLDEST <= operating_date <= clock.mexico_city_date(now) + timedelta(days=7):
        raise _invalid("operating_date", "The operating date is before the year 2000 or more than a week ahead.")


def _given(reason: str) -> str:
    reason = reason.strip()
    if not reason:
        raise _invalid("reason", "Give a reason.")
    if len(reason) > 500:
        raise _invalid("reason", "A reason has at most 500 characters.")
    return reason


def _read(evidence: File[Any] | None) -> bytes:
    if evidence is None:
        raise _invalid("evidence", "Attach the evidence.")
    return bytes(evidence.read(MAX_BYTES + 1))


def _invalid(field: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, errors=[FieldError(field, "invalid", message)])
