"""Strict JSON parser: exact numbers, unique keys, and only text that PostgreSQL can store.

The standard parser converts numbers to floats, keeps the last of duplicate keys and accepts ``NaN``.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, NoReturn

MAX_NUMBER_LENGTH = 40
"""Longest number accepted, in characters."""

MAX_EXPONENT = 40


class NotStrictJson(ValueError):
    """The bytes are not strict JSON. ``template`` is the message with ``%(name)s`` for each of ``params``."""

    def __init__(self, template: str, **params: object) -> None:
        self.template, self.params = template, params
        super().__init__(template % params if params else template)


def loads(raw: bytes) -> Any:
    """The JSON value in ``raw``: integers as ``int``, other numbers as ``Decimal``, never a float.

    Raises ``NotStrictJson`` with a message for people: not UTF-8, not JSON, duplicate keys, NaN and Infinity, numbers
    beyond 40 characters or 10^±40, lone surrogates, nesting beyond Python's recursion limit.
    """
    try:
        value = json.loads(
            raw.decode("utf-8"),
            parse_int=_integer,
            parse_float=_decimal,
            parse_constant=_refuse_constant,
            object_pairs_hook=_without_duplicates,
        )
    except UnicodeDecodeError:
        raise NotStrictJson("The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise NotStrictJson(
            "The body is not valid JSON: line %(line)s, column %(column)s.", line=error.lineno, column=error.colno
        ) from None
    except RecursionError:
        raise NotStrictJson("The body is nested too deeply.") from None
    if b"\\u" in raw:  # UTF-8 itself cannot encode a surrogate
        _refuse_surrogates(value)
    return value


def _integer(digits: str) -> int:
    if len(digits) > MAX_NUMBER_LENGTH:
        raise NotStrictJson("The body contains a number that is too long.")
    return int(digits)


def _decimal(digits: str) -> Decimal:
    if len(digits) > MAX_NUMBER_LENGTH:
        raise NotStrictJson("The body contains a number that is too long.")
    try:
        number = Decimal(digits)
    except ArithmeticError:  # the exponent is beyond the limits of Decimal
        raise NotStrictJson("The body contains a number that is too large.") from None
    if abs(number.adjusted()) > MAX_EXPONENT:
        raise NotStrictJson("The body contains a number that is too large or too small.")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise NotStrictJson("The body contains %(name)s, which is not a JSON number.", name=name)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise NotStrictJson("The body contains a duplicate key.")
    return members


def _refuse_surrogates(value: Any) -> None:
    """Refuse a lone surrogate (``\\ud800``), which neither UTF-8 nor PostgreSQL can represent."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            pending.extend(item)
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, str) and not item.isascii():
            try:
                item.encode("utf-8")
            except UnicodeEncodeError:
                raise NotStrictJson("The body contains a lone surrogate.") from None
