"""Background jobs of outbound webhooks. Each is idempotent. Deliveries are no jobs: see ``services.sender``."""

from webhooks.outbound.jobs import endpoint

__all__ = ["endpoint"]
