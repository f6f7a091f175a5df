"""Background jobs by name: a lower app may ask for work that a higher app does, without importing it.

Jobs live in PostgreSQL (procrastinate) and are deferred inside the business transaction: rolled back with it, never
lost after it. Tasks are idempotent: a job may run twice.

Every task belongs to a lane (``Lane``), which is its queue. Lanes have their own concurrency and connections, so that a
slow provider, receiver or report delays nothing of another lane (docs/adr/0007).
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
    """What kind of work a job is. The worker runs each lane separately."""

    MONEY = "money"
    """Applies notices, expiries, releases and what keeps the books; calls no other system."""
    PROVIDERS = "providers"
    """Every call to a provider. Only its process is given the key that signs calls to STP."""
    DELIVER = "deliver"
    """Calls merchants' webhook endpoints."""
    SLOW = "slow"
    """Reports, batches, rollups, clean-up: work that may take minutes."""


class UnknownJob(LookupError):
    """No task has this name, or it belongs to no lane: the job would never run."""


def defer(
    name: str,
    *,
    queueing_lock: str | None = None,
    lock: str | None = None,
    schedule_at: datetime | None = None,
    **arguments: Any,
) -> None:
    """Ask the worker to run task ``name`` with ``arguments`` (JSON values only) once this transaction commits.

    While a job with the same ``queueing_lock`` waits, another is not added. Jobs with the same ``lock`` run one after
    the other. In a keyed unit of work the job is deferred when the unit is written, and not at all by a repetition.
    Raises ``UnknownJob``.
    """
    lane_of(name)
    unit = open_unit()
    if unit is not None and write_guard.is_active():
        unit.afterwards(
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
    """Declare the function that carries out task ``name`` (``"<app>.<verb>_<noun>"``) in ``lane``."""
    return app.task(name=name, queue=lane, retry=retry)


def periodic(cron: str, name: str, *, lane: Lane) -> Callable[[Callable[..., Any]], Any]:
    """Declare a task that the worker runs at ``cron`` times (UTC). It receives the planned ``timestamp``."""

    def decorate(function: Callable[..., Any]) -> Any:
        declared = app.task(name=name, queue=lane, queueing_lock=name, pass_context=False)(function)
        return app.periodic(cron=cron)(declared)

    return decorate
