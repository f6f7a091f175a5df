"""Spellings of the keys in STP's notices, mapped to the current ones.

Besides the current ``claveRastreo``: ``ClaveRastreo`` and ``RFCCurpOrdenante`` (the older dialect, whose ``Clave`` is
the notice's ``id``), ``rfccurpOrdenante``, ``clave_rastreo`` occur, and the whole notice within ``{"abono": {…}}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from payments.providers.reading import DAMAGED

_NAMES: Final = {
    name.casefold(): name
    for name in (
        "causaDevolucion",
        "claveRastreo",
        "claveRastreoDevolucion",
        "conceptoPago",
        "cuentaBeneficiario",
        "cuentaOrdenante",
        "estado",
        "fechaOperacion",
        "folioOrigen",
        "id",
        "institucionContraparte",
        "institucionOrdenante",
        "monto",
        "nombreOrdenante",
        "referenciaNumerica",
        "rfcCurpOrdenante",
        "tipoPago",
        "tsLiquidacion",
    )
}
_WRAPPER: Final = "abono"


def present_keys(body: Mapping[str, Any]) -> dict[str, Any]:
    """``body`` with current keys. A key in two spellings with two values, neither null, is ``DAMAGED``."""
    if len(body) == 1:
        ((name, inner),) = body.items()
        if name.casefold() == _WRAPPER and isinstance(inner, Mapping):
            body = inner
    renamed = dict[str, Any]()
    for name, value in body.items():
        today = _today(name)
        other = renamed.get(today)
        if other is None:
            renamed[today] = value
        elif value is not None and value != other:
            renamed[today] = DAMAGED
    return renamed


@lru_cache(maxsize=256)
def _today(name: str) -> str:
    return _NAMES.get(name.replace("_", "").casefold(), name)
