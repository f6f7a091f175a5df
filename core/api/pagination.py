"""Keyset pagination: a page costs the same at any depth."""

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
    prepare: Callable[[Sequence[M]], object] | None = None,
) -> dict[str, Any]:
    """One page of ``rows`` by ``limit`` and ``cursor`` of the query string, ordered by the unique integer ``order``.

    ``owner`` identifies the owner of the list (merchant and mode): a cursor of another owner, another list or other
    filters raises ``InvalidRequest`` with code ``invalid_cursor``. A cursor holds the position of the previous page's
    last row, so it stays valid if that row leaves the list. ``prepare`` gets the rows of the page before they are
    rendered, to read by one query what belongs to them.
    """
    size = limit(query)
    bound_to = binding(rows.model._meta.label, owner, query)
    remaining = rows
    sealed = query.get("cursor")
    if sealed is not None:
        (after,) = cursor.unseal(sealed, 1, *bound_to)
        remaining = rows.filter(**{f"{order}__{'gt' if oldest_first else 'lt'}": after})
    found = list(remaining.order_by(order if oldest_first else f"-{order}")[: size + 1])
    shown, has_more = found[:size], len(found) > size
    if prepare is not None:
        prepare(shown)
    return {
        "data": [render(row) for row in shown],
        "has_more": has_more,
        "next_cursor": cursor.seal([getattr(shown[-1], order)], *bound_to) if has_more else None,
    }


def binding(name: str, owner: Sequence[object], query: QueryDict) -> tuple[object, ...]:
    """The values that a cursor of list ``name`` is bound to: the list, its owner, and all filters of the query."""
    filters = sorted((key, value) for key, value in query.items() if key not in ("limit", "cursor"))
    return name, tuple(owner), filters


def limit(query: QueryDict) -> int:
    """The page size, 1 to 100. Raises ``InvalidRequest`` for anything else."""
    text = query.get("limit")
    if text is None:
        return DEFAULT_LIMIT
    if text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_LIMIT:
        return int(text)
    message = f"The limit is a number from 1 to {MAX_LIMIT}."
    raise InvalidRequest(message, errors=[FieldError("limit", "invalid", message)])


def refuse_unknown(query: QueryDict, *known: str) -> None:
    """Raise ``InvalidRequest`` for unknown query parameters, so that no filter is silently ignored.

    A repeated parameter is refused too, because only one of its values could take effect.
    """
    allowed = {"limit", "cursor", *known}
    faults = [
        FieldError(name[:100], "unknown_field", "This filter does not exist.") for name in query if name not in allowed
    ]
    if faults:
        raise InvalidRequest("; ".join(f.field for f in faults), code="unknown_field", errors=faults)
    repeated = [
        FieldError(name, "invalid", "Give this parameter only once.") for name in query if len(query.getlist(name)) > 1
    ]
    if repeated:
        raise InvalidRequest("; ".join(f.field for f in repeated), errors=repeated)
