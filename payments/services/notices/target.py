"""The target of a notice: the row that is locked before anything is decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db import models

from core.writes import Sql, fetch, numbered

T = TypeVar("T", bound=models.Model)


@dataclass(frozen=True, slots=True)
class NoticeTarget(Generic[T]):
    """The locked target of a notice, or None if there is none.

    ``related`` is further data of the lock query, specific to the kind of notice. It may be older than the lock.
    """

    object: T | None
    related: Any = None

    @property
    def key(self) -> tuple[str, int] | None:
        """Identifies the target. Two notices with equal keys must be applied one after the other."""
        return None if self.object is None else (self.object._meta.label, self.object.pk)


def locked_row(query: Sql | None) -> Sequence[Any] | None:
    """Execute a lock query separately; waits until the row is not locked."""
    rows = fetch(numbered(query.text), query.params) if query is not None else []
    return rows[0] if rows else None
