"""Parsing of list filters: timestamps and days, amounts, texts, choices."""

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
        name, str, description="A timestamp (RFC 3339 with offset), or a date, which means that day in Mexico City."
    )
    for name in CREATED_AT
]

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = MomentField(default_timezone=UTC)  # UTC can represent every timestamp that can be written
_YEARS = range(1900, 9000)


def choice(query: QueryDict, name: str, choices: Sequence[str]) -> str | None:
    """The filter's value, one of ``choices``; None if it is absent."""
    value = query.get(name)
    if value is not None and value not in choices:
        refuse(name, _("Choose one of: %(choices)s.") % {"choices": ", ".join(choices)}, "invalid_choice")
    return value


def text(query: QueryDict, name: str, *, max_length: int, is_prefix: bool = False) -> str | None:
    """The filter's text, 1 to ``max_length`` characters without control characters; None if it is absent.

    Surrounding spaces are stripped, as they are from texts in a body, so that a filter matches the stored value. A
    prefix (``is_prefix``) keeps its trailing spaces.
    """
    value = query.get(name)
    if value is None:
        return None
    value = value.lstrip() if is_prefix else value.strip()
    if not value or len(value) > max_length:
        refuse(name, _("Give 1 to %(count)s characters.") % {"count": max_length})
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        refuse(name, "Control characters are not allowed.")
    return value


def amount(query: QueryDict, name: str) -> int | None:
    """Centavos, 0 or more; None if it is absent."""
    value = query.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and len(value) <= 18) or int(value) > MAX_AMOUNT:
        refuse(
            name, "Give the amount as a whole number of centavos, for example 125050 for $1,250.50.", "invalid_amount"
        )
    return int(value)


def created_at(query: QueryDict) -> tuple[datetime | None, datetime | None]:
    """The range ``(first, end)`` that the filters ``created_at[…]`` select: ``first <= created_at < end``.

    A value is a timestamp with offset (RFC 3339), or a date, which means that day in Mexico City: ``gte`` from its
    start, ``gt`` from the start of the next day, ``lte`` until its end, ``lt`` before its start.
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
    """Raise the error for the value of one filter."""
    raise InvalidRequest(message, errors=[FieldError(name, code, message)])


def _bounds(name: str, value: str) -> tuple[datetime, datetime]:
    """Start and exclusive end of the time that ``value`` names; a timestamp covers one microsecond."""
    message = "Give a timestamp in RFC 3339 with offset (2026-11-26T18:00:00Z) or a date (2026-11-26)."
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
