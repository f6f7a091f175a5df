"""Background jobs of the payments app. Each is idempotent."""

from payments.jobs import payment, payout, report

__all__ = ["payment", "payout", "report"]
