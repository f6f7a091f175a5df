"""Tasks that send payouts and ask about them. Each is idempotent."""

from procrastinate import RetryStrategy

from core import jobs
from core.jobs import Lane
from payments.services import payout_inquiry, payout_sending

_RETRY = RetryStrategy(max_attempts=5, wait=10, exponential_wait=3)
"""After a fault of ours or of the database. What the provider answers is no fault: the service plans the next step."""


@jobs.task("payments.advance_payout", lane=Lane.PROVIDERS, retry=_RETRY)
def advance_payout(payout_id: int) -> None:
    """Take a payout's next step: send it, wait, or ask what became of it."""
    payout_sending.advance(payout_id)


@jobs.periodic("* * * * *", "payments.advance_payouts", lane=Lane.PROVIDERS)
def advance_payouts(timestamp: int) -> None:
    """Ask about payouts whose question is due, and take up those whose job was lost."""
    payout_inquiry.ask_due()
    payout_sending.advance_due()
