"""Background job that seals transactions."""

from core import jobs
from core.jobs import Lane
from ledger.services import chain


@jobs.periodic("* * * * *", "ledger.seal_transactions", lane=Lane.MONEY)
def seal_transactions(timestamp: int) -> None:
    """Link new transactions into the hash chain."""
    chain.seal()
