"""A demo in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from payments_site.embedded.process import process_started
from tests.cluster import ROOT

CHILDREN = ["postgres", "redis", "sandbox", "web", "worker"]


class Demo:
    """One ``python -m payments_site.demo`` with a home of its own."""

    def __init__(self, home: Path, **environ: str) -> None:
        self.home = home
        self.log = home.with_suffix(".log")
        given = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "payments_site.demo"],
                cwd=ROOT,
                env=given | {"DEMO_HOME": str(home)} | environ,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def output(self) -> str:
        return self.log.read_text()

    def wait_for(self, found: Callable[[], Any], seconds: float = 300) -> None:
        until = time.monotonic() + seconds
        while not found():
            assert time.monotonic() < until, self.output()
            time.sleep(0.05)

    def serving(self) -> None:
        self.wait_for(lambda: "Serving." in self.output() or self.process.poll() is not None)
        assert self.process.poll() is None, self.output()

    def children(self) -> dict[str, tuple[int, str]]:
        recorded = {}
        for file in (self.home / "run").glob("*.pid"):
            content = json.loads(file.read_text())
            recorded[content["name"]] = (content["pid"], content["started"])
        return recorded


def alive(children: dict[str, tuple[int, str]]) -> list[str]:
    return [name for name, (pid, started) in children.items() if process_started(pid) == started]
