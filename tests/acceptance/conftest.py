"""The site as it runs in production, with a merchant, both providers and objects in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from payments_site.embedded.postgres import EmbeddedPostgres
from payments_site.embedded.process import stop_recorded
from tests import cluster
from tests.acceptance.demo import Demo
from tests.conftest import Api
from tests.provider_messages import ConektaSender, StpSender
from tests.web_process import Web, patient


@dataclass
class Live:
    """A running gunicorn, and whoever talks to it."""

    web: Web
    api: Api
    stp: StpSender
    conekta: ConektaSender


@pytest.fixture
def live(
    committed_db: None,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    api: Api,
    stp: StpSender,
    at_conekta: Any,
    conekta: ConektaSender,
) -> Iterator[Live]:
    """The merchant's limits are raised, not removed: no example is about being too fast."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    environ |= {"DATABASE_URL": patient(cluster.url("payments_app")), "WEB_CONCURRENCY": "1"}
    environ |= dict.fromkeys(("RATE_LIMIT_READ", "RATE_LIMIT_WRITE", "RATE_LIMIT_TEST"), "1000000/s")
    environ |= {"SANDBOX_URL": at_conekta.simulator.url, "WEBHOOK_ALLOW_HTTP": "1"}
    web = Web(tmp_path / "web.jsonl", environ)
    web.start()
    us = f"http://{stp.username}:{stp.secret}@127.0.0.1:{web.port}/webhooks/stp/deposits"
    told = {"empresa": stp.account.name, "deposits_url": us, "clabe_prefix": stp.account.clabe_prefix}
    at_conekta.simulator.client.put("/_sim/stp/config", json=told).raise_for_status()
    try:
        yield Live(web, api, stp, conekta)
    finally:
        web.stop()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    """Starts demos, each with a home of its own, and stops those that still run."""
    demos: list[Demo] = []

    def run(name: str = "home", **environ: str) -> Demo:
        demos.append(Demo(tmp_path / name, **environ))
        return demos[-1]

    yield run
    for demo in demos:
        if demo.process.poll() is None:
            demo.process.kill()
            demo.process.wait()
        stop_recorded(demo.home / "run")
        EmbeddedPostgres(demo.home / "postgres", run_dir=demo.home / "run").remove()
