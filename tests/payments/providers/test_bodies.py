"""payments.providers.errors.read_object: the strict reader in front of every notice and answer."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import NoticeRejected
from payments.providers.errors import UnreadableNotice, read_object

HOSTILE_BODIES = {
    "empty": b"",
    "not JSON": b"monto=10",
    "cut short": b'{"monto": 10',
    "two objects": b"{}{}",
    "an array": b"[]",
    "a text": b'"abono"',
    "null": b"null",
    "not UTF-8": b'{"a": "\xff"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "duplicate key": b'{"monto": 1, "monto": 2}',
    "duplicate key, escaped": b'{"monto": 1, "mont\\u006f": 2}',
    "duplicate key, nested": b'{"a": [{"b": 1, "b": 1}]}',
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": Infinity}',
    "-Infinity": b'{"a": [-Infinity]}',
    "lone surrogate": b'{"a": "\\ud800"}',
    "lone surrogate in a key": b'{"\\udfff": 1}',
    "lone surrogate, nested": b'{"a": [{"b": ["\\udc00x"]}]}',
    "1e400": b'{"a": 1e400}',
    "1e-400": b'{"a": 1e-400}',
    "an exponent beyond Decimal": b'{"a": 1e99999999999999999999}',
    "10**400": b'{"a": 1' + b"0" * 400 + b"}",
    "10**5000": b'{"a": 1' + b"0" * 5000 + b"}",
    "raw NUL": b'{"a": "\x00"}',
    "deep lists": b'{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "deep objects": b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
}


@pytest.mark.parametrize("raw", HOSTILE_BODIES.values(), ids=HOSTILE_BODIES.keys())
def test_a_hostile_body_is_unreadable_and_nothing_worse(raw):
    with pytest.raises(UnreadableNotice) as rejection:
        read_object(raw)

    assert isinstance(rejection.value, NoticeRejected)
    assert (rejection.value.http_status, rejection.value.code) == (400, "invalid_notice")
    assert 0 < len(rejection.value.message) < 300


def test_numbers_are_exact_and_never_floats():
    body = read_object(b'{"a": 0.1, "b": 1250.50, "c": 646180157000000004, "d": 1e2, "e": -0.0}')

    assert body["a"] == Decimal("0.1")
    assert str(body["b"]) == "1250.50"
    assert body["c"] == 646180157000000004
    assert {type(value) for value in body.values()} == {int, Decimal}


def test_a_surrogate_pair_is_one_character():
    assert read_object(b'{"a": "\\ud83d\\ude00"}') == {"a": "\N{GRINNING FACE}"}


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_unreadable(raw):
    try:
        assert type(read_object(raw)) is dict
    except UnreadableNotice:
        pass
