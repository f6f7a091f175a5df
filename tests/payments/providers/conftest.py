"""An HTTP server and two clients of Conekta, one with a short timeout."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from payments.providers.conekta.client import ConektaClient
from tests.payments.providers.http_server import Server


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def client(server: Server) -> ConektaClient:
    return ConektaClient("key_S3cr3tS3cr3t", server.address, connect_timeout=10, total_timeout=10)


@pytest.fixture
def hasty(server: Server) -> ConektaClient:
    return ConektaClient("key_S3cr3tS3cr3t", server.address, connect_timeout=1.5, total_timeout=1.5)
