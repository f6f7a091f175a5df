"""Authentication of STP's webhook requests: HTTP Basic credentials in the URL registered with STP.

STP signs neither abono notices nor changes of state; the secret in the registered URL, sent back as an Authorization
header (RFC 7617), and the list of allowed addresses are the only proof of origin.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re

MAX_HEADER_LENGTH = 1024

_BASIC = re.compile(r"[Bb][Aa][Ss][Ii][Cc] ([A-Za-z0-9+/]+={0,2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SHA256_HEX = re.compile(r"[0-9a-fA-F]{64}")


def parse_basic(header: str) -> tuple[str, str] | None:
    """User and password of an ``Authorization: Basic …`` header, or None unless it is exactly that.

    Strict: one space, canonical base64, UTF-8, no control characters, a colon and a user before it (RFC 7617).
    """
    if not isinstance(header, str) or len(header) > MAX_HEADER_LENGTH:
        return None
    match = _BASIC.fullmatch(header)
    if match is None:
        return None
    try:
        decoded = base64.b64decode(match[1], validate=True)
        text = decoded.decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None
    if base64.b64encode(decoded).decode("ascii") != match[1] or _CONTROL.search(text):
        return None
    user, colon, password = text.partition(":")
    return (user, password) if colon and user else None


def secret_matches(given: str, expected_sha256_hex: str) -> bool:
    """True if ``given`` hashes to ``expected_sha256_hex`` (SHA-256, UTF-8); compared in constant time.

    An expected value that is not a SHA-256 digest never matches: an account without a secret accepts no request.
    """
    if not _SHA256_HEX.fullmatch(expected_sha256_hex):
        return False
    digest = hashlib.sha256(given.encode("utf-8", "surrogatepass")).hexdigest()
    return hmac.compare_digest(digest, expected_sha256_hex.lower())
