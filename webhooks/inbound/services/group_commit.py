"""Group commit: notices that arrive at the same time share one transaction.

At most ``_LEADERS`` threads lead at a time. A leader processes its own notice and those that are queued, and then the
next queued notice leads. No notice waits for others to arrive, so a single one is processed at once. Responses are
given after the common COMMIT.

A group takes only what is certain to succeed: new notices about rows that are not locked. Other notices, and those of
a group that failed, are left to their own threads, so that one faulty notice never affects another.
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
from webhooks.inbound.services.applying import NoticeResponse
from webhooks.inbound.services.dialect import Dialect, ParsedNotice, Unreadable
from webhooks.inbound.services.store import IncomingNotice, insert_all, lock_all

logger = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class QueuedNotice:
    """A notice in the queue and its result: a response, an error that concerns the whole group, or neither, if it must
    be processed individually.
    """

    incoming: IncomingNotice
    notice: ParsedNotice
    dialect: Dialect
    event: ProviderEvent
    early_response: NoticeResponse | None
    """The response of a notice that is settled independently of stored data."""
    response: NoticeResponse | None = None
    error: Exception | None = None
    leads_since: float = 0.0
    turn: Lock = field(default_factory=Lock)
    context: Context = field(default_factory=copy_context)

    def __post_init__(self) -> None:
        self.turn.acquire()


_LEADERS = 2
"""While PostgreSQL works for one leader, the other one decides about its notices."""

_mutex = Lock()
_queue: deque[QueuedNotice] = deque()
_leaders: set[QueuedNotice] = set()


def submit(item: QueuedNotice) -> NoticeResponse | None:
    """Process the notice in a group. None: it must be processed individually, and nothing was written.

    Raises ``OperationalError`` if there is no connection, or after waiting for a turn as long as for a connection. A
    notice in process at that time may have been stored: sent again, it is a repetition. Within a transaction of the
    caller it is a group of its own, because other notices must not depend on that transaction.
    """
    if settings.INBOX_TOGETHER == 1:
        return None
    if connection.in_atomic_block:
        if item.early_response is None:
            _process([item])
        return item.response
    timeout = _turn_timeout()
    connection.close()  # the leader may need it
    with _mutex:
        _queue.append(item)
        _appoint_leaders()
    if item not in _leaders and not item.turn.acquire(timeout=timeout):
        _time_out(item, timeout)
    if item in _leaders:
        _run_group(item)
    if item.error is not None:  # raise a copy: a traceback is written into the object
        raise type(item.error)(*item.error.args) from item.error.__cause__
    return item.response


def _appoint_leaders() -> None:
    """Let the longest waiting notices lead, up to ``_LEADERS``."""
    while _queue and len(_leaders) < _LEADERS:
        leader = _queue.popleft()
        leader.leads_since = time.monotonic()
        _leaders.add(leader)
        leader.turn.release()


def _run_group(leader: QueuedNotice) -> None:
    """Process the leader's notice and the longest waiting ones, then appoint the next leader."""
    group = [leader]
    try:
        connection.ensure_connection()
        with _mutex:
            group += [_queue.popleft() for _ in range(min(len(_queue), settings.INBOX_TOGETHER - 1))]
        _process(group)
    except Exception as error:
        leader.error = error
        with _mutex:
            if _leaders <= {leader}:  # the queued notices would wait for the same error
                for item in _queue:
                    item.error = error
                    item.turn.release()
                _queue.clear()
    finally:
        try:
            connection.close()  # for the next leader
        finally:
            with _mutex:
                _leaders.discard(leader)
                _appoint_leaders()
            for item in group[1:]:
                item.turn.release()


def _time_out(item: QueuedNotice, timeout: float) -> None:
    """Stop waiting for a turn. Leaders that have led for ``timeout`` seconds hang; replace them."""
    with _mutex:
        if item in _leaders or item.turn.acquire(blocking=False):  # it got its turn meanwhile
            return
        if item in _queue:
            _queue.remove(item)
        item.error = OperationalError("the notices before this one take too long")
        item.error.__cause__ = PoolTimeout(f"no turn within {timeout:g} s")
        latest = time.monotonic() - timeout
        _leaders.difference_update([leader for leader in _leaders if leader.leads_since <= latest])
        _appoint_leaders()


def _turn_timeout() -> float:
    """Seconds that a notice waits for its turn: as long as a request waits for a connection."""
    pool = connection.settings_dict["OPTIONS"].get("pool")
    return float(pool.get("timeout", 2)) if isinstance(pool, dict) else 2.0


def _process(group: Sequence[QueuedNotice]) -> None:
    """Set the responses of the notices that could be processed; never raises because of a notice."""
    for work, part in (
        (_store_settled, [item for item in group if item.early_response is not None]),
        (_apply, [item for item in group if item.early_response is None]),
    ):
        if part:
            try:
                work(part)
            except Exception as error:  # each of them is processed individually
                passing = isinstance(error, OperationalError | notice_service.Overtaken)
                logger.log(
                    logging.INFO if passing else logging.WARNING,
                    "notices are carried out one by one",
                    exc_info=None if passing else error,
                    extra={"count": len(part), "why": type(error).__name__},
                )


def _store_settled(group: Sequence[QueuedNotice]) -> None:
    """Insert rows that are already settled, by one statement that commits itself."""
    group = _unique(group)
    stored = insert_all([(item.incoming, item.event) for item in group])
    for item, is_stored in zip(group, stored, strict=True):
        if is_stored:
            item.response = item.early_response


def _apply(group: Sequence[QueuedNotice]) -> None:
    """Lock the targets of the notices, decide, write everything and commit."""
    queried = [
        (item, item.notice, query)
        for item in _unique(group)
        if not isinstance(item.notice, Unreadable)
        and notice_service.can_be_grouped(item.notice)
        and (query := notice_service.lock_query(item.incoming.account, item.notice)) is not None
    ]
    if not queried:
        return
    responses = list[tuple[QueuedNotice, NoticeResponse]]()
    with transaction.atomic():
        changes, targets = list[Writes](), set[object]()
        rows = lock_all([(item.event, query) for item, _, query in queried])
        for (item, notice, _), row in zip(queried, rows, strict=True):
            if row is None:  # a repetition, locked by another transaction, or without a target
                continue
            target = notice_service.parse_target(notice, row)
            if target.key is None or target.key in targets:  # the second must see the effect of the first
                continue
            targets.add(target.key)
            unit = Writes()
            responses.append((item, item.context.run(_decide, item, target, unit)))
            changes.append(unit)
        execute_together(changes, commit=can_commit(connection))
    for item, response in responses:
        item.response = response


def _decide(item: QueuedNotice, target: notice_service.NoticeTarget[Any], unit: Writes) -> NoticeResponse:
    """Decide about one notice, within its own context and its own unit of work."""
    origin = applying.notice_origin(item.incoming.account)
    with within(unit):
        return applying.apply(item.event, item.notice, item.dialect, origin, target=target, incoming=item.incoming)


def _unique(group: Sequence[QueuedNotice]) -> list[QueuedNotice]:
    """Without repetitions within the group; ordered by event id, so that all groups insert in the same order."""
    first = dict[tuple[int, str], QueuedNotice]()
    for item in group:
        first.setdefault((item.event.account_id, item.event.event_id), item)
    return [first[key] for key in sorted(first)]
