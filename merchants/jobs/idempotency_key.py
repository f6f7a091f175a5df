"""Background job that deletes expired Idempotency-Keys."""

from core import jobs
from core.jobs import Lane
from merchants.services import idempotency_key


@jobs.periodic("17 9 * * *", "merchants.forget_idempotency_keys", lane=Lane.SLOW)
def forget_idempotency_keys(timestamp: int) -> None:
    """Delete Idempotency-Keys past their lifetime."""
    idempotency_key.forget_old()
