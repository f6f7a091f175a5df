"""core.mx.clabe: the 18-digit account number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidRequest
from core.mx import clabe

DIGITS_17 = st.text("0123456789", min_size=17, max_size=17)


def test_the_check_digit_of_the_worked_example_is_four():
    assert clabe.check_digit("64618015700000000") == "4"
    assert clabe.is_valid("646180157000000004")


@pytest.mark.parametrize("wrong", ["", "6461801570000000", "646180157000000004", "6461801570000000x", "٦" * 17])
def test_a_check_digit_is_computed_over_17_ascii_digits_only(wrong):
    with pytest.raises(ValueError, match="17 digits"):
        clabe.check_digit(wrong)


@given(DIGITS_17, st.integers(0, 16), st.integers(1, 9))
def test_one_wrong_digit_is_always_noticed(first_17, position, shift):
    good = first_17 + clabe.check_digit(first_17)
    other = str((int(good[position]) + shift) % 10)
    bad = good[:position] + other + good[position + 1 :]

    assert clabe.is_valid(good)
    assert not clabe.is_valid(bad)


@given(DIGITS_17)
def test_the_check_digit_is_the_packages(first_17):
    from clabe import compute_control_digit

    assert clabe.check_digit(first_17) == compute_control_digit(first_17)


@given(st.text(max_size=20))
def test_any_text_is_valid_or_not_but_never_an_error(text):
    assert clabe.is_valid(text) in (True, False)


def test_validate_names_the_field_and_the_code():
    for text, status, code in (
        ("64618015700000000", 400, "invalid_clabe"),
        ("646180157000000005", 422, "invalid_request"),
    ):
        with pytest.raises(InvalidRequest) as refusal:
            clabe.validate(text, field="beneficiary.clabe")
        assert (refusal.value.http_status, refusal.value.code) == (status, code)
        assert [(error.field, error.code) for error in refusal.value.errors] == [("beneficiary.clabe", "invalid_clabe")]
    assert clabe.validate("646180157000000004") == "646180157000000004"


def test_banks_and_institutions_have_names_and_unknown_ones_have_none():
    assert clabe.bank_name("646180157000000004") == "STP"
    assert clabe.bank_name("846180000000000000") is None
    assert clabe.institution_name("40012") == "BBVA Mexico"
    assert clabe.institution_name("2001") == "Banxico"
    assert clabe.institution_name("90638") == clabe.institution_name("40638") == "NUBANK"  # before and as a bank
    assert clabe.institution_name("846") is None


def test_a_masked_clabe_shows_its_head_and_its_last_four_digits():
    assert clabe.mask("646180157000000004") == "646180********0004"
    assert clabe.mask("12345") == "*****"


def test_a_masked_phone_number_hides_something():
    assert "*" in clabe.mask("5512345678")
