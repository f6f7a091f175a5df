"""Background jobs, deferred by task name, so that a lower app can use a task of a higher app without importing it.

Jobs are stored in PostgreSQL (procrastinate) by the business transaction: rolled back with it, never lost after it.
Every task is idempotent: a job may run twice.

Every task belongs to a lane (``Lane``), which is its queue. Each lane has its own concurrency and connections, so that
a slow provider, receiver or report does not delay other lanes (docs/adr/0007).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db import transaction
from procrastinate import RetryStrategy
from procrastinate.contrib.django import app
from procrastinate.exceptions import AlreadyEnqueued

from core import write_guard
from core.unit_of_work import open_unit


class Lane(StrEnum):
    """The queue of a task. The worker runs each lane separately."""

    MONEY = "money"
    """Notices, expiries, releases and bookkeeping; calls no other system."""
    PROVIDERS = "providers"
    """All calls to providers. Only its process is given the key that signs calls to STP."""
    DELIVER = "deliver"
    """Calls to merchants' webhook endpoints."""
    SLOW = "slow"
    """Reports, batches, rollups, clean-up: work that may take minutes."""


class UnknownJob(LookupError):
    """No task has this name, or it belongs to no lane, so the job would never run."""


def defer(
    name: str,
    *,
    queueing_lock: str | None = None,
    lock: str | None = None,
    schedule_at: datetime | None = None,
    **arguments: Any,
) -> None:
    """Enqueue task ``name`` with ``arguments`` (JSON values only); it runs after this transaction commits.

    No second job is enqueued while one with the same ``queueing_lock`` waits. Jobs with the same ``lock`` run one at a
    time. In a keyed unit of work the job is enqueued after the unit is written, and not at all for a repeated request.
    Raises ``UnknownJob``.
    """
    lane_of(name)
    unit = open_unit()
    if unit is not None and write_guard.is_active():
        unit.after_write(
            lambda: defer(name, queueing_lock=queueing_lock, lock=lock, schedule_at=schedule_at, **arguments)
        )
        return
    options: dict[str, Any] = {}
    if lock is not None:
        options["lock"] = lock
    if queueing_lock is not None:
        options["queueing_lock"] = queueing_lock
    if schedule_at is not None:
        options["schedule_at"] = schedule_at
    try:
        with transaction.atomic():
            app.configure_task(name, **options).defer(**arguments)
    except AlreadyEnqueued:
        return


def lane_of(name: str) -> Lane:
    """The lane of task ``name``. Raises ``UnknownJob``."""
    task = app.tasks.get(name)
    try:
        return Lane(task.queue if task is not None else "")
    except ValueError:
        raise UnknownJob(f"no lane runs a task named {name!r}") from None


def task(name: str, *, lane: Lane, retry: RetryStrategy | bool = False) -> Callable[[Callable[..., Any]], Any]:
    """Decorator: declare a function as task ``name`` (``"<app>.<verb>_<noun>"``) of ``lane``."""
    return app.task(name=name, queue=lane, retry=retry)


def periodic(cron: str, name: str, *, lane: Lane) -> Callable[[Callable[..., Any]], Any]:
    """Decorator: declare a task that runs on the ``cron`` schedule (UTC). It receives the scheduled ``timestamp``."""

    def decorate(function: Callable[..., Any]) -> Any:
        declared = app.task(name=name, queue=lane, queueing_lock=name, pass_context=False)(function)
        return app.periodic(cron=cron)(declared)

    return decorate
