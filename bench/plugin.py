"""Targets for the reference benchmark's driver (``bench.py --plugin …/bench/plugin.py``).

The driver runs under any Python; code that needs the project's packages runs in ``python -m bench.product``.
P is the default server (gunicorn, two masters with one worker each that share the port), PG the same on granian.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
PYTHON = PROJECT / ".venv" / "bin" / "python"
HOME = Path(os.environ.get("REFBENCH", os.path.join(tempfile.gettempdir(), "refbench"))) / "product"
CLUSTER = f"127.0.0.1:{os.environ.get('PGPORT', '55432')}"
TEMPLATE = "payments_tpl"


def product(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start ``python -m bench.product`` with the benchmark's folder and cluster."""
    env = dict(os.environ, BENCH_HOME=str(HOME), BENCH_CLUSTER=CLUSTER)
    return subprocess.Popen([PYTHON, "-m", "bench.product", *arguments], cwd=PROJECT, env=env, **options)


class Product:
    """A target: the product on one server. The template database is created on first use."""

    key = "product"
    template = TEMPLATE

    def __init__(self, name: str, server: str, hot: bool = False) -> None:
        self.name, self.server = name, server
        if hot:
            self.key = "product-hot"

    def requests(self, job: str) -> Iterator[bytes]:
        """The raw HTTP requests of one job, in order, signed and distinct."""
        self._ready()
        with product("requests", job, *(["--hot"] if self.key.endswith("hot") else []), stdout=subprocess.PIPE) as made:
            assert made.stdout is not None
            while header := made.stdout.read(4):
                yield made.stdout.read(struct.unpack("!I", header)[0])
        if made.returncode:
            raise SystemExit(f"no requests for {job}")

    def setup(self, db: str) -> None:
        """Do nothing: the copy of the template is complete."""

    def start(self, db: str, port: int) -> subprocess.Popen[bytes]:
        """Start the server on ``port``, in its own session."""
        log = (HOME / f"{self.name}.log").open("wb")
        database = urlsplit(db).path[1:]
        return product(
            "serve", self.server, str(port), database, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )

    def check(self, db: str) -> dict[str, int]:
        """Counts from the database after the run, by which the driver checks the books."""
        with product("check", urlsplit(db).path[1:], stdout=subprocess.PIPE) as made:
            answer = made.communicate()[0]
        return dict(json.loads(answer))

    def _ready(self) -> None:
        HOME.mkdir(parents=True, exist_ok=True)
        with product("template", TEMPLATE) as made:
            if made.wait():
                raise SystemExit("the template database could not be created")


TARGETS = {
    "P": Product("P", "gunicorn"),
    "PG": Product("PG", "granian"),
    "PH": Product("PH", "gunicorn", hot=True),
    "PGH": Product("PGH", "granian", hot=True),
}
