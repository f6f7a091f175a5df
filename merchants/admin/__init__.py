"""Staff's view of merchants and their API keys."""

from merchants.admin.api_key import ApiKeyAdmin
from merchants.admin.merchant import MerchantAdmin

__all__ = ["ApiKeyAdmin", "MerchantAdmin"]
