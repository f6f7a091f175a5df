"""RSA signatures (PKCS#1 v1.5, SHA-256): Conekta's webhook header ``DIGEST`` over the raw body, and STP's requests."""

from __future__ import annotations

import base64
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa


def new_key_pair() -> tuple[str, str]:
    """A 2048-bit key pair as PEM: (private, public). Only the public key is ever returned to clients."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def digest(private_pem: str, body: bytes) -> str:
    """Value of the ``DIGEST`` header for these bytes."""
    return base64.b64encode(_load(private_pem).sign(body, padding.PKCS1v15(), hashes.SHA256())).decode()


@lru_cache(maxsize=64)
def _load(private_pem: str) -> rsa.RSAPrivateKey:
    # Cached, because loading checks the primes, which takes much longer than signing.
    key = serialization.load_pem_private_key(private_pem.encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("webhook keys are RSA keys")
    return key


def is_signed(public_pem: str, signature: str, text: bytes) -> bool:
    """True if ``signature`` (base64) over ``text`` was made with the private key of ``public_pem``."""
    try:
        key = serialization.load_pem_public_key(public_pem.encode())
        if not isinstance(key, rsa.RSAPublicKey):
            return False
        key.verify(base64.b64decode(signature, validate=True), text, padding.PKCS1v15(), hashes.SHA256())
    except (ValueError, InvalidSignature):
        return False
    return True
