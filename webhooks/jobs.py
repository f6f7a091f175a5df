"""Tasks that the worker runs for the border."""

from core import jobs
from core.jobs import Lane
from webhooks.inbound.services import bodies, poll, sweeper


@jobs.periodic("* * * * * */5", "webhooks.sweep_provider_events", lane=Lane.MONEY)
def sweep_provider_events(timestamp: int) -> None:
    """Apply stored notices that could not be applied when they came."""
    sweeper.sweep()


@jobs.periodic("*/5 * * * *", "webhooks.poll_providers", lane=Lane.PROVIDERS)
def poll_providers(timestamp: int) -> None:
    """Ask the providers for notices that never came."""
    poll.poll_all()


@jobs.periodic("17 8 * * *", "webhooks.keep_provider_event_bodies", lane=Lane.SLOW)
def keep_provider_event_bodies(timestamp: int) -> None:
    """Make room for the months to come; drop what was kept long enough."""
    bodies.make_partitions()
    bodies.drop_old()
