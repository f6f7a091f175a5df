"""A complete order at STP, and a key pair that signs it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from payments.providers.payout import ClabeHolder, OutgoingOrder

ORDER = OutgoingOrder(
    tracking_key="CR20261127000001",
    operating_date=date(2026, 11, 27),
    amount=125_050,
    reference="po_01kb3x0000000000000000000a",
    beneficiary_name="Ricardo Sanchez",
    beneficiary_clabe="072691004495711499",
    beneficiary_bank="40072",
    ordering_name="Comercializadora Pena S.A. de C.V.",
    ordering_clabe="646180110400000007",
    concept="Liquidacion 2026-11-27",
    reference_number=5_273_144,
)
COMPANY = ClabeHolder(tax_id="MAB9307148T4", name="Materiales Peña, S.A.", born_or_founded_on=date(1993, 7, 14))
PERSON = ClabeHolder(
    tax_id="SAHE800416HDFABC01",
    name="Efraín",
    last_name="Sánchez",
    second_last_name="Hernández",
    born_or_founded_on=date(1980, 4, 16),
)


def order(**changes: Any) -> OutgoingOrder:
    """``ORDER`` with other values."""
    return replace(ORDER, **changes)


@cache
def key_pair() -> tuple[bytes, str]:
    """(private PEM, public PEM), the same for the whole session."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return private, key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()
