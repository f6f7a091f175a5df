"""What list filters share: moments and days, ranges of money, texts, one of several choices."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NoReturn

from django.http import QueryDict
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from core.api.serializers import MomentField
from core.clock import local_day_bounds
from core.errors import FieldError, InvalidRequest
from core.money import MAX_AMOUNT

CREATED_AT = ("created_at[gte]", "created_at[gt]", "created_at[lte]", "created_at[lt]")
CREATED_AT_PARAMETERS = [
    OpenApiParameter(
        name, str, description="A moment (RFC 3339 with its offset), or a day: that whole day in Mexico City."
    )
    for name in CREATED_AT
]

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = MomentField(default_timezone=UTC)  # UTC holds every moment that can be written
_YEARS = range(1900, 9000)


def choice(query: QueryDict, name: str, choices: Sequence[str]) -> str | None:
    """The filter's value, one of ``choices``; None if it is not given."""
    value = query.get(name)
    if value is not None and value not in choices:
        refuse(name, _("Choose one of: %(choices)s.") % {"choices": ", ".join(choices)}, "invalid_choice")
    return value


def text(query: QueryDict, name: str, *, max_length: int, begins: bool = False) -> str | None:
    """The filter's text, 1 to ``max_length`` characters without control characters; None if it is not given.

    Spaces around it are dropped, as from the texts of a body, so that a text finds what was stored for it. A beginning
    (``begins``) keeps those behind it.
    """
    value = query.get(name)
    if value is None:
        return None
    value = value.lstrip() if begins else value.strip()
    if not value or len(value) > max_length:
        refuse(name, _("Give 1 to %(count)s characters.") % {"count": max_length})
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        refuse(name, "Control characters are not allowed.")
    return value


def amount(query: QueryDict, name: str) -> int | None:
    """Centavos, 0 or more; None if it is not given."""
    value = query.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= 18) or int(value) > MAX_AMOUNT:
        refuse(
            name, "Give the amount as a whole number of centavos, for example 125050 for $1,250.50.", "invalid_amount"
        )
    return int(value)


def created_at(query: QueryDict) -> tuple[datetime | None, datetime | None]:
    """``(first, end)`` of the moments that the filters ``created_at[…]`` leave: ``first <= created_at < end``.

    A value is a moment with its offset (RFC 3339), or a day, which means that whole day in Mexico City: ``gte`` from
    its first moment, ``gt`` from the first moment of the next day, ``lte`` to its last one, ``lt`` before its first.
    """
    first: list[datetime] = []
    end: list[datetime] = []
    for name in CREATED_AT:
        value = query.get(name)
        if value is None:
            continue
        begins, ends = _bounds(name, value)
        if name.endswith(("gte]", "gt]")):
            first.append(begins if name.endswith("gte]") else ends)
        else:
            end.append(ends if name.endswith("lte]") else begins)
    return max(first, default=None), min(end, default=None)


def refuse(name: str, message: str, code: str = "invalid") -> NoReturn:
    """Raise the refusal of one filter's value."""
    raise InvalidRequest(message, errors=[FieldError(name, code, message)])


def _bounds(name: str, value: str) -> tuple[datetime, datetime]:
    """First moment of what ``value`` names, and the first one after it: moments have microseconds."""
    message = "Give a moment as RFC 3339 with its offset (2026-11-26T18:00:00Z) or a day (2026-11-26)."
    try:
        if _DAY.fullmatch(value):
            day = date.fromisoformat(value)
            if day.year not in _YEARS:
                refuse(name, message)
            return local_day_bounds(day)
        moment = _MOMENT.run_validation(value)
    except (ValueError, serializers.ValidationError):
        refuse(name, message)
    if moment.year not in _YEARS:
        refuse(name, message)
    return moment, moment + timedelta(microseconds=1)
