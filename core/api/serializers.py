"""Strict serializer fields: a value of a wrong type is refused, never coerced."""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache
from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.money import CURRENCY, MAX_AMOUNT

_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
"""A timestamp with offset. Python's parser accepts more formats, also without an offset."""


class StrictSerializer(serializers.Serializer[Any]):
    """Fields of a request body; undeclared fields are refused with code ``unknown_field``."""

    default_error_messages = {"unknown_field": _("This field does not exist.")}

    @classmethod
    def read(cls, data: Any) -> dict[str, Any]:
        """The validated fields of ``data``. Raises DRF's ``ValidationError``.

        One instance per class validates all requests, because creating one copies every field. Errors come from a new
        instance: DRF's validators keep the language of their first message.
        """
        try:
            return dict(_reader(cls).run_validation(data))
        except serializers.ValidationError:
            return dict(cls().run_validation(data))

    def to_internal_value(self, data: Any) -> Any:
        unknown = {}
        if isinstance(data, dict):
            message = self.error_messages["unknown_field"]
            unknown = {
                str(name)[:100]: [serializers.ErrorDetail(str(message), code="unknown_field")]
                for name in data
                if name not in self.fields
            }
        try:
            value = super().to_internal_value(data)
        except serializers.ValidationError as error:
            if unknown and isinstance(error.detail, dict):
                raise serializers.ValidationError({**error.detail, **unknown}) from None
            raise
        if unknown:
            raise serializers.ValidationError(unknown)
        return value


@cache
def _reader(serializer: type[StrictSerializer]) -> StrictSerializer:
    return serializer()


class TextField(serializers.CharField):
    """A JSON string; numbers and booleans are refused."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field({"type": "integer", "minimum": 1, "maximum": MAX_AMOUNT})
class AmountField(serializers.Field[int, Any, int, Any]):
    """Money: a JSON integer of centavos, greater than zero. Strings, floats and booleans are refused."""

    default_error_messages = {
        "required": _("Give the amount in centavos."),
        "null": _("Give the amount in centavos."),
        "invalid_amount": _("Give the amount as a whole number of centavos, for example 125050 for $1,250.50."),
        "too_small": _("The amount must be greater than zero."),
        "too_large": _("The amount is too large."),
    }

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            self._refuse("invalid_amount")
        if data <= 0:
            self._refuse("too_small")
        if data > MAX_AMOUNT:
            self._refuse("too_large")
        return int(data)

    def to_representation(self, value: int) -> int:
        return value

    def _refuse(self, key: str) -> None:
        raise serializers.ValidationError(self.error_messages[key], code="invalid_amount")


class CurrencyField(TextField):
    """``"MXN"``, the only currency."""

    default_error_messages = {"unsupported": _("The only currency is MXN.")}

    def to_internal_value(self, data: Any) -> str:
        value = super().to_internal_value(data)
        if value != CURRENCY:
            self.fail("unsupported")
        return value


class MomentField(serializers.DateTimeField):
    """A timestamp in RFC 3339 with offset, for example ``2026-11-26T18:00:00Z``."""

    default_error_messages = {
        "invalid": _("Give a timestamp in RFC 3339 with offset, for example 2026-11-26T18:00:00Z."),
    }

    def to_internal_value(self, value: Any) -> datetime:
        if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
            self.fail("invalid")
        return super().to_internal_value(value.upper())


@extend_schema_field(
    {"type": "object", "maxProperties": 50, "additionalProperties": {"type": "string", "maxLength": 500}}
)
class MetadataField(serializers.Field[dict[str, str], Any, dict[str, str], Any]):
    """The caller's own data: up to 50 keys of up to 40 characters with text values of up to 500."""

    default_error_messages = {
        "not_an_object": _("Metadata is an object of text values."),
        "too_many": _("Metadata holds at most 50 keys."),
        "key": _("A metadata key has 1 to 40 characters."),
        "value": _("A metadata value is text of at most 500 characters."),
        "null_character": _("Null characters are not allowed."),
    }

    def to_internal_value(self, data: Any) -> dict[str, str]:
        if not isinstance(data, dict):
            self.fail("not_an_object")
        if len(data) > 50:
            self.fail("too_many")
        for key, value in data.items():
            if not 1 <= len(key) <= 40:
                self.fail("key")
            if not isinstance(value, str) or len(value) > 500:
                self.fail("value")
            if "\0" in key or "\0" in value:
                self.fail("null_character")
        return dict(data)

    def to_representation(self, value: dict[str, str]) -> dict[str, str]:
        return value
