"""Background job that rescues the jobs of killed workers."""

from __future__ import annotations

import logging

from django.conf import settings
from procrastinate import JobContext
from procrastinate.contrib.django import app
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Status

from core.jobs import Lane

logger = logging.getLogger(__name__)


@app.periodic(cron="* * * * *")
@app.task(
    name="payments_site.rescue_stalled_jobs",
    queue=Lane.MONEY,
    queueing_lock="payments_site.rescue_stalled_jobs",
    pass_context=True,
)
async def rescue_stalled_jobs(context: JobContext, timestamp: int) -> None:
    """Retry the jobs of a killed worker, which would stay ``doing`` forever. Every task is idempotent.

    A job whose successor is already queued is marked failed instead.
    """
    manager = context.app.job_manager
    for job in await manager.get_stalled_jobs(seconds_since_heartbeat=settings.JOB_STALLED_SECONDS):
        logger.warning("a job was left by its worker", extra={"job": job.id, "task": job.task_name})
        try:
            await manager.retry_job(job)
        except ConnectorException:
            await manager.finish_job(job, status=Status.FAILED, delete_job=False)
