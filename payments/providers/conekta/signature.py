"""Is this notice from Conekta? The DIGEST header answers.

Conekta, webhook authentication: ``DIGEST`` is base64 of an RSA signature (PKCS #1 v1.5 with SHA-256) over the raw
bytes of the body. The public half of the key is what ``POST /webhook_keys`` returned; several keys may be active while
one replaces another.
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
    """The RSA key in ``pem``; ``ValueError`` unless it is one public RSA key of at least 2048 bits."""
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
    """The one spelling of the key in ``pem``, whatever its line breaks and headers; ``ValueError`` if it is none."""
    return load_public_key(pem).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")


@lru_cache(maxsize=64)
def key_id(pem: str) -> str:
    """Sixteen hexadecimal digits by which people and rows name a public key."""
    return hashlib.sha256(pem.strip().encode()).hexdigest()[:16]


def is_authentic(raw: bytes, digest_header: str, public_keys: Iterable[RSAPublicKey]) -> bool:
    """True if one of ``public_keys`` made ``digest_header`` over exactly ``raw``. Never raises for any header."""
    signature = _signature(digest_header)
    if signature is None:
        return False
    return any(_verifies(key, signature, raw) for key in public_keys)


def _signature(header: str) -> bytes | None:
    """The bytes in ``header`` if it is base64 in its one canonical spelling."""
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
