"""Models of outbound webhooks."""

from webhooks.outbound.models.delivery import Delivery, DeliveryAttempt
from webhooks.outbound.models.endpoint import Endpoint, EndpointSecret
from webhooks.outbound.models.feed_cursor import FeedCursor

__all__ = ["Delivery", "DeliveryAttempt", "Endpoint", "EndpointSecret", "FeedCursor"]
