from webhooks.inbound.models import Channel, InboxTally, ProviderEvent, ProviderEventBody, ProviderEventTransition

__all__ = ["Channel", "InboxTally", "ProviderEvent", "ProviderEventBody", "ProviderEventTransition"]
