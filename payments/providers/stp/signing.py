"""Signatures of requests to STP: RSA over a text ("cadena original") made of the request's values.

The text is ``||value|value|…||``, base64 of RSA PKCS#1 v1.5 with SHA-256 over its UTF-8 bytes. A value with ``|`` or a
line break would shift the other values, so it is refused.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

ORDER_FIELDS: Final = tuple(
    """institucionContraparte empresa fechaOperacion folioOrigen claveRastreo institucionOperante monto tipoPago
    tipoCuentaOrdenante nombreOrdenante cuentaOrdenante rfcCurpOrdenante tipoCuentaBeneficiario nombreBeneficiario
    cuentaBeneficiario rfcCurpBeneficiario emailBeneficiario tipoCuentaBeneficiario2 nombreBeneficiario2
    cuentaBeneficiario2 rfcCurpBeneficiario2 conceptoPago conceptoPago2 claveCatUsuario1 claveCatUsuario2 clavePago
    referenciaCobranza referenciaNumerica tipoOperacion topologia usuario medioEntrega prioridad iva""".split()
)
"""The 34 values of an order's text, in their order. An absent value is an empty place."""

_CENTAVO: Final = Decimal("0.01")


class Signer:
    """An RSA signing key. Neither messages nor reprs contain it."""

    __slots__ = ("_key",)

    def __init__(self, private_key_pem: bytes, password: str = "") -> None:
        """Raises ``ValueError`` if the key is not an RSA key or the password is wrong."""
        try:
            key = load_pem_private_key(private_key_pem, password.encode() or None)
        except (TypeError, ValueError) as error:
            raise ValueError("this is not STP's signing key, or its password is wrong") from error
        if not isinstance(key, RSAPrivateKey):
            raise ValueError("STP's signing key is an RSA key")
        self._key = key

    def __repr__(self) -> str:
        return "Signer('***')"

    def sign(self, text: str) -> str:
        """The signature as one line of base64."""
        return base64.b64encode(self._key.sign(text.encode(), PKCS1v15(), SHA256())).decode()


@lru_cache(maxsize=16)
def signer(private_key_pem: bytes, password: str = "") -> Signer:
    """The signer of a key, kept by this process: reading and checking an RSA key takes 60 ms of CPU, a signature 1 ms.

    Raises ``ValueError`` as ``Signer``. A key that is replaced is another argument, so it takes effect at once.
    """
    return Signer(private_key_pem, password)


def text_of(values: Iterable[Any]) -> str:
    """``||a|b||`` of these values: None is an empty place, a ``Decimal`` is pesos with two decimals.

    Raises ``ValueError`` for a value that would break the text.
    """
    return f"||{'|'.join(map(_written, values))}||"


def order_text(body: Mapping[str, Any]) -> str:
    """The text of an order with these fields. Raises ``ValueError`` as ``text_of``, and for an unknown field."""
    strange = set(body) - set(ORDER_FIELDS)
    if strange:
        raise ValueError(f"an order at STP has no field {min(strange)}")
    return text_of(body.get(name) for name in ORDER_FIELDS)


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        if value != value.quantize(_CENTAVO):
            raise ValueError("an amount at STP has two decimals")
        return f"{value:.2f}"
    if isinstance(value, bool | float) or not isinstance(value, str | int):
        raise TypeError(f"a value that is signed is text, an integer or a Decimal, not {type(value).__name__}")
    text = str(value)
    if "|" in text or not text.isprintable():
        raise ValueError("a value that is signed holds no | and no line break")
    return text
