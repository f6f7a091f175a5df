"""Background job that moves the snapshots of balances."""

from core import jobs
from core.jobs import Lane
from ledger.services import snapshot


@jobs.periodic("* * * * *", "ledger.take_snapshots", lane=Lane.MONEY)
def take_snapshots(timestamp: int) -> None:
    """Take snapshots, so that reading a balance stays cheap."""
    snapshot.take()
