"""Background jobs of CLABEs: registration of funding CLABEs with the provider."""

from core import jobs
from core.jobs import Lane
from payments.services import clabe_registration


@jobs.task("payments.register_clabe", lane=Lane.PROVIDERS)
def register_clabe(clabe_id: int) -> None:
    """Register a funding CLABE."""
    clabe_registration.register(clabe_id)


@jobs.periodic("*/5 * * * *", "payments.register_clabes", lane=Lane.PROVIDERS)
def register_clabes(timestamp: int) -> None:
    """Ask again about funding CLABEs that are not registered yet."""
    clabe_registration.register_due()
