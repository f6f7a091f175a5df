"""Tasks that the worker runs for the ledger."""

from core import jobs
from core.jobs import Lane
from ledger.services import chain, debt, invariant, snapshot


@jobs.periodic("* * * * *", "ledger.take_snapshots", lane=Lane.MONEY)
def take_snapshots(timestamp: int) -> None:
    """Keep balances cheap."""
    snapshot.take()


@jobs.periodic("* * * * *", "ledger.seal_transactions", lane=Lane.MONEY)
def seal_transactions(timestamp: int) -> None:
    """Link what was posted into the chain."""
    chain.seal()


@jobs.periodic("* * * * *", "ledger.recover_debts", lane=Lane.MONEY)
def recover_debts(timestamp: int) -> None:
    """Take what merchants owe from what they have received since."""
    debt.recover_all()


@jobs.periodic("* * * * *", "ledger.check_invariants", lane=Lane.MONEY)
def check_invariants(timestamp: int) -> None:
    """Find out whether what must hold, holds; close the gate if not."""
    invariant.check()
