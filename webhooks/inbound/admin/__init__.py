"""Staff's view of the border."""

from webhooks.inbound.admin.provider_event import STATUS_COLOURS, ProviderEventAdmin, readable_body
from webhooks.inbound.admin.reason import said

__all__ = ["STATUS_COLOURS", "ProviderEventAdmin", "readable_body", "said"]
