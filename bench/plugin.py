"""The product as a target of the reference benchmark's driver (``bench.py --plugin …/bench/plugin.py``).

The driver runs under any Python; whatever needs the project's packages is done by ``python -m bench.product``.
P is the default server (gunicorn, two masters of one worker that share the port), PG the same behind granian.
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
    """``python -m bench.product`` with the benchmark's folder and cluster."""
    env = dict(os.environ, BENCH_HOME=str(HOME), BENCH_CLUSTER=CLUSTER)
    return subprocess.Popen([PYTHON, "-m", "bench.product", *arguments], cwd=PROJECT, env=env, **options)


class Product:
    """One way of serving it. The template database is made when it is first needed."""

    key = "product"
    template = TEMPLATE

    def __init__(self, name: str, server: str, hot: bool = False) -> None:
        self.name, self.server = name, server
        if hot:
            self.key = "product-hot"

    def requests(self, job: str) -> Iterator[bytes]:
        """Raw HTTP requests of one job, in order, signed and distinct."""
        self._ready()
        with product("requests", job, *(["--hot"] if self.key.endswith("hot") else []), stdout=subprocess.PIPE) as made:
            assert made.stdout is not None
            while header := made.stdout.read(4):
                yield made.stdout.read(struct.unpack("!I", header)[0])
        if made.returncode:
            raise SystemExit(f"no requests for {job}")

    def setup(self, db: str) -> None:
        """Nothing: the fresh copy of the template is complete."""

    def start(self, db: str, port: int) -> subprocess.Popen[bytes]:
        """The server on ``port``, in a session of its own."""
        log = (HOME / f"{self.name}.log").open("wb")
        database = urlsplit(db).path[1:]
        return product(
            "serve", self.server, str(port), database, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )

    def check(self, db: str) -> dict[str, int]:
        """Counts of the database after the run; the books must balance."""
        with product("check", urlsplit(db).path[1:], stdout=subprocess.PIPE) as made:
            answer = made.communicate()[0]
        return dict(json.loads(answer))

    def _ready(self) -> None:
        HOME.mkdir(parents=True, exist_ok=True)
        with product("template", TEMPLATE) as made:
            if made.wait():
                raise SystemExit("the template database could not be made")


TARGETS = {
    "P": Product("P", "gunicorn"),
    "PG": Product("PG", "granian"),
    "PH": Product("PH", "gunicorn", hot=True),
    "PGH": Product("PGH", "granian", hot=True),
}
