"""Verification of Conekta's notices by their DIGEST header.

Conekta, webhook authentication: ``DIGEST`` is base64 of an RSA signature (PKCS #1 v1.5 with SHA-256) over the raw
bytes of the body. ``POST /webhook_keys`` returns the public key; several keys may be active during a rotation.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

MIN_KEY_BITS = 2048
MAX_HEADER_LENGTH = 2048


@lru_cache(maxsize=64)
def load_public_key(pem: str) -> RSAPublicKey:
    """The RSA key in ``pem``. Raises ``ValueError`` unless it is a public RSA key of at least 2048 bits."""
    try:
        key = load_pem_public_key(pem.strip().encode("ascii"))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError("not a public key in PEM form") from error
    if not isinstance(key, RSAPublicKey):
        raise ValueError("Conekta signs with RSA: this is another kind of key")
    if key.key_size < MIN_KEY_BITS:
        raise ValueError(f"an RSA key of {key.key_size} bits is too short: at least {MIN_KEY_BITS}")
    return key


def canonical_pem(pem: str) -> str:
    """The key in canonical PEM form, independent of line breaks and headers. Raises ``ValueError`` for other text."""
    return load_public_key(pem).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


@lru_cache(maxsize=64)
def key_id(pem: str) -> str:
    """The short name of a public key: sixteen hexadecimal digits."""
    return hashlib.sha256(pem.strip().encode()).hexdigest()[:16]


def is_authentic(raw: bytes, digest_header: str, public_keys: Iterable[RSAPublicKey]) -> bool:
    """True if ``digest_header`` is a signature of ``raw`` by one of ``public_keys``. Never raises."""
    signature = _signature(digest_header)
    if signature is None:
        return False
    return any(_verifies(key, signature, raw) for key in public_keys)


def _signature(header: str) -> bytes | None:
    """The decoded ``header`` if it is canonical base64."""
    if not isinstance(header, str) or not 0 < len(header) <= MAX_HEADER_LENGTH or not header.isascii():
        return None
    try:
        signature = base64.b64decode(header, validate=True)
    except (binascii.Error, ValueError):
        return None
    return signature if base64.b64encode(signature).decode("ascii") == header else None


def _verifies(key: RSAPublicKey, signature: bytes, raw: bytes) -> bool:
    try:
        key.verify(signature, raw, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True
