"""Request bodies about webhook endpoints."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from core import clock
from core.api.serializers import (
    MetadataField,
    MomentField,
    StrictSerializer,
    SwitchField,
    TextField,
    WholeNumberField,
    unusable,
)
from core.errors import UnusableValue
from merchants.services.event_type import FILTERS
from webhooks.outbound import address, signing
from webhooks.outbound.services import replay

_FILTERS = sorted(FILTERS)


class SecretField(TextField):
    """A secret of Standard Webhooks."""

    default_error_messages = {"pattern": _("A webhook secret is whsec_ and 24 to 64 bytes in base64.")}
    pattern = signing.WELL_FORMED

    def to_internal_value(self, data: Any) -> str:
        value = super().to_internal_value(data)
        try:
            signing.check_secret(value)
        except ValueError:
            raise unusable(self.error_messages["pattern"]) from None
        return value


class UrlField(TextField):
    """A URL that webhooks may be sent to, now: its name is resolved and every address judged."""

    pattern = address.PATTERN

    def to_internal_value(self, data: Any) -> str:
        value = super().to_internal_value(data)
        if not connection.in_atomic_block:
            connection.close()  # back to the pool: the name server may take its time
        try:
            address.check_url(value)
        except address.UrlRefused as refused:
            raise unusable(gettext(refused.message), refused.code) from None
        return value

    def refuse_pattern(self, data: str) -> None:
        try:
            address.parse(data)
        except address.UrlRefused as refused:
            raise serializers.ValidationError(gettext(refused.message), code=refused.code) from None
        super().refuse_pattern(data)


class EventsField(serializers.ListField):
    """Filters of events, without repetitions."""

    child = serializers.ChoiceField(choices=_FILTERS)

    def to_internal_value(self, data: Any) -> list[str]:
        return sorted(set(super().to_internal_value(data)))


_EVENTS = "The types of events that it receives: types, all types of a noun (`payment.*`), or everything (`*`)"
_URL = "Where events are posted: `https`, port 443 or 8443, at most 2,048 characters, a public address"


class EndpointChange(StrictSerializer):
    """What can be changed of an endpoint; absent fields stay."""

    url = UrlField(required=False, max_length=address.MAX_LENGTH, help_text=_URL)
    events = EventsField(required=False, min_length=1, max_length=100, help_text=_EVENTS)
    description = TextField(required=False, max_length=200, allow_blank=True, help_text="Your name for it")
    api_version = serializers.ChoiceField(
        choices=settings.API_VERSIONS,
        required=False,
        help_text="The API version in which events are rendered; by default the newest at its creation",
    )
    ordered = SwitchField(
        required=False,
        help_text="One delivery at a time for each object, in the order of its events: a later event waits until the "
        "earlier one was delivered",
    )
    metadata = MetadataField(required=False, help_text="Your own data: up to 50 texts")
    status = serializers.ChoiceField(
        choices=["active", "disabled"],
        required=False,
        help_text="`disabled`: nothing is delivered, what waits is cancelled. `active`: events from now on are "
        "delivered; a paused endpoint gets its backlog",
    )


class EndpointRequest(EndpointChange):
    """The request for an endpoint."""

    url = UrlField(max_length=address.MAX_LENGTH, help_text=_URL)
    events = EventsField(min_length=1, max_length=100, help_text=_EVENTS)
    secret = SecretField(
        required=False, help_text="Your own secret, `whsec_` and 24 to 64 bytes in base64; by default a new one"
    )
    status = None  # type: ignore[assignment]


class RotateRequest(StrictSerializer):
    """The request for another secret."""

    secret = SecretField(required=False, help_text="Your own new secret; by default a random one")


class ReplayRequest(StrictSerializer):
    """Which events are delivered again."""

    since = MomentField(help_text="Events created from this time on, at most 90 days ago")
    until = MomentField(required=False, help_text="Events created before this time; by default now")
    only = serializers.ChoiceField(
        choices=[only.value for only in replay.Only],
        default=replay.Only.MISSING.value,
        help_text="`missing`: never delivered and not waiting. `failed`: given up. `all`: every event again",
    )
    dry_run = SwitchField(default=False, help_text="Only count the events")
    after_sequence = WholeNumberField(
        default=0,
        min_value=0,
        max_value=10**18 - 1,
        help_text="Only events with a higher `sequence`: the `next_after_sequence` of the request before",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs.setdefault("until", clock.now())
        if attrs["until"] <= attrs["since"]:
            raise UnusableValue.of("until", gettext("The period ends before it begins."))
        if attrs["since"] < clock.now() - timedelta(days=90):
            raise UnusableValue.of("since", gettext("Replay events of the last 90 days."))
        return attrs
