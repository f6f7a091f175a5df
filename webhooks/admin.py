"""Admin pages of the app, found here by Django."""

from webhooks.inbound.admin import ProviderEventAdmin
from webhooks.outbound.admin import DeliveryAdmin, EndpointAdmin, MerchantWithEndpoints

__all__ = ["DeliveryAdmin", "EndpointAdmin", "MerchantWithEndpoints", "ProviderEventAdmin"]
