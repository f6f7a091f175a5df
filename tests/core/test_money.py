"""core.money: integer centavos, no floats, one rounding."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import money

AMOUNTS = st.integers(-money.MAX_AMOUNT, money.MAX_AMOUNT)


@pytest.mark.parametrize(
    ("centavos", "text"),
    [(125050, "$1,250.50"), (-1, "-$0.01"), (0, "$0.00"), (5, "$0.05"), (100000000, "$1,000,000.00")],
)
def test_pesos_are_written_for_people(centavos, text):
    assert money.format_mxn(centavos) == text


@given(AMOUNTS)
def test_centavos_survive_the_way_to_pesos_and_back(centavos):
    pesos = money.centavos_to_pesos(centavos)

    assert pesos.as_tuple().exponent == -2
    assert money.pesos_to_centavos(pesos) == centavos
    assert money.pesos_to_centavos(str(pesos)) == centavos


@pytest.mark.parametrize("pesos", ["0.001", "1.005", "NaN", "Infinity", "-Infinity", "1e16", "", "ten", "1,250.50"])
def test_what_is_no_whole_number_of_centavos_is_refused(pesos):
    with pytest.raises(ValueError):  # noqa: PT011
        money.pesos_to_centavos(pesos)


def test_an_amount_beyond_decimals_range_is_refused_as_any_other():
    with pytest.raises(ValueError):  # noqa: PT011
        money.pesos_to_centavos("1e999999")


def test_a_tiny_fraction_behind_28_digits_is_refused():
    with pytest.raises(ValueError):  # noqa: PT011
        money.pesos_to_centavos("1.0000000000000000000000000000000001")


@pytest.mark.parametrize("value", [1.0, True, 0.1])
def test_floats_and_booleans_never_become_money(value):
    with pytest.raises(TypeError):
        money.pesos_to_centavos(value)


@pytest.mark.parametrize("value", [1.0, True, Decimal(1), "1", None])
def test_only_plain_integers_are_centavos(value):
    for function in (money.format_mxn, money.centavos_to_pesos):
        with pytest.raises(TypeError):
            function(value)


def test_a_fee_and_its_iva_are_each_rounded_once():
    assert money.fee_with_iva(15000, percent=Decimal("2.6"), fixed=300) == (690, 110)
    assert money.fee_with_iva(125050, percent=Decimal("2.9"), fixed=250) == (3876, 620)


@given(st.integers(0, 10**12), st.decimals(0, 100, places=3), st.integers(0, 10**6))
def test_a_fee_never_takes_more_than_the_amount(amount, percent, fixed):
    fee, iva = money.fee_with_iva(amount, percent=percent, fixed=fixed)

    assert fee >= 0
    assert iva >= 0
    assert fee + iva <= amount


@pytest.mark.parametrize(("value", "rounded"), [("0.5", 1), ("1.5", 2), ("2.5", 3), ("-0.5", -1), ("2.4999", 2)])
def test_halves_are_rounded_away_from_zero(value, rounded):
    assert money.round_half_up(Decimal(value)) == rounded
