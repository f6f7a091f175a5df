"""Tasks that the worker runs for merchants."""

from core import jobs
from core.jobs import Lane
from merchants.services import idempotency_key


@jobs.periodic("17 9 * * *", "merchants.forget_idempotency_keys", lane=Lane.SLOW)
def forget_idempotency_keys(timestamp: int) -> None:
    """Delete what has been kept long enough."""
    idempotency_key.forget_old()
