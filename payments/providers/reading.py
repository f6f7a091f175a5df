"""Tolerant parsing of what providers send: money must not be refused because of a badly encoded accent.

A value that cannot be read is ``DAMAGED``: an adapter refuses the notice only if it needs this value. The raw bytes are
stored unchanged.
"""

from __future__ import annotations

import codecs
import json
from decimal import Decimal
from typing import Any, Final

from core.strict_json import MAX_EXPONENT, MAX_NUMBER_LENGTH
from payments.providers.errors import UnreadableNotice


class _Damaged:
    """The type of ``DAMAGED``: neither text, number, list nor object, so that no reader accepts it."""

    def __repr__(self) -> str:
        return "DAMAGED"


DAMAGED: Final = _Damaged()
"""A value that cannot be read: a number out of range, NaN, or two values with one key."""


def text_of(raw: bytes) -> str:
    """``raw`` as text: UTF-8, UTF-16 or UTF-32 (with or without a byte order mark), else Windows-1252.

    The charset in the headers is ignored, because senders declare a wrong one. Raises ``UnicodeDecodeError`` only for
    damaged UTF-16 and UTF-32.
    """
    encoding = json.detect_encoding(raw)
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        if not encoding.startswith("utf-8"):
            raise
        text = raw.decode("cp1252", _C1)
    return text.lstrip("\ufeff")


def read_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in ``raw``: integers as ``int``, other numbers as ``Decimal``, never a float.

    Text may contain raw line breaks and tabs, control characters, NUL and unpaired surrogates: adapters refuse or drop
    them field by field. Raises ``UnreadableNotice`` for anything that is not a JSON object.
    """
    try:
        body = _JSON.decode(text_of(raw))
    except UnicodeDecodeError:
        raise UnreadableNotice("The body is not text.") from None
    except json.JSONDecodeError as error:
        where = f"look at line {error.lineno}, column {error.colno}"
        raise UnreadableNotice(f"The body is not JSON: {where}.") from None
    except RecursionError:
        raise UnreadableNotice("The body is nested too deeply.") from None
    if not isinstance(body, dict):
        raise UnreadableNotice("The body is not a JSON object.")
    return body


def write_record(record: Any) -> bytes:
    """One record of a provider's list as JSON for the inbox, with damaged values as null.

    Decimals are written as text, because a float would lose a centavo of an amount with sixteen digits.
    """
    return json.dumps(record, default=lambda value: f"{value:f}" if isinstance(value, Decimal) else None).encode()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        for name, value in pairs:
            if members[name] != value:
                members[name] = DAMAGED
    return members


def _integer(digits: str) -> Any:
    return int(digits) if len(digits) <= MAX_NUMBER_LENGTH else DAMAGED


def _decimal(digits: str) -> Any:
    if len(digits) > MAX_NUMBER_LENGTH:
        return DAMAGED
    try:
        number = Decimal(digits)
    except ArithmeticError:  # an exponent out of the range of Decimal
        return DAMAGED
    return number if abs(number.adjusted()) <= MAX_EXPONENT else DAMAGED


_JSON: Final = json.JSONDecoder(
    strict=False,
    parse_int=_integer,
    parse_float=_decimal,
    parse_constant=lambda _: DAMAGED,
    object_pairs_hook=_object,
)


def _c1(error: UnicodeError) -> tuple[str, int]:
    """Decode the five bytes that Windows-1252 does not define as Latin-1 control characters."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


_C1: Final = "payments.c1"
codecs.register_error(_C1, _c1)
