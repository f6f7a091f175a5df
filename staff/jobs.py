"""Tasks that the worker runs for staff."""

from core import jobs
from core.jobs import Lane
from staff.services import approval


@jobs.periodic("*/10 * * * *", "staff.close_expired_approvals", lane=Lane.MONEY)
def close_expired_approvals(timestamp: int) -> None:
    """Close what nobody decided in time."""
    approval.close_expired()
