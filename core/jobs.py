"""Background jobs by name: a lower app may ask for work that a higher app does, without importing it.

Jobs live in PostgreSQL (procrastinate) and are deferred inside the business transaction: rolled back with it, never
lost after it. A job may run twice; every task must bear that.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db import transaction
from procrastinate import RetryStrategy
from procrastinate.contrib.django import app
from procrastinate.exceptions import AlreadyEnqueued

from core import write_guard
from core.unit_of_work import open_unit


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
    """
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
            app.configure_task(name, allow_unknown=True, **options).defer(**arguments)
    except AlreadyEnqueued:
        return


def task(name: str, *, retry: RetryStrategy | bool = False) -> Callable[[Callable[..., Any]], Any]:
    """Declare the function that carries out task ``name`` (``"<app>.<verb>_<noun>"``)."""
    return app.task(name=name, retry=retry)


def periodic(cron: str, name: str) -> Callable[[Callable[..., Any]], Any]:
    """Declare a task that the worker runs at ``cron`` times (UTC). It receives the planned ``timestamp``."""

    def decorate(function: Callable[..., Any]) -> Any:
        return app.periodic(cron=cron)(app.task(name=name, queueing_lock=name, pass_context=False)(function))

    return decorate
