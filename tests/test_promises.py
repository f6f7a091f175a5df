"""A promise that was not tried is not kept: the plugin itself, run on tests of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests import promises

TESTS = """
import pytest

@pytest.mark.promise("P1", "tried")
def test_tried(trials):
    for _ in trials.each(quick=3, full=5, unit="kills"):
        pass
    trials.done(40, "notices")

@pytest.mark.promise("P2", "broken")
def test_broken(trials):
    trials.done()
    assert trials.random.random() > 1

@pytest.mark.promise("P3", "idle")
def test_idle(trials):
    for _ in trials.each(quick=0, full=0):
        pass

@pytest.mark.promise("P4", "skipped")
@pytest.mark.skip("no time")
def test_skipped(trials):
    trials.done()

@pytest.mark.promise("P5", "stopped half-way")
def test_half_way(trials):
    for number in trials.each(quick=5, full=5):
        assert number < 2

@pytest.mark.promise("P7", "attacked", unit="attacks")
@pytest.mark.parametrize("number", range(4))
def test_attacks(number):
    assert number >= 0

def test_of_no_promise():
    assert False
"""


def run(folder, text, *options, **environ):
    """pytest with the plugin alone, in a folder of its own."""
    (folder / "test_it.py").write_text(text)
    program = f"import sys; sys.path.insert(0, {str(promises.ROOT)!r})\n"
    program += "import pathlib, pytest; from tests import promises\n"
    program += "promises.REPORT = pathlib.Path('var/prove.md').absolute(); promises.ROOT = pathlib.Path.cwd()\n"
    program += "sys.exit(pytest.main(sys.argv[1:], plugins=[promises]))"
    command = [sys.executable, "-c", program, "-p", "no:django", "-p", "no:cacheprovider", "-q", *options]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=300, check=False)
    report = folder / "var" / "prove.md"
    return done.returncode, done.stdout + done.stderr, report.read_text() if report.exists() else ""


def rows(report):
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in report.splitlines() if line[:3] == "| P"]
    return {number: (text, counts, result, seed) for number, text, counts, result, seed, *_ in cells}


def test_the_report_shows_what_was_really_tried(tmp_path):
    code, said, report = run(tmp_path, TESTS, "--prove", SEED="77")

    assert code == 1, said
    assert rows(report) == {
        "P1": ("tried", "3 kills, 40 notices", "kept", "77"),
        "P2": ("broken", "1 trials", "BROKEN", "77"),
        "P3": ("idle", "none", "BROKEN", "77"),
        "P4": ("skipped", "none", "ERROR in setup", "77"),
        "P5": ("stopped half-way", "2 trials", "BROKEN", "77"),
        "P7": ("attacked", "4 attacks", "kept", "77"),
    }
    assert ": 2 of 6 kept." in report
    assert "- P6: " in report
    assert report in said
    assert "make prove SEED=77 ARGS='-k test_broken'" in said
    assert said.count("It shows a promise and ran no trial") >= 2


def test_full_counts_are_chosen_by_the_environment(tmp_path):
    _, _, report = run(tmp_path, TESTS, "--prove", FULL="1")

    assert rows(report)["P1"][1] == "5 kills, 40 notices"


def test_without_prove_every_test_runs_and_no_report_is_written(tmp_path):
    code, said, report = run(tmp_path, TESTS)

    assert (code, report) == (1, "")
    assert "4 failed, 5 passed, 1 error" in said


def test_a_promise_that_nobody_made_is_refused(tmp_path):
    code, said, _ = run(tmp_path, "import pytest\n@pytest.mark.promise('P99', 'x')\ndef test_x(): pass\n")

    assert code == pytest.ExitCode.USAGE_ERROR
    assert "promise('P99', 'x') is not" in said


def test_a_seed_repeats_a_tests_chance_and_no_other_tests():
    first, again, other = (promises.Trials(name).random.random() for name in ("a", "a", "b"))

    assert first == again != other


def test_the_catalogue_is_complete():
    assert list(promises.catalogue()) == [f"P{number}" for number in range(1, 33)]
