"""Background jobs that apply stored notices and maintain the partitions of their bodies."""

from core import jobs
from core.jobs import Lane
from webhooks.inbound.services import bodies, sweeper


@jobs.periodic("* * * * * */5", "webhooks.sweep_provider_events", lane=Lane.MONEY)
def sweep_provider_events(timestamp: int) -> None:
    """Apply stored notices that could not be applied on incoming."""
    sweeper.sweep()


@jobs.periodic("17 8 * * *", "webhooks.keep_provider_event_bodies", lane=Lane.SLOW)
def keep_provider_event_bodies(timestamp: int) -> None:
    """Create the partitions of the coming months and drop expired ones."""
    bodies.make_partitions()
    bodies.drop_old()
