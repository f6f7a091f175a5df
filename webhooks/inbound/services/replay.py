"""Replay of stored notices by staff, with a preview.

A replay takes the usual path. It is refused for a notice that was applied, and for one whose money was sent back (STP
got ``devolver``).
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection, transaction

from core.errors import IllegalTransition
from core.state import Origin, TransitionRow
from payments.models import Deposit, PaymentTransition
from webhooks.inbound.models import ProviderEvent
from webhooks.inbound.services import applying
from webhooks.inbound.services.dialect import DIALECTS, channel_of, read


class NothingToReplay(IllegalTransition):
    """This notice has been applied: replaying it would change nothing."""


class MoneyWentBack(IllegalTransition):
    """STP was told to return this money; it can no longer be booked."""


class BytesWereDropped(IllegalTransition):
    """The body of this notice was deleted after its retention; it can no longer be applied."""


@dataclass(frozen=True, slots=True)
class Effect:
    """The effect of a replay, or its preview.

    ``payments`` are (id, from, to), ``deposits`` (id, state, centavos); ``postings`` and ``events`` are counts.
    """

    status: str
    reason: str
    object_id: str
    payments: tuple[tuple[str, str, str], ...] = ()
    deposits: tuple[tuple[str, str, int], ...] = ()
    postings: int = 0
    events: int = 0

    @property
    def changes_nothing(self) -> bool:
        """True if only the notice's own row is written."""
        return not (self.payments or self.deposits or self.postings or self.events)


def refusal(event: ProviderEvent) -> IllegalTransition | None:
    """Why this notice cannot be replayed; None if it can."""
    if event.status == ProviderEvent.Status.PROCESSED:
        return NothingToReplay()
    if event.response_body.get("mensaje") == "devolver":
        return MoneyWentBack()
    return None


def preview(event_pk: int) -> Effect:
    """The effect that a replay would have now: it is executed, including deferred constraints, and rolled back.

    Raises the same errors as ``replay``.
    """
    with transaction.atomic():
        try:
            return _replay(event_pk, Origin(TransitionRow.Cause.STAFF, "preview"), "preview")
        finally:
            transaction.set_rollback(True)


def replay(event_pk: int, *, origin: Origin, reason: str) -> Effect:
    """Apply the notice now. If applying raises, everything is rolled back and the notice stays as it was.

    Raises ``NothingToReplay``, ``MoneyWentBack``, ``BytesWereDropped``, and whatever applying raises.
    """
    with transaction.atomic():
        return _replay(event_pk, origin, reason)


def _replay(event_pk: int, origin: Origin, reason: str) -> Effect:
    event = ProviderEvent.objects.select_for_update(of=("self",)).select_related("account").get(pk=event_pk)
    refused = refusal(event)
    if refused is not None:
        raise refused
    body = event.body
    if body is None:
        raise BytesWereDropped
    before = _written()
    known = set(_deposits(event)), set(_payments(event))
    if event.is_settled or event.status == ProviderEvent.Status.DEAD:
        applying.reopen(event, origin, reason=reason)
    dialect = DIALECTS[channel_of(event)]
    applying.apply(event, read(dialect, body, event.received_at, event.body_sha256), dialect, origin)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    after = _written()
    return Effect(
        event.status,
        event.reason if event.is_settled else event.last_error,
        event.object_id,
        payments=tuple(row for row in _payments(event) if row not in known[1]),
        deposits=tuple(row for row in _deposits(event) if row not in known[0]),
        postings=after[_POSTINGS] - before[_POSTINGS],
        events=after[_EVENTS] - before[_EVENTS],
    )


_POSTINGS, _EVENTS = "ledger_transaction", "merchants_event"


def _written() -> dict[str, int]:
    """Rows that this transaction has inserted so far; its cost does not depend on the size of the tables."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, n_tup_ins FROM pg_stat_xact_user_tables WHERE relname = ANY(%s)", [[_POSTINGS, _EVENTS]]
        )
        return dict(cursor.fetchall())


def _payments(event: ProviderEvent) -> list[tuple[str, str, str]]:
    rows = PaymentTransition.objects.filter(reference=event.public_id).order_by("id")
    return list(rows.values_list("payment__public_id", "from_status", "to_status"))


def _deposits(event: ProviderEvent) -> list[tuple[str, str, int]]:
    rows = Deposit.objects.filter(provider_event=event.public_id).order_by("id")
    return list(rows.values_list("public_id", "status", "amount"))
