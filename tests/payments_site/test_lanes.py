"""The worker's lanes: none waits for another one, and only the one that calls providers is given the signing key."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import transaction
from procrastinate.contrib.django.models import ProcrastinateJob

from core import clock, jobs
from payments.models import Payment, ProviderAccount
from payments.services import payment as payment_service
from payments.services.payment import NewPayment
from payments_site import env, startup
from tests.concurrency.threads import soon
from tests.web_process import Worker

VOUCHERS = 5
"""More than the providers' lane calls at once."""


@pytest.fixture
def silent_provider() -> Iterator[tuple[str, list[socket.socket]]]:
    """The address of a provider that takes calls and answers none of them, and the calls that it has taken."""
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    taken.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", taken
        server.shutdown(socket.SHUT_RDWR)
    thread.join()
    for connection in taken:
        connection.close()


@pytest.fixture
def worker(committed_db: None, tmp_path: Path) -> Iterator[Worker]:
    """A worker with small lanes."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    environ |= {"WORKER_CONCURRENCY": "money=1,providers=2,deliver=1,slow=1"}
    process = Worker(tmp_path / "worker.log", environ)
    yield process
    process.stop()


def test_a_provider_that_does_not_answer_delays_no_other_lane(merchant, staff_origin, worker, silent_provider):
    url, taken = silent_provider
    account = ProviderAccount.objects.create(provider="conekta", livemode=False, name="OXXO", base_url=url)
    account.credentials = {"api_key": "key_1"}
    account.save()
    wanted = NewPayment(Payment.Method.OXXO, 10_000, clock.now() + timedelta(days=1))
    for _ in range(VOUCHERS):
        with transaction.atomic():
            payment = payment_service.create(merchant, livemode=False, wanted=wanted, origin=staff_origin)
            jobs.defer("payments.request_voucher", payment_id=payment.pk, attempt=1)

    worker.start()
    worker.wait_ready()
    assert soon(lambda: len(taken) == 2)
    for name in ("payments.expire_payments", "payments.rescue_reports"):
        jobs.defer(name, timestamp=0)
    others = ProcrastinateJob.objects.exclude(queue_name="providers").filter(scheduled_at=None)

    assert soon(lambda: not others.filter(status="todo").exists(), seconds=8)
    assert len(taken) == 2
    assert ProcrastinateJob.objects.filter(task_name="payments.request_voucher", status="doing").count() == 2


@pytest.mark.parametrize("text", ["", " , ", "fast", "money,fast"])
def test_lanes_that_do_not_exist_are_refused(text):
    with pytest.raises(CommandError, match="money, providers, deliver, slow"):
        call_command("worker", "--lanes", text)


@pytest.mark.parametrize("text", ["money", "money=0", "money=x", "money=-1", "fast=2", "=1"])
def test_a_size_that_cannot_be_read_is_refused(text):
    with pytest.raises(env.EnvironmentVariableError, match="WORKER_CONCURRENCY must look like"):
        env.Worker.from_env({"WORKER_CONCURRENCY": text})


def test_lanes_without_a_size_keep_their_default():
    assert env.Worker.from_env({"WORKER_CONCURRENCY": " slow=7 "}).concurrency == env.LANES | {"slow": 7}
    assert set(env.LANES) == set(jobs.Lane)


@pytest.mark.django_db
@pytest.mark.parametrize("begin", [lambda: startup.web(is_first=False), lambda: startup.worker(signs=False)])
def test_a_process_that_does_not_sign_drops_the_signing_key_and_says_so(settings, tmp_path, caplog, monkeypatch, begin):
    monkeypatch.setattr(startup.metrics, "sample_pool_for_ever", lambda: None)
    settings.STP_SIGNING_KEYS, settings.STP_SIGNING_PASSWORD = tmp_path, "open sesame"

    with caplog.at_level(logging.ERROR, "payments_site.startup"):
        begin()

    assert (settings.STP_SIGNING_KEYS, settings.STP_SIGNING_PASSWORD) == (None, "")
    assert "STP_SIGNING_KEYS" in caplog.text


@pytest.mark.django_db
def test_the_worker_that_calls_providers_keeps_the_signing_key(settings, tmp_path):
    settings.STP_SIGNING_KEYS = tmp_path

    startup.worker(signs=True)

    assert settings.STP_SIGNING_KEYS == tmp_path
