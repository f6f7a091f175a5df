"""Background jobs of the staff app. Each is idempotent."""

from staff.jobs import approval

__all__ = ["approval"]
