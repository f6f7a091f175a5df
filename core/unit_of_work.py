"""The unit of work: all changes of one request or notice, written by one statement.

    with unit_of_work():           # the outermost caller: a transaction with one writing statement
        deposit.credit(...)        # services ...

    with joined() as writes:       # ... join it; outside a unit they execute their own statement
        writes.insert(row)

Rows are written when the unit ends: a query within it does not see them yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.db import transaction

from core import write_guard
from core.writes import Writes

_unit: ContextVar[Writes | None] = ContextVar("unit_of_work", default=None)
"""The current unit's writes, which services join."""


@contextmanager
def unit_of_work(*, keyed: bool = False) -> Iterator[Writes]:
    """A transaction that ends with one statement for all collected writes; COMMIT is sent together with it.

    ``keyed``: the caller will set a condition (``only_if``) under which a repeated request writes nothing. Until then
    any other write raises ``core.write_guard.WriteBesideUnit``.

    At its end raises the errors of ``Writes.execute`` and of COMMIT (deferred constraints). Nothing is committed if a
    row is missing or refused. Within another transaction it is a savepoint. Raises ``RuntimeError`` within another unit
    of work.
    """
    if _unit.get() is not None:
        raise RuntimeError("a unit of work is already open: join it")
    with transaction.atomic():
        writes = Writes()
        if keyed:
            with within(writes), write_guard.guarded():
                yield writes
        else:
            with within(writes):
                yield writes
        writes.execute_and_commit()


@contextmanager
def within(writes: Writes) -> Iterator[Writes]:
    """Context in which services join ``writes``, which the caller executes."""
    token = _unit.set(writes)
    try:
        yield writes
    finally:
        _unit.reset(token)


@contextmanager
def joined() -> Iterator[Writes]:
    """The writes of the open unit of work; without one, separate writes, executed at the end of the block."""
    writes = _unit.get()
    if writes is not None:
        yield writes
        return
    own = Writes()
    with within(own):
        yield own
    own.execute()


@contextmanager
def separately() -> Iterator[Writes]:
    """Separate writes, executed at the end of the block, also within a unit: for rows that the unit changes again.

    Raises ``core.write_guard.WriteBesideUnit`` within a keyed unit.
    """
    if write_guard.is_active():
        raise write_guard.WriteBesideUnit("a keyed request writes by a single statement")
    own = Writes()
    with within(own):
        yield own
    own.execute()


def open_unit() -> Writes | None:
    """The writes of the open unit of work; None outside one."""
    return _unit.get()
