"""CLABEs under STP's prefixes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.mx import clabe
from payments.providers.stp import clabes


def test_the_worked_example_is_built():
    assert clabes.build("6461801570", 0) == "646180157000000004"


@given(st.integers(0, 9999), st.integers(0, 9_999_999))
def test_every_number_gives_a_valid_clabe_that_holds_it(company, number):
    built = clabes.build(f"646180{company:04d}", number)

    assert clabe.is_valid(built)
    assert built[10:17] == f"{number:07d}"


@pytest.mark.parametrize("number", [-1, 10_000_000, True, 1.0, "1", None])
def test_a_number_without_seven_digits_is_refused(number):
    with pytest.raises(ValueError, match="9999999"):
        clabes.build("6461801570", number)


@pytest.mark.parametrize(
    "prefix", ["", "646180", "646180157", "64618015700", "0121801570", "646180157x", "64618٠1570", None]
)
def test_a_prefix_stp_does_not_give_out_is_refused(prefix):
    with pytest.raises(ValueError, match="prefix"):
        clabes.build(prefix, 1)


def test_a_prefix_with_a_line_end_is_refused():
    with pytest.raises(ValueError, match="prefix"):
        clabes.build("6461801570\n", 1)
