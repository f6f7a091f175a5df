"""payments.providers.reading: the tolerant parser of notices and responses."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import NoticeRejected
from payments.providers.errors import UnreadableNotice
from payments.providers.reading import DAMAGED, read_object, write_record
from tests.factories.bodies import HOSTILE_BODIES


@pytest.mark.parametrize("raw", HOSTILE_BODIES.values(), ids=HOSTILE_BODIES.keys())
def test_a_hostile_body_is_unreadable_and_nothing_worse(raw):
    with pytest.raises(UnreadableNotice) as rejection:
        read_object(raw)

    assert isinstance(rejection.value, NoticeRejected)
    assert (rejection.value.http_status, rejection.value.code) == (400, "invalid_notice")
    assert 0 < len(rejection.value.message) < 300


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("José ñandú".encode(), "José ñandú"),
        ("José ñandú".encode("latin-1"), "José ñandú"),
        ("50 € “ñ”".encode("cp1252"), "50 € “ñ”"),
        (b"\xc3\xa9 and \xe9", "Ã© and é"),  # not UTF-8 as a whole
        (b"a\x81b", "a\x81b"),
        (b"a\nb\tc\rd", "a\nb\tc\rd"),
        (b"a\x00b", "a\0b"),
        (b"a\\ud800b", "a\ud800b"),
    ],
)
def test_text_that_a_person_could_read_is_read(raw, value):
    assert read_object(b'{"a": "' + raw + b'"}') == {"a": value}


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
def test_every_form_of_unicode_is_read_with_and_without_its_mark(encoding):
    assert read_object('{"a": "José €"}'.encode(encoding)) == {"a": "José €"}


@pytest.mark.parametrize(
    "raw",
    [
        b"NaN",
        b"-Infinity",
        b"1e400",
        b"1e-400",
        b"1e99999999999999999999",
        b"1" + b"0" * 400,
        b"1" + b"0" * 5000,
        b'1, "a": 2',
        b'1, "\\u0061": 2, "a": 1',
    ],
)
def test_a_value_that_cannot_be_read_damages_nothing_beside_it(raw):
    body = read_object(b'{"b": 1, "a": ' + raw + b', "c": {"a": ' + raw + b"}}")

    assert body == {"b": 1, "a": DAMAGED, "c": {"a": DAMAGED}}
    assert write_record(body) == b'{"b": 1, "a": null, "c": {"a": null}}'


def test_a_key_that_says_the_same_twice_is_one_key():
    assert read_object(b'{"a": [1.0], "a": [1.00]}') == {"a": [1]}


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
