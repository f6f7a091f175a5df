"""Keyset pages: the cost of a page does not grow with its depth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from django.http import QueryDict

from core.api import cursor
from core.errors import FieldError, InvalidRequest

M = TypeVar("M", bound=Model)

DEFAULT_LIMIT = 20
MAX_LIMIT = 100


def page(
    rows: QuerySet[M],
    query: QueryDict,
    *,
    owner: Sequence[object],
    render: Callable[[M], dict[str, Any]],
    order: str = "pk",
    oldest_first: bool = False,
) -> dict[str, Any]:
    """One page of ``rows`` by ``limit`` and ``cursor`` of the query string, ordered by the unique integer ``order``.

    ``owner`` says whose list it is (merchant and mode): a cursor of another owner, of another list or of other filters
    raises ``InvalidRequest`` with code ``invalid_cursor``. It holds the place where the page before ended, so a row
    that left the list meanwhile does not matter.
    """
    size = limit(query)
    bound_to = binding(rows.model._meta.label, owner, query)
    remaining = rows
    given = query.get("cursor")
    if given is not None:
        (after,) = cursor.unseal(given, 1, *bound_to)
        remaining = rows.filter(**{f"{order}__{'gt' if oldest_first else 'lt'}": after})
    found = list(remaining.order_by(order if oldest_first else f"-{order}")[: size + 1])
    shown, has_more = found[:size], len(found) > size
    return {
        "data": [render(row) for row in shown],
        "has_more": has_more,
        "next_cursor": cursor.seal([getattr(shown[-1], order)], *bound_to) if has_more else None,
    }


def binding(name: str, owner: Sequence[object], query: QueryDict) -> tuple[object, ...]:
    """What a cursor of list ``name`` belongs to: the list, its owner, and every filter of the query string."""
    filters = sorted((key, value) for key, value in query.items() if key not in ("limit", "cursor"))
    return name, tuple(owner), filters


def limit(query: QueryDict) -> int:
    """How many rows a page shows, 1 to 100; ``InvalidRequest`` for anything else."""
    text = query.get("limit")
    if text is None:
        return DEFAULT_LIMIT
    if text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_LIMIT:
        return int(text)
    message = f"The limit is a number from 1 to {MAX_LIMIT}."
    raise InvalidRequest(message, errors=[FieldError("limit", "invalid", message)])


def refuse_unknown(query: QueryDict, *known: str) -> None:
    """Raise ``InvalidRequest`` for a query parameter that the list does not have: a filter must never pass silently.

    One that is given twice is refused too: only one of its values could count.
    """
    allowed = {"limit", "cursor", *known}
    faults = [
        FieldError(name[:100], "unknown_field", "This filter does not exist.") for name in query if name not in allowed
    ]
    if faults:
        raise InvalidRequest("; ".join(f.field for f in faults), code="unknown_field", errors=faults)
    repeated = [FieldError(name, "invalid", "Give this once.") for name in query if len(query.getlist(name)) > 1]
    if repeated:
        raise InvalidRequest("; ".join(f.field for f in repeated), errors=repeated)
