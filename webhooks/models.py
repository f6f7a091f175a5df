"""Models of the app, found here by Django."""

from webhooks.inbound.models import (
    Channel,
    InboxTally,
    ProviderEvent,
    ProviderEventBody,
    ProviderEventTransition,
    ProviderPoll,
)

__all__ = ["Channel", "InboxTally", "ProviderEvent", "ProviderEventBody", "ProviderEventTransition", "ProviderPoll"]
