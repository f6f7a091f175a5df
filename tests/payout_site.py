"""Web and worker as real processes that pay out through the simulated STP (fixture ``payout_site``)."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.db.models import F

from core import clock
from merchants.models import Merchant
from payments.models import Payout
from payments.services import payout_sending
from tests import cluster
from tests.conftest import Api
from tests.factories import payouts
from tests.provider_messages import StpSender
from tests.web_process import Answer, Web, Worker, patient

if TYPE_CHECKING:
    from tests.sandbox_process import AtStp  # pytest_plugins must be the first to import it

MONEY = 100_000_000
"""Centavos at STP and on the merchant's balance before the first payout."""


@dataclass
class PayoutSite:
    """The running site as a merchant sees it, and STP's side of the same payouts."""

    web: Web
    worker: Worker
    at_stp: AtStp
    secret: str
    created: int = 0

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """One request of the merchant."""
        self.created += 1
        headers = {"Authorization": f"Bearer {self.secret}", "Idempotency-Key": f"payout-{self.created}"}
        raw = None if body is None else json.dumps(body).encode()
        return self.web.request(method, path, raw, headers | {"Content-Type": "application/json"})

    def create(self, **changes: Any) -> dict[str, Any]:
        """A new payout."""
        answer = self.ask("POST", "/v1/payouts", payouts.wanted(**changes))
        assert answer.status == 202, answer.body
        return dict(json.loads(answer.body))

    def read(self, payout: dict[str, Any]) -> dict[str, Any]:
        """The payout as it is now."""
        return dict(json.loads(self.ask("GET", f"/v1/payouts/{payout['id']}").body))

    def decide(self, payout: dict[str, Any], outcome: str) -> Answer:
        """Let the simulator decide the payout."""
        return self.ask("POST", f"/v1/test/payouts/{payout['id']}/outcome", {"outcome": outcome})

    def until(self, payout: dict[str, Any], wanted: Callable[[dict[str, Any]], bool], seconds: float = 180) -> Any:
        """The payout as soon as ``wanted`` holds of it; AssertionError with it after ``seconds``."""
        end = time.monotonic() + seconds
        while not wanted(found := self.read(payout)):
            assert time.monotonic() < end, found
            time.sleep(0.05)
        return found

    def statuses(self) -> dict[str, str]:
        """Status by tracking key of every payout, as the API lists them."""
        found, cursor = {}, ""
        while True:
            page = json.loads(self.ask("GET", f"/v1/payouts?limit=100{cursor}").body)
            found |= {one["tracking_key"]: one["status"] for one in page["data"]}
            if not page["has_more"]:
                return found
            cursor = f"&cursor={page['next_cursor']}"


def lapse() -> None:
    """As if the lease of every send had ended and every next step were due; call it while no worker runs."""
    running = Payout.objects.filter(status=Payout.Status.PROCESSING)
    sending = running.filter(send_outcome=Payout.SendOutcome.SENDING)
    sending.update(send_started_at=F("send_started_at") - payout_sending.LEASE - timedelta(seconds=1))
    running.update(next_attempt_at=clock.now())


@contextmanager
def running(at_stp: AtStp, stp: StpSender, secret: str, folder: Path, keys: Path) -> Iterator[PayoutSite]:
    """Web and worker, ready, and known to the simulator; only the worker has the signing key."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    environ |= {"DATABASE_URL": patient(cluster.url("payments_app")), "WEB_CONCURRENCY": "1"}
    environ |= dict.fromkeys(("RATE_LIMIT_READ", "RATE_LIMIT_WRITE", "RATE_LIMIT_TEST"), "1000000/s")
    environ["SANDBOX_URL"] = at_stp.simulator.url
    web = Web(folder / "web.jsonl", environ)
    signing = {"DJANGO_SETTINGS_MODULE": "tests.payout_settings", "STP_SIGNING_KEYS": str(keys)}
    worker = Worker(folder / "worker.jsonl", environ | signing)
    try:
        web.launch()
        worker.start()
        web.wait_ready()
        us = f"http://{stp.username}:{stp.secret}@127.0.0.1:{web.port}/webhooks/stp"
        at_stp.configure(
            orders_url=f"{us}/orders", deposits_url=f"{us}/deposits", opening_balance=MONEY, pace=0.1, chances={}
        )
        yield PayoutSite(web, worker, at_stp, secret)
    finally:
        worker.stop()
        web.stop()


@pytest.fixture
def payout_site(
    committed_db: None, api: Api, merchant: Merchant, stp: StpSender, at_stp: AtStp, tmp_path: Path
) -> Iterator[PayoutSite]:
    account = at_stp.account
    account.ordering_clabe = "646180110400000007"
    account.ordering_name, account.ordering_tax_id = "EMPRESA DEMO", "EDE010101AB1"
    account.save(update_fields=["ordering_clabe", "ordering_name", "ordering_tax_id"])
    payouts.fund(merchant, MONEY)
    with running(at_stp, stp, api.secret, tmp_path, tmp_path) as site:
        yield site
