"""Background jobs of the payments app. Each is idempotent."""

from payments.jobs import clabe, payment, payout, report

__all__ = ["clabe", "payment", "payout", "report"]
