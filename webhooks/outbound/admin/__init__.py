"""Admin pages of webhooks to merchants."""

from webhooks.outbound.admin.delivery import DeliveryAdmin
from webhooks.outbound.admin.endpoint import EndpointAdmin
from webhooks.outbound.admin.merchant import MerchantWithEndpoints

__all__ = ["DeliveryAdmin", "EndpointAdmin", "MerchantWithEndpoints"]
