"""Signatures of webhooks to merchants: Standard Webhooks, version 1 (symmetric).

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets as randomness
from collections.abc import Sequence

PREFIX = "whsec_"
SECRET_BYTES = 32
WELL_FORMED = r"^whsec_[A-Za-z0-9+/]{32,86}={0,2}$"
"""What a schema can say about a secret."""
_ALLOWED_BYTES = range(24, 65)

_MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
"""Without dots: what is signed joins id, timestamp and body by dots, and must be readable in one way only."""


def new_secret() -> str:
    """A random secret: ``whsec_`` and the base64 of 32 bytes."""
    return PREFIX + base64.b64encode(randomness.token_bytes(SECRET_BYTES)).decode()


def check_secret(text: str) -> None:
    """Raises ``ValueError`` if ``text`` is not ``whsec_`` and the base64 of 24 to 64 bytes; it does not quote it."""
    _key(text)


def headers(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a delivery of ``body``, with one signature for each of ``secrets``.

    ``timestamp``: seconds since 1970, of this attempt. Raises ``ValueError`` for a malformed id or secret, or none.
    """
    if not secrets:
        raise ValueError("a webhook cannot be signed without a secret")
    if not _MESSAGE_ID.fullmatch(message_id):
        raise ValueError(f"a webhook's id has 1 to 128 letters, digits, - and _, not {message_id!r}")
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    signatures = [base64.b64encode(hmac.digest(_key(secret), signed, "sha256")).decode() for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def _key(secret: str) -> bytes:
    if not secret.startswith(PREFIX):
        raise ValueError(f"a webhook secret begins with {PREFIX}")
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"a webhook secret is {PREFIX} and base64") from None
    if len(key) not in _ALLOWED_BYTES:
        raise ValueError(
            f"a webhook secret has {_ALLOWED_BYTES.start} to {_ALLOWED_BYTES.stop - 1} bytes, not {len(key)}"
        )
    return key
