"""Background jobs of the inbox. Each is idempotent."""

from webhooks.inbound.jobs import provider_event, provider_poll

__all__ = ["provider_event", "provider_poll"]
