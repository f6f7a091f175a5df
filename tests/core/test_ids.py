"""core.ids: public ids that are unique, rise with time, and show what they name."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import ids


def test_ids_never_repeat_not_even_within_one_millisecond():
    made = [ids.new_id("payment") for _ in range(20_000)]

    assert len(set(made)) == 20_000


def test_ids_rise_with_time(monkeypatch):
    moments = iter([1_795_000_000_000, 1_795_000_000_001, 1_795_000_001_000, 1_900_000_000_000, 5_000_000_000_000])
    monkeypatch.setattr(ids.time, "time_ns", lambda: next(moments) * 1_000_000)

    made = [ids.new_id("event") for _ in range(5)]

    assert made == sorted(made)
    assert [i[:14] for i in made[:2]] != [i[:14] for i in made[1:3]]


def test_the_last_eighty_bits_are_random(monkeypatch):
    monkeypatch.setattr(ids.time, "time_ns", lambda: 1_795_000_000_000_000_000)

    made = [ids.new_id("deposit") for _ in range(200)]

    assert len({i[:14] for i in made}) == 1
    assert all(len({i[position] for i in made}) > 15 for position in range(14, 30))


@pytest.mark.parametrize("kind", ids.PREFIXES)
def test_an_id_is_its_prefix_and_26_unambiguous_characters(kind):
    made = ids.new_id(kind)

    assert re.fullmatch(ids.PREFIXES[kind] + "_[0-9abcdefghjkmnpqrstvwxyz]{26}", made)
    assert ids.is_id(made)
    assert [other for other in ids.PREFIXES if ids.is_id(made, other)] == [kind]


def test_no_two_kinds_share_a_prefix():
    assert len(set(ids.PREFIXES.values())) == len(ids.PREFIXES)


def test_an_unknown_kind_has_no_ids():
    with pytest.raises(KeyError):
        ids.new_id("invoice")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pay_",
        "pay_" + "0" * 25,
        "pay_" + "0" * 27,
        "pay_" + "0" * 25 + "i",
        "pay_" + "0" * 25 + "u",
        "PAY_" + "0" * 26,
        "pay_" + "0" * 25 + "A",
        "pay-" + "0" * 26,
        "pay_" + "0" * 26 + "\n",
        " pay_" + "0" * 26,
        "pay_" + "٠" * 26,
    ],
)
def test_text_of_another_shape_is_no_id(text):
    assert not ids.is_id(text)


@given(st.text(max_size=40))
def test_any_text_is_an_id_or_not_but_never_an_error(text):
    assert ids.is_id(text) in (True, False)
