"""Models of the app, found here by Django."""

from webhooks.inbound.models import (
    Channel,
    InboxTally,
    ProviderEvent,
    ProviderEventBody,
    ProviderEventTransition,
    ProviderPoll,
)
from webhooks.outbound.models import Delivery, DeliveryAttempt, Endpoint, EndpointSecret, FeedCursor

__all__ = [
    "Channel",
    "Delivery",
    "DeliveryAttempt",
    "Endpoint",
    "EndpointSecret",
    "FeedCursor",
    "InboxTally",
    "ProviderEvent",
    "ProviderEventBody",
    "ProviderEventTransition",
    "ProviderPoll",
]
