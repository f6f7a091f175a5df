"""Background jobs that maintain the job queue itself. Each is idempotent."""

from payments_site.jobs import stalled_job

__all__ = ["stalled_job"]
