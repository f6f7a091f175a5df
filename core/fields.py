"""Custom model fields: identifiers, encrypted JSON, networks."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from core.addresses import Network, network


class IdentifierField(models.CharField):  # type: ignore[type-arg]
    """A unique text that is only compared as a whole: an id, a hash, a CLABE.

    Django gives a unique ``varchar`` a second index for LIKE, which no query here uses; it does not recognize the
    type by its other name.
    """

    def db_type(self, connection: Any) -> str:
        return f"character varying({self.max_length})"


class EncryptedJSONField(models.BinaryField):  # type: ignore[type-arg]
    """A JSON value stored encrypted (Fernet: AES-128-CBC with HMAC-SHA-256).

    ``settings.FIELD_ENCRYPTION_KEYS`` holds the keys; the first encrypts, all decrypt, so that keys can be rotated.
    Reading a value encrypted with an unknown key raises ``ImproperlyConfigured``.
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
                f"{self.model.__name__}.{self.name}: none of FIELD_ENCRYPTION_KEYS decrypts this value"
            ) from error

    def to_python(self, value: Any) -> Any:
        return value


class NetworkField(models.Field):  # type: ignore[type-arg]
    """An IP network: PostgreSQL's ``cidr``, Python's ``IPv4Network`` or ``IPv6Network``.

    A single address is a network of one address. Raises ``ValidationError`` for anything else, also for a network with
    host bits set. An IPv4-mapped IPv6 network becomes the IPv4 network.
    """

    def db_type(self, connection: Any) -> str:
        return "cidr"

    def to_python(self, value: Any) -> Network | None:
        if value is None or isinstance(value, Network):
            return value
        try:
            return network(str(value).strip())
        except ValueError:
            raise ValidationError(
                _("%(value)s is not a network: write 203.0.113.7 or 203.0.113.0/24."), params={"value": value}
            ) from None

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Network | None:
        return None if value is None else network(value)

    def get_prep_value(self, value: Any) -> str | None:
        known = self.to_python(value)
        return None if known is None else str(known)


@lru_cache
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])
