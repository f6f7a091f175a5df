"""Money as integer centavos. Pesos appear only in text for people and in provider messages.

A float argument raises ``TypeError`` instead of being rounded.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

CURRENCY = "MXN"
MAX_AMOUNT = 2**53 - 1
"""Largest amount in centavos that every JSON parser can represent exactly."""

IVA = Decimal("0.16")
"""Value added tax on fees (general rate)."""


def format_mxn(centavos: int) -> str:
    """``125050`` -> ``"$1,250.50"``; negative amounts start with the sign: ``"-$0.01"``."""
    _refuse_non_integer(centavos)
    sign = "-" if centavos < 0 else ""
    pesos, cents = divmod(abs(centavos), 100)
    return f"{sign}${pesos:,}.{cents:02d}"


def pesos_to_centavos(pesos: Decimal | int | str) -> int:
    """Exact conversion of a provider's peso amount: ``Decimal("1250.50")`` -> ``125050``.

    Raises ``ValueError`` for anything that is not a finite number of whole centavos, ``TypeError`` for a float.
    """
    if isinstance(pesos, bool | float):
        raise TypeError(f"money is never a {type(pesos).__name__}")
    try:
        amount = Decimal(pesos)
    except InvalidOperation as error:
        raise ValueError(f"not an amount: {pesos!r}") from error
    # Sixteen digits before the point hold MAX_AMOUNT; Decimal arithmetic rounds beyond 28 digits.
    if not amount.is_finite() or (amount and amount.adjusted() >= 16):
        raise ValueError(f"not an amount: {pesos!r}")
    if amount != amount.quantize(Decimal("0.01")):
        raise ValueError(f"fractions of a centavo: {pesos!r}")
    centavos = int(amount.scaleb(2))
    if abs(centavos) > MAX_AMOUNT:
        raise ValueError(f"not an amount: {pesos!r}")
    return centavos


def centavos_to_pesos(centavos: int) -> Decimal:
    """``125050`` -> ``Decimal("1250.50")``, always two decimals."""
    _refuse_non_integer(centavos)
    return Decimal(centavos).scaleb(-2).quantize(Decimal("0.01"))


def fee_with_iva(amount: int, *, percent: Decimal, fixed: int, rate: Decimal = IVA) -> tuple[int, int]:
    """Fee on ``amount`` and the IVA on that fee, both in centavos, each rounded half-up once.

    ``percent`` is in percent (``Decimal("2.9")`` is 2.9 %), ``fixed`` in centavos, ``rate`` the IVA rate. Fee and IVA
    together never exceed the amount, so the merchant's net is never negative.
    """
    _refuse_non_integer(amount)
    _refuse_non_integer(fixed)
    fee = round_half_up(Decimal(amount) * percent / 100 + fixed)
    iva = round_half_up(fee * rate)
    if fee + iva > amount:
        fee = round_half_up(Decimal(amount) / (1 + rate))
        iva = amount - fee
    return fee, iva


def fee_on_top(amount: int, *, percent: Decimal, fixed: int, rate: Decimal = IVA) -> tuple[int, int]:
    """Fee for sending ``amount`` and its IVA, on top of the amount and not bounded by it; else ``fee_with_iva``."""
    _refuse_non_integer(amount)
    _refuse_non_integer(fixed)
    fee = round_half_up(Decimal(amount) * percent / 100 + fixed)
    return fee, round_half_up(fee * rate)


def round_half_up(centavos: Decimal) -> int:
    """Nearest whole centavo, halves away from zero."""
    return int(centavos.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def _refuse_non_integer(value: object) -> None:
    if type(value) is not int:
        raise TypeError(f"money is integer centavos, not {type(value).__name__}")
