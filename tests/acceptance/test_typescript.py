"""A merchant's TypeScript, with types that openapi-typescript makes from our document, compiles as a reader expects."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from payments_site.openapi import document
from tests.acceptance.test_guides import program
from tests.cluster import ROOT

SOURCE = ROOT / "tests" / "acceptance" / "typescript"
HOME = ROOT / "var" / "typescript"
PACKAGES = ("package.json", "package-lock.json")


def run(*command: str) -> str:
    """What it printed; a failed test if it ends with an error."""
    ran = subprocess.run(command, cwd=HOME, capture_output=True, text=True, timeout=400, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.fixture
def packages() -> Path:
    """The pinned npm packages, installed once in ``var``; the test is skipped where the npm registry is not reached."""
    npm = program("npm")
    HOME.mkdir(parents=True, exist_ok=True)
    ready = HOME / "node_modules" / ".package-lock.json"
    if not ready.exists() or any((HOME / name).read_bytes() != (SOURCE / name).read_bytes() for name in PACKAGES):
        for name in PACKAGES:
            shutil.copy(SOURCE / name, HOME / name)
        try:
            run(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
        except AssertionError as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"NOT TESTED: npm cannot install the TypeScript compiler: {error}")
    return HOME


def test_the_main_job_compiles_with_strict_generated_types(packages):
    shutil.copy(SOURCE / "main_job.ts", packages / "main_job.ts")
    (packages / "openapi.json").write_bytes(document.as_bytes())

    run("node_modules/.bin/openapi-typescript", "openapi.json", "-o", "api.d.ts")

    assert (
        run("node_modules/.bin/tsc", *"--strict --noEmit --module nodenext --target es2022 main_job.ts".split()) == ""
    )
