"""Opaque pagination cursors.

A cursor is the position of a page's last row, encrypted and authenticated (AES-SIV, RFC 5297): it reveals nothing about
the database, cannot be altered, and is valid only for the list, owner and filters that it was sealed for. It needs no
stored state and never expires; a changed ``SECRET_KEY`` invalidates it, unless the old one is still among
``SECRET_KEY_FALLBACKS``.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from django.conf import settings

from core.errors import FieldError, InvalidRequest, UnusableValue

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TAG_BYTES = 16
SHAPE = r"^[A-Za-z0-9_-]{32,200}$"
"""What every cursor looks like; it is part of the published schema."""


def seal(position: Sequence[int], *bound_to: object) -> str:
    """Encode ``position`` (64-bit integers) as a cursor bound to ``bound_to``.

    Equal arguments give equal cursors.
    """
    plain = struct.pack(f">{len(position)}q", *position)
    sealed = _cipher(settings.SECRET_KEY).encrypt(plain, _associated(bound_to))
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def unseal(cursor: str, size: int, *bound_to: object) -> tuple[int, ...]:
    """Decode the ``size`` integers that were sealed.

    Raises ``InvalidRequest`` with code ``invalid_cursor`` for what has not the shape of a cursor, and ``UnusableValue``
    for anything else that ``seal`` did not return for ``bound_to``.
    """
    if not re.fullmatch(SHAPE, cursor):
        message = "This is not a cursor."
        raise InvalidRequest(message, code="invalid_cursor", errors=[FieldError("cursor", "invalid_cursor", message)])
    try:
        sealed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise foreign() from None
    if len(sealed) != _TAG_BYTES + 8 * size:
        raise foreign()
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        try:
            return struct.unpack(f">{size}q", _cipher(secret).decrypt(sealed, _associated(bound_to)))
        except InvalidTag:
            continue
    raise foreign()


def foreign() -> UnusableValue:
    """The error for a cursor of another list, owner or filter."""
    return UnusableValue.of("cursor", "This cursor does not belong to this list.", code="invalid_cursor")


def from_moment(moment: datetime) -> int:
    """A timestamp as microseconds since 1970, exactly."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def to_moment(microseconds: int) -> datetime:
    """The inverse of ``from_moment``."""
    return _EPOCH + timedelta(microseconds=microseconds)


@cache
def _cipher(secret: str) -> AESSIV:
    return AESSIV(hashlib.sha512(b"core.api.cursor:" + secret.encode()).digest())


def _associated(bound_to: Sequence[object]) -> list[bytes]:
    return [repr(part).encode() for part in bound_to] or [b""]
