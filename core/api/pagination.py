"""Keyset pages: the cost of a page does not grow with its depth."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from django.http import QueryDict

from core.errors import FieldError, InvalidRequest

M = TypeVar("M", bound=Model)

DEFAULT_LIMIT = 20
MAX_LIMIT = 100


def page(
    rows: QuerySet[M],
    query: QueryDict,
    *,
    render: Callable[[M], dict[str, Any]],
    order: str = "pk",
    oldest_first: bool = False,
    within: QuerySet[M] | None = None,
) -> dict[str, Any]:
    """One page of ``rows`` by ``limit`` and ``cursor`` of the query string, ordered by the unique field ``order``.

    A cursor names the last row of the page before by its public id; one that is not ``within`` the whole list (``rows``
    unless given) raises ``InvalidRequest`` with code ``invalid_cursor``. Give ``within`` if ``rows`` are filtered by
    what may change: a row that has left the filter meanwhile still says where the next page begins.
    """
    limit = _limit(query.get("limit"))
    cursor = query.get("cursor")
    remaining = rows
    if cursor is not None:
        whole = rows if within is None else within
        after = whole.filter(public_id=_decode(cursor)).values_list(order, flat=True).first()
        if after is None:
            raise _invalid_cursor()
        remaining = rows.filter(**{f"{order}__{'gt' if oldest_first else 'lt'}": after})
    found = list(remaining.order_by(order if oldest_first else f"-{order}")[: limit + 1])
    shown, has_more = found[:limit], len(found) > limit
    return {
        "data": [render(row) for row in shown],
        "has_more": has_more,
        "next_cursor": _encode(str(shown[-1].public_id)) if has_more else None,  # type: ignore[attr-defined]
    }


def refuse_unknown(query: QueryDict, *known: str) -> None:
    """Raise ``InvalidRequest`` for a query parameter that the list does not have: a filter must never pass silently."""
    allowed = {"limit", "cursor", *known}
    faults = [
        FieldError(name[:100], "unknown_field", "This filter does not exist.") for name in query if name not in allowed
    ]
    if faults:
        raise InvalidRequest("; ".join(f.field for f in faults), code="unknown_field", errors=faults)


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_LIMIT:
        return int(text)
    message = f"The limit is a number from 1 to {MAX_LIMIT}."
    raise InvalidRequest(message, errors=[FieldError("limit", "invalid", message)])


def _encode(public_id: str) -> str:
    return base64.urlsafe_b64encode(public_id.encode()).decode().rstrip("=")


def _decode(cursor: str) -> str:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except (binascii.Error, ValueError):
        raise _invalid_cursor() from None
    if "\0" in text:
        raise _invalid_cursor()
    return text


def _invalid_cursor() -> InvalidRequest:
    message = "This cursor does not belong to this list."
    return InvalidRequest(message, code="invalid_cursor", errors=[FieldError("cursor", "invalid_cursor", message)])
