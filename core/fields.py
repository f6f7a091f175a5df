"""Model fields of our own."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models


class EncryptedJSONField(models.BinaryField):  # type: ignore[type-arg]
    """A JSON value that the database sees only as ciphertext (Fernet: AES-128-CBC with HMAC-SHA-256).

    ``settings.FIELD_ENCRYPTION_KEYS`` holds the keys; the first encrypts, all decrypt, so that a key can be rotated.
    Reading a value under an unknown key raises ``ImproperlyConfigured``.
    """

    def get_prep_value(self, value: Any) -> Any:
        if value is None:
            return None
        return _fernet(tuple(settings.FIELD_ENCRYPTION_KEYS)).encrypt(json.dumps(value).encode())

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Any:
        if value is None:
            return None
        try:
            return json.loads(_fernet(tuple(settings.FIELD_ENCRYPTION_KEYS)).decrypt(bytes(value)))
        except InvalidToken as error:
            raise ImproperlyConfigured(
                f"{self.model.__name__}.{self.name}: none of FIELD_ENCRYPTION_KEYS opens this value"
            ) from error

    def to_python(self, value: Any) -> Any:
        return value


@lru_cache
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
