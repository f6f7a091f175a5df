from webhooks.inbound.models import ProviderEvent

__all__ = ["ProviderEvent"]
