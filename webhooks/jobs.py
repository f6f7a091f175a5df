"""Tasks that the worker runs for the border."""

from core import jobs
from webhooks.inbound.services import inbox


@jobs.periodic("* * * * *", "webhooks.retry_provider_events")
def retry_provider_events(timestamp: int) -> None:
    """Apply stored notices that could not be applied when they came."""
    inbox.retry_open()
