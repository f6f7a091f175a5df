"""Refuses writes beside a keyed unit of work.

While a request with an Idempotency-Key decides what to write, nothing may be written except by the statement that
claims the key: a repeated request would write it again, and the claim could not undo it. The guard looks at every
statement on its way to PostgreSQL, from Django's cursors and from ``core.statements`` alike, and raises
``WriteBesideUnit`` for one that may write. It is active in production too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

BESIDE = {
    "ledger.open_accounts": "Opening an account is idempotent, and an account without entries changes no balance.",
    "payments.take_clabe_numbers": "Sequences never roll back; an unused number is given back or leaves a gap.",
}
"""What may be written beside a keyed unit of work, and why a repeated request does no harm with it."""

_LOCKS = re.compile(r"\bFOR\s+(?:NO\s+KEY\s+)?UPDATE\b", re.IGNORECASE)
_READS = re.compile(r"\s*(?:SELECT|VALUES|WITH|SHOW|SAVEPOINT|RELEASE|ROLLBACK\s+TO)\b", re.IGNORECASE)
_WRITES = re.compile(
    r"\b(?:INSERT|UPDATE|DELETE|MERGE|INTO|nextval|setval|pg_notify|set_config|dblink\w*|lo_\w+|procrastinate_\w+"
    r"|webhooks_(?:add|make|drop)_\w+|staff_record_\w+)\b",
    re.IGNORECASE,
)
"""Words that make a SELECT one that writes: data-modifying parts, and functions with an effect of their own. That this
database has no other volatile function is tested (tests/database/test_write_guard.py)."""

_active: ContextVar[bool] = ContextVar("write_guard", default=False)


class WriteBesideUnit(RuntimeError):
    """A keyed request wrote something that a repetition of it would write again."""


@lru_cache(maxsize=2_000)
def may_write(text: str) -> bool:
    """True unless ``text`` is a query without an effect. Row locks are none."""
    return _READS.match(text) is None or _WRITES.search(_LOCKS.sub("", text)) is not None


def check(text: str | bytes) -> None:
    """Raise ``WriteBesideUnit`` if the guard is active and ``text`` may write."""
    if _active.get():
        sql = text.decode() if isinstance(text, bytes) else text
        if may_write(sql):
            raise WriteBesideUnit(f"written beside the unit of work of a keyed request: {' '.join(sql.split())[:200]}")


@contextmanager
def guarded() -> Iterator[None]:
    """Within it, the current connection takes no writes but those of ``beside``."""
    token = _active.set(True)
    try:
        with connections[DEFAULT_DB_ALIAS].execute_wrapper(_check_cursor):
            yield
    finally:
        _active.reset(token)


@contextmanager
def beside(name: str) -> Iterator[None]:
    """A write that ``BESIDE`` allows under this name; ``KeyError`` for another name."""
    BESIDE[name]
    token = _active.set(False)
    try:
        yield
    finally:
        _active.reset(token)


def is_active() -> bool:
    """True while a keyed request decides."""
    return _active.get()


def _check_cursor(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    check(sql if isinstance(sql, str | bytes) else str(sql))
    return execute(sql, params, many, context)
