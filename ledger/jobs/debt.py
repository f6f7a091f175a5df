"""Background job that recovers debts."""

from core import jobs
from core.jobs import Lane
from ledger.services import debt


@jobs.periodic("* * * * *", "ledger.recover_debts", lane=Lane.MONEY)
def recover_debts(timestamp: int) -> None:
    """Recover the debts of merchants from their available money."""
    debt.recover_all()
