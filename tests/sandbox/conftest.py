from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .process import Receiver, Simulator
from .stp_company import Company


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    running = Simulator(tmp_path_factory.mktemp("sandbox"))
    running.start()
    yield running
    running.stop()
    running.client.close()


@pytest.fixture
def own_simulator(tmp_path: Path) -> Iterator[Simulator]:
    """One that a test may stop."""
    running = Simulator(tmp_path)
    running.start()
    yield running
    if running.process is not None:
        running.stop()
    running.client.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    listening = Receiver()
    yield listening
    listening.close()


@pytest.fixture
def company(simulator: Simulator) -> Company:
    made = Company(simulator)
    assert made.configure().status_code == 200
    return made


@pytest.fixture
def notified(simulator: Simulator, receiver: Receiver) -> Company:
    """A company whose notices arrive at ``receiver``."""
    receiver.default = (200, {"mensaje": "recibido"})
    made = Company(simulator)
    answer = made.configure(
        orders_url=f"http://stp:s3cret@{receiver.address}/webhooks/stp/orders",
        deposits_url=f"http://stp:s3cret@{receiver.address}/webhooks/stp/deposits",
    )
    assert answer.status_code == 200 and "s3cret" not in answer.text
    return made
