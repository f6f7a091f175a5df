"""Notices that arrive together are carried out together: one transaction for as many as wait while another one runs.

Whoever comes first leads: it carries out what waits, itself included, and hands the lead to the next that came
meanwhile. Nobody waits for others to come, so that a notice that comes alone is carried out at once. An answer is given
after the common COMMIT.

Only what is sure to succeed joins: a notice that is new, about an object that nobody else holds. Whatever is not, or
fails, or shares a group that fails, is left to its own thread, which carries it out alone: one notice's fault never
becomes another's.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection, transaction
from psycopg_pool import PoolTimeout

from core.statements import can_commit
from core.unit_of_work import within
from core.writes import Writes, execute_together
from payments.services import notice as notice_service
from webhooks.inbound.models import ProviderEvent
from webhooks.inbound.services import applying
from webhooks.inbound.services.applying import Answer
from webhooks.inbound.services.dialect import Dialect, Read, Unreadable
from webhooks.inbound.services.store import Arrival, insert_all, look_at_all

logger = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class Waiting:
    """A notice that waits for its turn, and what became of it: an answer, an error that hit all, or neither: alone."""

    arrival: Arrival
    notice: Read
    dialect: Dialect
    event: ProviderEvent
    decided: Answer | None
    """The answer of a row that is settled already, whatever is stored."""
    answer: Answer | None = None
    error: Exception | None = None
    led_since: float = 0.0
    turn: Lock = field(default_factory=Lock)
    context: Context = field(default_factory=copy_context)

    def __post_init__(self) -> None:
        self.turn.acquire()


_LEADERS = 2
"""While PostgreSQL works for one, the other one decides."""

_mutex = Lock()
_waiting: deque[Waiting] = deque()
_leaders: set[Waiting] = set()


def join(item: Waiting) -> Answer | None:
    """The answer once the notice is carried out; None if it must be carried out alone. Nothing was written then.

    Raises ``OperationalError`` if there is no connection, or if it waited for as long as one may wait for that. A
    notice that is being carried out then may have been stored: sent again, it is a repetition. Within a transaction of
    the caller it is a group of its own, since nobody else's may depend on that.
    """
    if connection.in_atomic_block:
        if item.decided is None:
            _carry_out([item])
        return item.answer
    patience = _patience()
    connection.close()  # whoever leads may need it
    with _mutex:
        _waiting.append(item)
        _fill()
    if item not in _leaders and not item.turn.acquire(timeout=patience):
        _give_up(item, patience)
    if item in _leaders:
        _lead(item)
    if item.error is not None:  # its own: who raises one writes into it
        raise type(item.error)(*item.error.args) from item.error.__cause__
    return item.answer


def _fill() -> None:
    """Let those lead that have waited longest, if there is room."""
    while _waiting and len(_leaders) < _LEADERS:
        leader = _waiting.popleft()
        leader.led_since = time.monotonic()
        _leaders.add(leader)
        leader.turn.release()


def _lead(leader: Waiting) -> None:
    """Carry out the leader's notice and what has waited longest; then let the next one lead."""
    group = [leader]
    try:
        connection.ensure_connection()
        with _mutex:
            group += [_waiting.popleft() for _ in range(min(len(_waiting), settings.INBOX_TOGETHER - 1))]
        _carry_out(group)
    except Exception as error:
        leader.error = error
        with _mutex:
            if _leaders <= {leader}:  # whoever waits would only wait for the same
                for item in _waiting:
                    item.error = error
                    item.turn.release()
                _waiting.clear()
    finally:
        try:
            connection.close()  # for whoever leads next
        finally:
            with _mutex:
                _leaders.discard(leader)
                _fill()
            for item in group[1:]:
                item.turn.release()


def _give_up(item: Waiting, patience: float) -> None:
    """Nobody waits longer than for a connection. Leaders that have led for as long hang, perhaps for minutes: others
    lead past them.
    """
    with _mutex:
        if item in _leaders or item.turn.acquire(blocking=False):  # just now
            return
        if item in _waiting:
            _waiting.remove(item)
        item.error = OperationalError("the notices before this one take too long")
        item.error.__cause__ = PoolTimeout(f"no turn within {patience:g} s")
        latest = time.monotonic() - patience
        _leaders.difference_update([leader for leader in _leaders if leader.led_since <= latest])
        _fill()


def _patience() -> float:
    """Seconds that a request waits for a connection."""
    pool = connection.settings_dict["OPTIONS"].get("pool")
    return float(pool.get("timeout", 2)) if isinstance(pool, dict) else 2.0


def _carry_out(group: Sequence[Waiting]) -> None:
    """Answer whoever could be carried out; never raises for a notice."""
    for work, part in (
        (_store, [item for item in group if item.decided is not None]),
        (_apply, [item for item in group if item.decided is None]),
    ):
        if part:
            try:
                work(part)
            except Exception as error:  # each finds its own way alone
                passing = isinstance(error, OperationalError | notice_service.Overtaken)
                logger.log(
                    logging.INFO if passing else logging.WARNING,
                    "notices are carried out one by one",
                    exc_info=None if passing else error,
                    extra={"count": len(part), "why": type(error).__name__},
                )


def _store(group: Sequence[Waiting]) -> None:
    """Store rows that are settled already, by one statement that commits itself."""
    group = _without_repetitions(group)
    stored = insert_all([(item.arrival, item.event) for item in group])
    for item, is_stored in zip(group, stored, strict=True):
        if is_stored:
            item.answer = item.decided


def _apply(group: Sequence[Waiting]) -> None:
    """Lock what the notices are about, decide, write everything and commit."""
    asked = [
        (item, item.notice, query)
        for item in _without_repetitions(group)
        if not isinstance(item.notice, Unreadable)
        and (query := notice_service.lock_query(item.arrival.account, item.notice)) is not None
    ]
    if not asked:
        return
    answers = list[tuple[Waiting, Answer]]()
    with transaction.atomic():
        changes, targets = list[Writes](), set[object]()
        looked = look_at_all([(item.event, query) for item, _, query in asked])
        for (item, notice, _), row in zip(asked, looked, strict=True):
            if row is None:  # known, held by somebody else, or about nothing that is here
                continue
            target = notice_service.parse_target(notice, row)
            if target.key is None or target.key in targets:  # the second must see what the first did
                continue
            targets.add(target.key)
            unit = Writes()
            answers.append((item, item.context.run(_decide, item, target, unit)))
            changes.append(unit)
        execute_together(changes, commit=can_commit(connection))
    for item, answer in answers:
        item.answer = answer


def _decide(item: Waiting, target: notice_service.NoticeTarget[Any], unit: Writes) -> Answer:
    """Decide about one notice, within its own context and its own unit of work."""
    origin = applying.by_notice(item.arrival.account)
    with within(unit):
        return applying.apply(item.event, item.notice, item.dialect, origin, target=target, arrival=item.arrival)


def _without_repetitions(group: Sequence[Waiting]) -> list[Waiting]:
    """Of several notices with one id the first; in the order of ids, in which every group stores them."""
    first = dict[tuple[int, str], Waiting]()
    for item in group:
        first.setdefault((item.event.account_id, item.event.event_id), item)
    return [first[key] for key in sorted(first)]
