"""The unit of work: everything that one request or notice changes, written by one statement.

    with unit_of_work():           # the outermost caller: a transaction with one writing statement
        deposit.credit(...)        # services ...

    with joined() as writes:       # ... join it; without one, they write by a statement of their own
        writes.insert(row)

What is named is written when the unit ends: a query within it does not see it yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.db import transaction

from core import write_guard
from core.writes import Writes

_unit: ContextVar[Writes | None] = ContextVar("unit_of_work", default=None)
"""The writes that services join."""


@contextmanager
def unit_of_work(*, keyed: bool = False) -> Iterator[Writes]:
    """A transaction whose last statement is what services named within it: COMMIT goes along with that.

    ``keyed``: the caller will name a condition (``only_if``) that lets a repetition write nothing. Until then any other
    write raises ``core.write_guard.WriteBesideUnit``.

    Raises at its end what ``Writes.execute`` raises, and what COMMIT finds (deferred constraints). Nothing is committed
    if a row is missing or refused. Within another transaction it is a savepoint of it, which ends as ever. Raises
    ``RuntimeError`` within another unit of work.
    """
    if _unit.get() is not None:
        raise RuntimeError("a unit of work is open already: join it")
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
    """Let services join ``writes``, which the caller executes."""
    token = _unit.set(writes)
    try:
        yield writes
    finally:
        _unit.reset(token)


@contextmanager
def joined() -> Iterator[Writes]:
    """The writes of the unit of work that is open; without one, writes of one's own, executed at the end."""
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
    """Writes of one's own, executed at the end, also within a unit of work: for rows that the unit changes again.

    Raises ``core.write_guard.WriteBesideUnit`` within a keyed one.
    """
    if write_guard.is_active():
        raise write_guard.WriteBesideUnit("a keyed request writes by one statement only")
    own = Writes()
    with within(own):
        yield own
    own.execute()


def open_unit() -> Writes | None:
    """The unit of work that services join now."""
    return _unit.get()
