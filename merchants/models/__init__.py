"""Models of the merchants app."""

from merchants.models.api_key import ApiKey
from merchants.models.approval import KeyApproval
from merchants.models.event import Event
from merchants.models.idempotency_key import IdempotencyKey
from merchants.models.merchant import Merchant

__all__ = ["ApiKey", "Event", "IdempotencyKey", "KeyApproval", "Merchant"]
