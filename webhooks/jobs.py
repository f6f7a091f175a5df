"""Background jobs of the app, found here by procrastinate."""

from webhooks.inbound import jobs as inbound
from webhooks.outbound import jobs as outbound

__all__ = ["inbound", "outbound"]
