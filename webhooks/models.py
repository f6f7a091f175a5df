from webhooks.inbound.models import Channel, ProviderEvent, ProviderEventBody, ProviderEventTransition

__all__ = ["Channel", "ProviderEvent", "ProviderEventBody", "ProviderEventTransition"]
