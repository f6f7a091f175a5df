from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.house import House, build
from tests.promises import FULL_TIMEOUT, pick
from tests.web_process import Web


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One house for all of these tests: each takes payments of its own and leaves PostgreSQL and Redis running."""
    with build(tmp_path_factory.mktemp("faults")) as built:
        yield built


@pytest.fixture
def web(house: House) -> Iterator[Web]:
    """The site, running."""
    with house.web() as running:
        yield running


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One house in one process: two at once would only slow each other down. Many starts of processes take time."""
    for item in items:
        if item.path.is_relative_to(__file__.rpartition("/")[0]):
            item.add_marker(pytest.mark.xdist_group("faults"))
            item.add_marker(pytest.mark.timeout(pick(1_200, FULL_TIMEOUT)))
