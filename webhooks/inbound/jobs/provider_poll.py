"""Background job that asks providers for missing notices."""

from core import jobs
from core.jobs import Lane
from webhooks.inbound.services import poll


@jobs.periodic("*/5 * * * *", "webhooks.poll_providers", lane=Lane.PROVIDERS)
def poll_providers(timestamp: int) -> None:
    """Ask the providers for notices that did not arrive."""
    poll.poll_all()
