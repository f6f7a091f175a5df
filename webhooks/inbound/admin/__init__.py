"""Admin pages of the inbox."""

from webhooks.inbound.admin.body import readable_body
from webhooks.inbound.admin.provider_event import STATUS_COLOURS, ProviderEventAdmin
from webhooks.inbound.admin.reason import reason_text

__all__ = ["STATUS_COLOURS", "ProviderEventAdmin", "readable_body", "reason_text"]
