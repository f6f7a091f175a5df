"""Parsing of list filters: timestamps and days, amounts, texts, choices."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NoReturn

from django.http import QueryDict
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from core.api.serializers import YEARS, DayField, MomentField, UnusableCode
from core.clock import local_day_bounds
from core.errors import FieldError, InvalidRequest, UnusableValue
from core.money import MAX_AMOUNT

CREATED_AT = ("created_at[gte]", "created_at[gt]", "created_at[lte]", "created_at[lt]")
CREATED_AT_PARAMETERS = [
    OpenApiParameter(
        name,
        {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]},
        description="A timestamp (RFC 3339 with offset), or a date, which means that day in Mexico City.",
    )
    for name in CREATED_AT
]
AMOUNT = {"type": "integer", "minimum": 0, "maximum": MAX_AMOUNT}

_DATE_CHARACTERS = 10
_DAY, _MOMENT = DayField(), MomentField()
_SPACE = r"[\s\x1c-\x1f\x85]*"
_TEXT = r"[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f\x85][^\x00-\x1f\x7f]*"


def text_schema(max_length: int, *, is_prefix: bool = False) -> dict[str, Any]:
    """The published schema of a filter that ``text`` parses."""
    pattern = f"^{_SPACE}{_TEXT}{'' if is_prefix else _SPACE}$"
    return {"type": "string", "maxLength": max_length, "pattern": pattern}


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
    if not value.strip() or len(value) > max_length:
        refuse(name, _("Give 1 to %(count)s characters.") % {"count": max_length})
    value = value.lstrip() if is_prefix else value.strip()
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
        if len(value) == _DATE_CHARACTERS:
            return local_day_bounds(_DAY.run_validation(value))
        moment = _MOMENT.run_validation(value)
    except serializers.ValidationError as error:
        if isinstance(error.get_codes()[0], UnusableCode):  # type: ignore[index]
            raise UnusableValue.of(name, message) from error
        refuse(name, message)
    if moment.year not in YEARS:
        raise UnusableValue.of(name, message)
    return moment, moment + timedelta(microseconds=1)
