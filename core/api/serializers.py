"""Strict serializer fields: a value of a wrong type is refused, never coerced.

The published schema of a field and its checks are the same: what the schema refuses is 400. A check that no schema can
express raises ``unusable``, which is 422 if nothing else is wrong.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext_lazy as _
from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.money import CURRENCY, MAX_AMOUNT
from core.mx import clabe as clabe_rules

ANY_TEXT = r"^[^\x00]*$"
NOT_BLANK = r"^[^\x00]*[^\s\x00\x1c-\x1f\x85][^\x00]*$"
"""A text that is not empty after Python's ``strip``. Patterns mean the same in Python, ECMAScript and Rust."""
YEARS = range(1900, 9000)
"""Years of days that are accepted: far from both ends of what can be computed with."""

_RFC_3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:)([0-9]{2})(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
"""A timestamp with offset, ``format: date-time``. Python's parser accepts more formats, also without an offset."""
_RFC_3339_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class UnusableCode(str):
    """Code of a fault that no schema can express. DRF keeps the object when it copies an error."""

    __slots__ = ()


def unusable(message: Any, code: str = "invalid") -> serializers.ValidationError:
    """The error for a value that the schema allows: 422 unless another field is refused by the schema."""
    return serializers.ValidationError(message, code=UnusableCode(code))


class StrictSerializer(serializers.Serializer[Any]):
    """Fields of a request body; undeclared fields are refused with code ``unknown_field``."""

    default_error_messages = {"unknown_field": _("This field does not exist.")}
    conditions: ClassVar[dict[str, Any]] = {}
    """Keywords of the published schema that depend on several fields (``if``, ``then``)."""

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
    """A JSON string; numbers and booleans are refused.

    ``max_length`` and ``pattern`` hold for the text as sent, like in the published schema; surrounding spaces are
    stripped after that.
    """

    default_error_messages = {"pattern": _("This text does not have the expected form.")}
    pattern = ""
    """The published pattern; by default any text, or any but a blank one."""

    def __init__(self, *, pattern: str = "", **options: Any) -> None:
        super().__init__(**options)
        self._default = ANY_TEXT if self.allow_blank else NOT_BLANK
        self.pattern = pattern or self.pattern or self._default

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        if self.max_length is not None and len(data) > self.max_length:
            self.fail("max_length", max_length=self.max_length)
        if self.pattern is not self._default and not re.fullmatch(self.pattern, data):
            self.refuse_pattern(data)
        return super().to_internal_value(data)

    def refuse_pattern(self, data: str) -> None:
        """Raise the error for a text that does not match ``pattern``."""
        raise serializers.ValidationError(self.error_messages["pattern"], code="invalid")


class StrictSchema(OpenApiSerializerExtension):
    """Publishes that undeclared fields are refused, and the patterns of texts."""

    target_class = StrictSerializer
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        schema = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        for name, field in self.target.fields.items():
            if isinstance(field, TextField) and "enum" not in schema["properties"][name]:
                schema["properties"][name]["pattern"] = field.pattern
        return {**schema, "additionalProperties": False, **self.target.conditions}


class EmailField(TextField):
    """An e-mail address."""

    pattern = r"^\s*([^\s\x00@]+@[^\s\x00@]+\s*)?$"

    default_error_messages = {"email": serializers.EmailField.default_error_messages["invalid"]}

    def to_internal_value(self, data: Any) -> str:
        value = super().to_internal_value(data)
        try:
            validate_email(value)
        except ValidationError:
            raise unusable(self.error_messages["email"]) from None
        return value

    def refuse_pattern(self, data: str) -> None:
        raise serializers.ValidationError(self.error_messages["email"], code="invalid")


class ClabeField(TextField):
    """A CLABE with its check digit, as 18 digits without separators."""

    default_error_messages = {"clabe": _("A CLABE has 18 digits and a valid check digit.")}
    pattern = clabe_rules.PATTERN

    def to_internal_value(self, data: Any) -> str:
        value = super().to_internal_value(data)
        if not clabe_rules.is_valid(value):
            raise unusable(self.error_messages["clabe"], "invalid_clabe")
        return value

    def refuse_pattern(self, data: str) -> None:
        raise serializers.ValidationError(self.error_messages["clabe"], code="invalid_clabe")


class SwitchField(serializers.BooleanField):
    """JSON true or false; other values are refused."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class WholeNumberField(serializers.IntegerField):
    """A JSON integer without decimal point and exponent; text and booleans are refused."""

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int:
            if is_integral(data, self.min_value or 0, self.max_value or MAX_AMOUNT):
                raise unusable(self.error_messages["invalid"])
            self.fail("invalid")
        return int(super().to_internal_value(data))


def is_integral(value: object, minimum: int, maximum: int) -> bool:
    """Whether a number like ``1.0`` or ``1e3`` is an integer of this range for JSON Schema, as ``1`` is."""
    return isinstance(value, Decimal) and minimum <= value <= maximum and value % 1 == 0


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
            if is_integral(data, 1, MAX_AMOUNT):
                raise unusable(self.error_messages["invalid_amount"], "invalid_amount")
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


@extend_schema_field({"type": "string", "enum": [CURRENCY]})
class CurrencyField(TextField):
    """``"MXN"``, the only currency."""

    default_error_messages = {"unsupported": _("The only currency is MXN.")}

    def to_internal_value(self, data: Any) -> str:
        value = super().to_internal_value(data)
        if value != CURRENCY:
            self.fail("unsupported")
        return value


@extend_schema_field({"type": "string", "format": "date-time"})
class MomentField(serializers.Field[datetime, Any, str, Any]):
    """A timestamp in RFC 3339 with offset, for example ``2026-11-26T18:00:00Z``; the value is in UTC."""

    default_error_messages = {
        "invalid": _("Give a timestamp in RFC 3339 with offset, for example 2026-11-26T18:00:00Z."),
        "unusable": _("This time cannot be used."),
    }

    def to_internal_value(self, data: Any) -> datetime:
        parts = _RFC_3339.fullmatch(data) if isinstance(data, str) else None
        if parts is None:
            self.fail("invalid")
        until_minutes, seconds, fraction, offset = parts.groups("")
        try:
            moment = datetime.fromisoformat(f"{until_minutes}{seconds}{fraction[:7]}{offset}".upper()).astimezone(UTC)
        except OverflowError:
            moment = None
        except ValueError:
            if seconds != "60":  # a leap second is well formed
                self.fail("invalid")
            moment = None
        if moment is None:
            raise unusable(self.error_messages["unusable"])
        return moment

    def to_representation(self, value: datetime) -> str:
        return value.isoformat()


@extend_schema_field({"type": "string", "format": "date"})
class DayField(serializers.Field[date, Any, str, Any]):
    """A date as text, ``2026-11-30``."""

    default_error_messages = {
        "invalid": _("Enter a date, for example 2026-11-30."),
        "unusable": _("This day cannot be used."),
    }

    def to_internal_value(self, data: Any) -> date:
        if not isinstance(data, str) or not _RFC_3339_DAY.fullmatch(data):
            self.fail("invalid")
        try:
            day = date.fromisoformat(data)
        except ValueError:
            self.fail("invalid")
        if day.year not in YEARS:
            raise unusable(self.error_messages["unusable"])
        return day

    def to_representation(self, value: date) -> str:
        return value.isoformat()


@extend_schema_field(
    {
        "type": "object",
        "maxProperties": 50,
        "propertyNames": {"minLength": 1, "maxLength": 40, "pattern": ANY_TEXT},
        "additionalProperties": {"type": "string", "maxLength": 500, "pattern": ANY_TEXT},
    }
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
