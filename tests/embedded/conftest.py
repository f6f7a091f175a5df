from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from payments_site.embedded.postgres import EmbeddedPostgres

MakeCluster = Callable[[Path], EmbeddedPostgres]


@pytest.fixture
def make_cluster() -> Iterator[MakeCluster]:
    """Make clusters that the end of the test stops and removes."""
    made = []

    def make(folder: Path) -> EmbeddedPostgres:
        made.append(EmbeddedPostgres(folder / "postgres", run_dir=folder / "run", durable=False))
        return made[-1]

    yield make
    for cluster in made:
        cluster.stop()
        cluster.remove()
