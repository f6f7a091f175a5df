"""Promises: which test shows which, how often it really tried, and the report of it (pytest plugin).

A test declares what it shows and counts what it did::

    @pytest.mark.promise("P1", "what was answered 2xx survives kill -9 of web and worker")
    def test_…(trials):
        for _ in trials.each(quick=20, full=200, unit="kills"):
            time.sleep(trials.random.uniform(0, 0.3))
            …

A test that is one trial by itself (a table of attacks, say) names only the unit:
``pytest.mark.promise("P7", "…", unit="attacks")``.

The number must be one of docs/promises.md. A test that declares a promise and ran no trial fails, also if it was
skipped: a promise that nobody tried is not kept. ``pytest --prove`` (``make prove``) runs only such tests, prints a
table of real counts and writes it to var/prove.md. ``FULL=1`` chooses the full counts, ``SEED=…`` repeats a run: each
test draws from ``trials.random``, which depends on the seed and the test's name only. Without ``--prove`` the seed is
always the same: ``make test`` fails for a cause, not for its dice.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

ROOT = Path(__file__).resolve().parent.parent
CATALOGUE = ROOT / "docs" / "promises.md"
REPORT = ROOT / "var" / "prove.md"
FULL = os.environ.get("FULL", "") not in ("", "0")
SEED = int(os.environ.get("SEED", "") or (random.randrange(10**6) if "--prove" in sys.argv else 1))
os.environ["SEED"] = str(SEED)  # xdist's workers are started after this
FULL_TIMEOUT = 3_600
"""Seconds that one test may take with full counts, unless it says otherwise itself."""


T = TypeVar("T")


class Trials:
    """What one test did, and the chance it draws from."""

    def __init__(self, name: str) -> None:
        self.seed = SEED
        self.random = random.Random(f"{SEED}:{name}")
        self.counts: Counter[str] = Counter()

    def done(self, count: int = 1, unit: str = "trials") -> None:
        """``count`` more of ``unit`` are behind us."""
        self.counts[unit] += count

    def each(self, *, quick: int, full: int, unit: str = "trials") -> Iterator[int]:
        """Numbers from 0 to this run's count; one is counted when its turn of the loop has ended."""
        for number in range(pick(quick, full)):
            yield number
            self.done(unit=unit)


def pick(quick: T, full: T) -> T:
    """What this run wants: a count, or a list of cases."""
    return full if FULL else quick


def catalogue() -> dict[str, str]:
    """Number -> wording of every promise in docs/promises.md."""
    rows = re.findall(r"^\| (P\d+) \| (.+?) \|$", CATALOGUE.read_text(), re.MULTILINE)
    return dict(rows)


@pytest.fixture
def trials(request: pytest.FixtureRequest) -> Trials:
    """The recorder of a test that shows a promise."""
    return request.node.stash.setdefault(_TRIALS, Trials(request.node.name.partition("@")[0]))


_TRIALS = pytest.StashKey[Trials]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("promises")
    group.addoption("--prove", action="store_true", help="run only the tests of promises and write var/prove.md")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "promise(number, text): which promise of docs/promises.md this test shows, and how"
    )
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Report(config), "promises-report")


def pytest_report_header() -> str:
    return f"promises: {'full' if FULL else 'quick'} counts, SEED={SEED}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    known, promising = catalogue(), []
    for item in items:
        markers = list(item.iter_markers("promise"))
        for marker in markers:
            if len(marker.args) != 2 or marker.args[0] not in known or marker.kwargs.keys() - {"unit"}:
                raise pytest.UsageError(
                    f"{item.nodeid}: promise{marker.args} is not (number of {CATALOGUE.name}, text)"
                )
        if not markers:
            continue
        promising.append(item)
        if FULL and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(FULL_TIMEOUT))
    if config.getoption("prove"):
        config.hook.pytest_deselected(items=[item for item in items if item not in promising])
        items[:] = promising


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Iterator[Any]:
    report = yield
    markers = list(item.iter_markers("promise"))
    if not markers:
        return report
    found = item.stash.get(_TRIALS, None)
    counts = Counter(found.counts if found else {})
    if report.when == "call" and report.passed:
        counts.update({marker.kwargs["unit"] for marker in markers if "unit" in marker.kwargs})
    if report.skipped or (report.when == "call" and report.passed and not any(counts.values())):
        why = f" because it was skipped: {report.longrepr}" if report.skipped else ""
        report.outcome, report.longrepr = "failed", f"It shows a promise and ran no trial{why}."
    if report.failed:
        report.sections.append(("promise", f"Repeat with: make prove SEED={SEED} ARGS='-k {item.name}'"))
    if report.when == "call" or report.failed:
        shown = [list(marker.args) for marker in reversed(markers)]
        report.user_properties.append(("promises", {"shown": shown, "counts": dict(counts)}))
    return report


@dataclass
class _Row:
    """What one or more tests say of one promise."""

    tests: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    results: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


class _Report:
    """In the controlling process: what every test said, as one table."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.rows: dict[tuple[str, str], _Row] = defaultdict(_Row)
        self.began = datetime.now(UTC)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for found in (value for name, value in report.user_properties if name == "promises"):
            for number, text in found["shown"]:
                row = self.rows[number, text]
                row.tests.add(report.nodeid.removeprefix("tests/").partition("@")[0].partition("[")[0])
                row.counts.update(found["counts"])
                row.results[_result(report)] += 1
                row.seconds += report.duration

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if not self.config.getoption("prove"):
            return
        text = self.text()
        REPORT.parent.mkdir(exist_ok=True)
        REPORT.write_text(text)
        terminalreporter.section("promises")
        terminalreporter.write(text)
        terminalreporter.write_line(f"\nThis table is in {REPORT.relative_to(ROOT)}.")

    def text(self) -> str:
        """The report in Markdown."""
        kept = sum(set(row.results) == {"kept"} for row in self.rows.values())
        tried = {number for number, _ in self.rows}
        silent = [f"- {number}: {text}" for number, text in catalogue().items() if number not in tried]
        lines = [
            "# Promises",
            "",
            f"{self.began:%Y-%m-%d %H:%M} UTC, commit {_commit()}, {'full' if FULL else 'quick'} counts, seed {SEED}, "
            f"{os.cpu_count()} cores, {(datetime.now(UTC) - self.began).total_seconds():.0f} s: "
            f"{kept} of {len(self.rows)} kept.",
            "",
            "| promise | what was tried | trials | result | seed | s | test |",
            "|---|---|---|---|---|---|---|",
        ]
        for (number, text), row in sorted(self.rows.items(), key=lambda one: (int(one[0][0][1:]), one[0][1])):
            counts = ", ".join(f"{count:,} {unit}" for unit, count in row.counts.items()) or "none"
            result = "kept" if set(row.results) == {"kept"} else ", ".join(sorted(set(row.results) - {"kept"}))
            tests = sorted(row.tests) if len(row.tests) < 3 else sorted({test.partition("::")[0] for test in row.tests})
            cells = [number, text, counts, result, str(SEED), f"{row.seconds:.1f}", ", ".join(tests)]
            lines.append(f"| {' | '.join(cells)} |")
        if silent:
            lines += ["", "Not tried in this run:", "", *silent]
        return "\n".join(lines) + "\n"


def _result(report: pytest.TestReport) -> str:
    if not report.failed:
        return "kept"
    return "BROKEN" if report.when == "call" else f"ERROR in {report.when}"


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"
