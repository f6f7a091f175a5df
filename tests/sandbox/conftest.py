from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .process import Receiver, Simulator


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
