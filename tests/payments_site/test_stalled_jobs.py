"""A job whose worker was killed is given to another one."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

from asgiref.sync import async_to_sync
from django.db import connection
from procrastinate.contrib.django import app
from procrastinate.contrib.django.models import ProcrastinateJob

from core import clock, jobs
from payments_site.jobs.stalled_job import rescue_stalled_jobs


def leave(name: str, *, sign_of_life: timedelta, lock: str | None = None) -> int:
    """A job that a worker began and whose last sign of life was then."""
    jobs.defer(name, queueing_lock=lock)
    job = ProcrastinateJob.objects.latest("id")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (%s) RETURNING id", [clock.now() - sign_of_life]
        )
        worker = cursor.fetchone()[0]
        cursor.execute("UPDATE procrastinate_jobs SET status = 'doing', worker_id = %s WHERE id = %s", [worker, job.pk])
    return job.pk


def status(job: int) -> str:
    return ProcrastinateJob.objects.get(pk=job).status


def rescue() -> None:
    async_to_sync(rescue_stalled_jobs.func)(SimpleNamespace(app=app), 0)


def test_a_job_of_a_dead_worker_waits_again_and_one_of_a_living_worker_goes_on(committed_db):
    dead = leave("payments.withdraw_order", sign_of_life=timedelta(seconds=31))
    alive = leave("payments.request_voucher", sign_of_life=timedelta(seconds=5))

    rescue()

    assert (status(dead), status(alive)) == ("todo", "doing")


def test_a_job_whose_successor_waits_already_is_ended(committed_db):
    dead = leave("payments.withdraw_order", sign_of_life=timedelta(minutes=2), lock="one at a time")
    jobs.defer("payments.withdraw_order", queueing_lock="one at a time")

    rescue()

    assert status(dead) == "failed"
    assert ProcrastinateJob.objects.filter(status="todo").count() == 1
