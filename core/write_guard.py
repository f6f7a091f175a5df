"""Guard against writes outside a keyed unit of work.

A request with an Idempotency-Key may write only by the statement that claims the key: a repeated request would repeat
any other write, and the claim could not undo it. The guard inspects every statement before it is sent, from Django's
cursors and from ``core.statements``, and raises ``WriteBesideUnit`` for one that may write. It is active in production
too.
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
"""Writes that are allowed outside a keyed unit of work, each with the reason why repeating it is harmless."""

_LOCKS = re.compile(r"\bFOR\s+(?:NO\s+KEY\s+)?UPDATE\b", re.IGNORECASE)
_READS = re.compile(r"\s*(?:SELECT|VALUES|WITH|SHOW|SAVEPOINT|RELEASE|ROLLBACK\s+TO)\b", re.IGNORECASE)
_WRITES = re.compile(
    r"\b(?:INSERT|UPDATE|DELETE|MERGE|INTO|nextval|setval|pg_notify|set_config|dblink\w*|lo_\w+|procrastinate_\w+"
    r"|webhooks_(?:add|make|drop)_\w+|staff_record_\w+)\b",
    re.IGNORECASE,
)
"""Words that make a SELECT write: data-modifying CTEs and functions with side effects. A test asserts that the database
has no other volatile function (tests/database/test_write_guard.py)."""

_active: ContextVar[bool] = ContextVar("write_guard", default=False)


class WriteBesideUnit(RuntimeError):
    """A keyed request wrote outside its unit of work; repeating the request would repeat the write."""


@lru_cache(maxsize=2_000)
def may_write(text: str) -> bool:
    """True unless ``text`` is a query without side effects. Row locks do not count as writes."""
    return _READS.match(text) is None or _WRITES.search(_LOCKS.sub("", text)) is not None


def check(text: str | bytes) -> None:
    """Raise ``WriteBesideUnit`` if the guard is active and ``text`` may write."""
    if _active.get():
        sql = text.decode() if isinstance(text, bytes) else text
        if may_write(sql):
            raise WriteBesideUnit(f"a keyed request wrote outside its unit of work: {' '.join(sql.split())[:200]}")


@contextmanager
def guarded() -> Iterator[None]:
    """Context in which the connection refuses writes, except within ``beside``."""
    token = _active.set(True)
    try:
        with connections[DEFAULT_DB_ALIAS].execute_wrapper(_check_cursor):
            yield
    finally:
        _active.reset(token)


@contextmanager
def beside(name: str) -> Iterator[None]:
    """Context of a write that ``BESIDE`` allows under this name. Raises ``KeyError`` for another name."""
    BESIDE[name]
    token = _active.set(False)
    try:
        yield
    finally:
        _active.reset(token)


def is_active() -> bool:
    """True until a keyed request writes its unit of work."""
    return _active.get()


def _check_cursor(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    check(sql if isinstance(sql, str | bytes) else str(sql))
    return execute(sql, params, many, context)
