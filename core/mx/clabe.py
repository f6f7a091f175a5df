"""CLABE: the 18-digit account number of Mexican banks (3 bank, 3 city, 11 account, 1 check digit).

The catalogue of SPEI institutions comes from the ``clabe`` package.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from core.errors import FieldError, InvalidRequest, UnusableValue

PATTERN = r"^[0-9]{18}$"
_WEIGHTS = (3, 7, 1) * 6


def _catalogue() -> ModuleType:
    """Only the package's list of banks: importing the package loads pydantic, 7 MiB per process."""
    (folder,) = getattr(find_spec("clabe"), "submodule_search_locations", None) or [""]
    spec = spec_from_file_location("_clabe_banks", Path(folder) / "banks.py")
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError("clabe")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_clabe = _catalogue()

INSTITUTIONS: dict[str, str] = {
    f"90{code[2:]}": name for code, name in _clabe.BANK_NAMES.items() if "40600" <= code < "41000"
} | _clabe.BANK_NAMES
"""5-digit code -> name of the SPEI institution. One that became a bank (Nu) is also listed under its former code."""
BANKS: dict[str, str] = {code: _clabe.BANK_NAMES[long] for code, long in _clabe.BANKS.items()}
"""First three digits of a CLABE -> name of the bank."""


def check_digit(first_17: str) -> str:
    """Check digit: weights 3, 7, 1 over the first 17 digits, each product mod 10, ten's complement of the sum."""
    if len(first_17) != 17 or not first_17.isascii() or not first_17.isdigit():
        raise ValueError("the check digit of a CLABE is computed over 17 digits")
    total = sum(int(digit) * weight % 10 for digit, weight in zip(first_17, _WEIGHTS, strict=False))
    return str(-total % 10)


def is_valid(clabe: str) -> bool:
    """True for 18 ASCII digits with a correct check digit. The bank may be missing from the catalogue."""
    return len(clabe) == 18 and clabe.isascii() and clabe.isdigit() and check_digit(clabe[:17]) == clabe[17]


def validate(clabe: str, *, field: str = "clabe") -> str:
    """Return ``clabe``.

    Raises ``InvalidRequest`` with code ``invalid_clabe`` for ``field`` if it has not 18 digits, ``UnusableValue`` if
    the check digit is wrong.
    """
    if is_valid(clabe):
        return clabe
    message = "A CLABE has 18 digits and a valid check digit."
    if re.fullmatch(PATTERN, clabe):
        raise UnusableValue.of(field, message, code="invalid_clabe")
    raise InvalidRequest(message, code="invalid_clabe", errors=[FieldError(field, "invalid_clabe", message)])


def bank_name(clabe: str) -> str | None:
    """Name of the account's bank, or None if it is not in the catalogue."""
    return BANKS.get(clabe[:3])


def institution_name(code: str) -> str | None:
    """Name of a SPEI institution by its 5-digit code ("40012"; Banxico itself is "2001"), or None."""
    return INSTITUTIONS.get(code)


@dataclass(frozen=True, slots=True)
class Bank:
    """A SPEI institution: its 5-digit code, the first three digits of its CLABEs, its short name."""

    code: str
    clabe_prefix: str
    name: str


@cache
def banks() -> tuple[Bank, ...]:
    """Every institution of the catalogue, sorted by name."""
    found = (Bank(code, prefix, INSTITUTIONS[code]) for prefix, code in _clabe.BANKS.items())
    return tuple(sorted(found, key=lambda bank: (bank.name, bank.code)))


def mask(account: str) -> str:
    """``646180********0004``, for lists, logs and responses. Of a card or phone number only the last four digits."""
    shown = account[:6] if len(account) == 18 else ""
    last = account[-4:] if len(account) >= 8 else ""
    return f"{shown}{'*' * (len(account) - len(shown) - len(last))}{last}"
