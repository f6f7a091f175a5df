"""Background jobs about endpoints: messages to merchants, clean-up."""

from procrastinate import RetryStrategy

from core import jobs
from core.jobs import Lane
from webhooks.outbound.services import mail, retention

_RETRY = RetryStrategy(max_attempts=8, wait=30, exponential_wait=3)


@jobs.task("webhooks.mail_endpoint", lane=Lane.DELIVER, retry=_RETRY)
def mail_endpoint(endpoint_id: int, event_type: str) -> None:
    """Tell the merchant's technical contact about a change of an endpoint's status."""
    mail.tell(endpoint_id, event_type)


@jobs.periodic("37 9 * * *", "webhooks.clean_up_deliveries", lane=Lane.SLOW)
def clean_up_deliveries(timestamp: int) -> None:
    """Delete old deliveries, attempts and secrets."""
    retention.clean_up()
