"""What the README and the guides for merchants tell a reader to type works, and answers as they say."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from fnmatch import fnmatchcase
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.demo import Demo
from tests.cluster import ROOT
from tests.npm import program

MERCHANTS = ["merchant-api", "payouts", "refunds", "webhooks"]
GUIDES = ["README.md", *(f"docs/guides/{name}.md" for name in MERCHANTS)]
END = "-- end of block --"


def blocks(guide: str) -> list[tuple[str, Any]]:
    """A guide's commands, each with the answer that follows it (None: none is shown); without ``make demo`` itself."""
    text = (ROOT / guide).read_text()
    found = re.findall(r"^```sh\n(.*?)^```\n(?:```json\n(.*?)^```\n)?", text, re.M | re.S)
    return [(sh, json.loads(answer) if answer else None) for sh, answer in found if not sh.startswith("make ")]


def follow(guide: str, folder: Path) -> list[str]:
    """Type all of a guide's commands into one shell; what each block printed."""
    script = "set -eu\n" + "".join(f"{sh}\necho\necho '{END}'\n" for sh, _ in blocks(guide))
    ran = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert (ran.returncode, ran.stderr if ran.returncode else "") == (0, ""), ran.stdout[-2000:]
    return ran.stdout.split(f"{END}\n")[:-1]


def last_json(text: str) -> Any:
    """The last JSON object in it: a block may print several, and one may have several lines."""
    found, at, decoder = None, 0, json.JSONDecoder()
    while (at := text.find("{", at)) >= 0:
        try:
            found, at = decoder.raw_decode(text, at)
        except ValueError:
            at += 1
    return found


def differences(shown: Any, seen: Any, where: str = "") -> list[str]:
    """Where an answer is not as a guide shows it: what is shown must be there, ``…`` stands for anything."""
    if isinstance(shown, dict) and isinstance(seen, dict):
        return [d for name in shown for d in differences(shown[name], seen.get(name), f"{where}.{name}")]
    if isinstance(shown, list) and isinstance(seen, list):
        return [d for i, (a, b) in enumerate(zip_longest(shown, seen)) for d in differences(a, b, f"{where}[{i}]")]
    if isinstance(shown, str) and "…" in shown:
        alike = seen is not None and fnmatchcase(str(seen), shown.replace("[", "[[]").replace("…", "*"))
    else:
        alike = (type(shown), shown) == (type(seen), seen)
    return [] if alike else [f"{where}: the guide shows {shown!r}, the answer is {seen!r}"]


@pytest.fixture
def folder(start: Callable[..., Demo], tmp_path: Path) -> Path:  # noqa: F811 - the fixture
    """Where a reader would be: beside the running demo's ``var`` and the environment of ``make demo``."""
    program("curl")
    demo = start("demo")
    demo.serving()
    (tmp_path / "var").symlink_to(demo.home)
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    return tmp_path


def test_the_readme_and_the_guides_are_true_of_the_running_demo(folder):
    wrong = []
    for guide in GUIDES:
        printed = follow(guide, folder)
        for (sh, shown), out in zip(blocks(guide), printed, strict=True):
            if shown is not None:
                answer = last_json(out)
                wrong += [f"{guide}: {sh.splitlines()[-1]}{where}" for where in differences(shown, answer)]

    assert not wrong, "\n".join(wrong)
    assert [len(blocks(guide)) for guide in GUIDES] == [1, 20, 10, 8, 7]


def test_a_missing_program_skips_aloud_and_fails_in_ci(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))

    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="^NOT TESTED: curl is missing: apt-get install curl$"):
        program("curl")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="^curl is missing: apt-get install curl$"):
        program("curl")
