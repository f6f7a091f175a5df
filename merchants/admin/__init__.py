"""Admin pages of merchants and API keys."""

from merchants.admin.api_key import ApiKeyAdmin
from merchants.admin.merchant import MerchantAdmin

__all__ = ["ApiKeyAdmin", "MerchantAdmin"]
