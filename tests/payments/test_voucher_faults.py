"""Faults while a voucher is requested: other requests are served, and the worker retries."""

from __future__ import annotations

import asyncio
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from procrastinate import PsycopgConnector
from procrastinate.contrib.django import app, connector_params
from procrastinate.jobs import Job

from core import clock
from payments.jobs.payment import request_voucher as voucher_task
from payments.models import Payment
from payments.services import payment as payment_service
from tests import cluster
from tests.concurrency.threads import soon
from tests.factories.voucher import CLOSED, OXXO, event_types, jobs
from tests.web_process import Web, patient

pytest_plugins = ["tests.sandbox_process"]
pytestmark = pytest.mark.usefixtures("committed_db")


def work():
    """Run a worker until no job is due."""

    async def run() -> None:
        async with app.with_connector(PsycopgConnector(kwargs=connector_params())).open_async() as worker_app:
            await worker_app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)

    with connection.cursor() as cursor:
        cursor.execute("UPDATE procrastinate_jobs SET scheduled_at = now() WHERE status = 'todo'")
    asyncio.run(run())


def test_after_an_internal_error_the_worker_finds_the_created_order(api, at_conekta, monkeypatch):
    at_conekta.move(CLOSED)
    api.post("/v1/payments", OXXO)
    at_conekta.move_back()

    def die(*args, **kwargs):
        raise ZeroDivisionError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(payment_service, "attach_voucher", die)
        work()
    ((task, _, wait),) = jobs()  # the other one, of the rescue, found the lease taken
    Payment.objects.update(voucher_asked_until=F("voucher_asked_until") - timedelta(seconds=wait))
    work()

    assert task == "payments.request_voucher"
    assert payment_service._VOUCHER_LEASE.total_seconds() < wait < 60
    (order,) = at_conekta.orders()
    assert Payment.objects.get().order_id == order["id"]
    assert event_types() == ["payment.created", "payment.updated"]
    assert jobs() == []


def test_a_fault_of_ours_is_not_tried_for_ever():
    def wait_after(attempts: int) -> int | None:
        job = Job(id=1, queue="default", lock=None, queueing_lock=None, task_name=voucher_task.name, attempts=attempts)
        retry = voucher_task.get_retry_exception(ZeroDivisionError(), job)
        return retry and round((retry.retry_decision.retry_at - clock.now()).total_seconds())

    assert [wait_after(attempts) for attempts in range(10)] == [43, 49, 67, 121, 283, 769, 2227, 6601, None, None]


def test_requests_that_wait_for_conekta_keep_no_connection_from_others(api, at_conekta, black_hole, tmp_path):
    """gunicorn with one connection for eight threads: two creations hang at Conekta, a reader is served meanwhile."""
    at_conekta.move(black_hole)
    environ = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    environ |= {"WEB_CONCURRENCY": "1", "DATABASE_POOL_SIZE": "1"}
    web = Web(tmp_path / "web.log", environ | {"DATABASE_URL": patient(cluster.url("payments_app"))})
    key = {"Authorization": f"Bearer {api.secret}"}
    web.start()

    def create(number):
        return web.post("/v1/payments", json.dumps(OXXO).encode(), **key, **{"Idempotency-Key": f"k-{number}"})

    try:
        with ThreadPoolExecutor(2) as threads:
            creations = [threads.submit(create, number) for number in range(2)]
            assert soon(lambda: Payment.objects.filter(voucher_asked_until__isnull=False).count() == 2)
            began = time.monotonic()
            answers = [web.get("/v1/payments", **key) for _ in range(5)]
            seconds = time.monotonic() - began
            assert not any(creation.done() for creation in creations)
            created = [creation.result() for creation in creations]
    finally:
        web.stop()

    assert [answer.status for answer in answers] == [200] * 5
    assert seconds < 9  # it waits for ten
    assert [(answer.status, json.loads(answer.body)["oxxo"]) for answer in created] == [(201, None)] * 2
