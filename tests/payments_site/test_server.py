"""gunicorn as we configure it: what its processes load, and what it believes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from payments.services import provider_account
from tests import cluster
from tests.provider_messages import StpSender
from tests.web_process import ROOT, Web, basic, patient
from webhooks.models import ProviderEvent

LOADED = "import sys, {modules}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"

HOSTS = [
    b"Host: 10.0.3.17:8000\r\n",
    b"Host: [fd00::17]:8000\r\n",
    b"Host: [::1\r\n",
    b"Host: a b\r\n",
    b"Host: \xf1\r\n",
    b"Host:\r\n",
    b"",
]

REFUSED = [
    b"Content-Length: abc\r\n",
    b"Content-Length: -1\r\n",
    b"Content-Length: 2\r\nContent-Length: 3\r\n",
    b"Content-Length: " + b"9" * 300 + b"\r\n",
    b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
    b"Content-Length: 2\r\nX-Long: " + b"x" * 9_000 + b"\r\n",
    b"Content-Length: 2\r\n" + b"X-Many: 1\r\n" * 120,
    b"Content-Length: 2\r\nX-Broken : 1\r\n",
    b"Content-Length: 2\r\nX-Null: a\0b\r\n",
]
"""Requests that the server refuses whatever the program says."""


def loaded_by(modules: str, **environ: str) -> set[str]:
    command = [sys.executable, "-c", LOADED.format(modules=modules)]
    return set(
        subprocess.run(command, cwd=ROOT, env=os.environ | environ, capture_output=True, text=True).stdout.split()
    )


def test_the_master_loads_neither_django_nor_drivers() -> None:
    loaded = loaded_by("payments_site.env, payments_site.server, payments_site.logging")

    assert "payments_site" in loaded
    assert not loaded & {"django", "psycopg", "redis", "cryptography"}


def test_a_worker_does_not_load_what_only_its_neighbours_need() -> None:
    loaded = loaded_by("payments_site.wsgi, payments_site.urls")

    assert {"django", "psycopg"} <= loaded
    assert not loaded & {"pydantic", "PIL", "beancount"}


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_a_server_on_every_address_knows_ipv4_callers_by_their_ipv4_address(
    committed_db: Any, stp: StpSender, tmp_path: Path
) -> None:
    environ = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    web = Web(
        tmp_path / "web.log",
        environ | {"WEB_CONCURRENCY": "1", "DATABASE_URL": patient(cluster.url("payments_app"))},
        address="[::]",
    )
    answers = []
    web.start()
    try:
        for networks in (["127.0.0.0/8"], ["203.0.113.7"]):
            provider_account.set_networks(stp.account.pk, networks)
            notice = stp.deposit("646180157099999997", 100)
            answer = web.post("/webhooks/stp/deposits", notice, Authorization=basic(stp.username, stp.secret))
            answers.append(answer.status)
    finally:
        web.stop()

    assert answers == [200, 403]
    assert ProviderEvent.objects.get().remote_address == "127.0.0.1"


def test_no_header_moves_the_site_feigns_tls_or_stops_a_health_check(committed_db: Any, tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    web = Web(
        tmp_path / "web.log", environ | {"WEB_CONCURRENCY": "1", "DATABASE_URL": patient(cluster.url("payments_app"))}
    )
    web.start()
    try:
        for header in (b"SCRIPT_NAME: /healthz", b"PATH_INFO: /nowhere", b"X-Forwarded-Proto: https"):
            said = web.raw(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n" + header + b"\r\n\r\n")
            assert said.startswith(b"HTTP/1.1 200 OK"), (header, said)
            assert b"Strict-Transport-Security" not in said
        for lines in HOSTS:
            said = web.raw(b"GET /healthz HTTP/1.1\r\nConnection: close\r\n" + lines + b"\r\n")
            assert said.startswith(b"HTTP/1.1 200 OK"), (lines, said)
        for lines in REFUSED:
            said = web.raw(
                b"POST /v1/payments HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n" + lines + b"\r\n{}"
            )
            assert said.startswith(b"HTTP/1.1 4"), (lines[:40], said)
        assert web.raw(b"GET /healthz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 200 OK")
    finally:
        web.stop()
