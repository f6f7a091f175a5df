"""Background jobs of the payments app. Each is idempotent."""

from payments.jobs import payment, report

__all__ = ["payment", "report"]
