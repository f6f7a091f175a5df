"""Background job that checks the invariants."""

from core import jobs
from core.jobs import Lane
from ledger.services import invariant


@jobs.periodic("* * * * *", "ledger.check_invariants", lane=Lane.MONEY)
def check_invariants(timestamp: int) -> None:
    """Check the invariants and close the gate if one is broken."""
    invariant.check()
