"""core.jobs: work asked for inside a transaction exists if, and only if, the transaction commits."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from procrastinate.contrib.django.models import ProcrastinateJob

from core import clock, jobs
from tests.concurrency.threads import at_once


class RolledBack(Exception):
    pass


def waiting() -> list[tuple[str, str | None, dict]]:
    return list(ProcrastinateJob.objects.order_by("id").values_list("task_name", "queueing_lock", "args"))


def test_a_job_waits_once_its_transaction_has_committed(committed_db):
    with transaction.atomic():
        jobs.defer("payments.request_voucher", queueing_lock="voucher:1", payment_id=1, attempt=0)

    assert waiting() == [("payments.request_voucher", "voucher:1", {"payment_id": 1, "attempt": 0})]


def test_a_job_is_rolled_back_with_its_transaction(committed_db):
    def change_and_fail() -> None:
        with transaction.atomic():
            jobs.defer("payments.request_voucher", payment_id=1, attempt=0)
            assert len(waiting()) == 1
            raise RolledBack

    with pytest.raises(RolledBack):
        change_and_fail()

    assert waiting() == []


@pytest.mark.django_db
def test_a_second_job_with_the_same_queueing_lock_is_not_added_and_breaks_nothing():
    for attempt in (1, 2):
        jobs.defer("payments.request_voucher", queueing_lock="voucher:1", payment_id=1, attempt=attempt)
    jobs.defer("payments.request_voucher", queueing_lock="voucher:2", payment_id=2, attempt=1)

    assert [args for _, _, args in waiting()] == [
        {"payment_id": 1, "attempt": 1},
        {"payment_id": 2, "attempt": 1},
    ]


@pytest.mark.django_db
def test_jobs_without_a_queueing_lock_all_wait():
    for _ in range(3):
        jobs.defer("payments.request_voucher", payment_id=1, attempt=1)

    assert len(waiting()) == 3


@pytest.mark.django_db
def test_a_job_for_later_is_stored_with_its_moment():
    later = clock.now() + timedelta(minutes=1)

    jobs.defer("payments.request_voucher", schedule_at=later, payment_id=1, attempt=1)

    assert ProcrastinateJob.objects.get().scheduled_at == later


@pytest.mark.django_db
def test_a_job_that_no_lane_runs_is_refused_where_it_is_deferred():
    for name in ("payments.no_such_task", "builtin:procrastinate.builtin_tasks.remove_old_jobs"):
        with pytest.raises(jobs.UnknownJob, match="no lane"):
            jobs.defer(name)

    assert waiting() == []


def test_every_task_of_ours_belongs_to_a_lane():
    ours = [name for name in jobs.app.tasks if "procrastinate." not in name]

    assert len(ours) > 10
    assert {name for name in ours if jobs.lane_of(name) not in jobs.Lane} == set()


def test_threads_with_one_queueing_lock_add_one_job(committed_db):
    def defer() -> None:
        with transaction.atomic():
            jobs.defer("payments.request_voucher", queueing_lock="voucher:1", payment_id=1, attempt=1)

    at_once([defer] * 8)

    assert len(waiting()) == 1
