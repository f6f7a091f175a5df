"""Background job that ends expired approvals."""

from core import jobs
from core.jobs import Lane
from staff.services import approval


@jobs.periodic("*/10 * * * *", "staff.close_expired_approvals", lane=Lane.MONEY)
def close_expired_approvals(timestamp: int) -> None:
    """End expired approvals."""
    approval.close_expired()
