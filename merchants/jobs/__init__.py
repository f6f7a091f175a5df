"""Background jobs of the merchants app. Each is idempotent."""

from merchants.jobs import idempotency_key

__all__ = ["idempotency_key"]
