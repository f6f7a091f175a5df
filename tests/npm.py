"""Programs from npm: pinned by a package.json and its lock file, installed once below ``var``."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cluster import ROOT

PACKAGES = ("package.json", "package-lock.json")


def program(name: str) -> str:
    """Its path. The test is skipped if this machine lacks it; in CI it fails."""
    found = shutil.which(name)
    if not found and os.environ.get("CI"):
        pytest.fail(f"{name} is missing: apt-get install {name}")
    return found or pytest.skip(f"NOT TESTED: {name} is missing: apt-get install {name}")


def run(home: Path, *command: str) -> str:
    """What it printed; a failed test if it ends with an error."""
    ran = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=400, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def installed(source: Path) -> Path:
    """The folder with ``node_modules`` of ``source``; the test is skipped where the npm registry is not reached."""
    npm = program("npm")
    home = ROOT / "var" / source.name
    home.mkdir(parents=True, exist_ok=True)
    ready = home / "node_modules" / ".package-lock.json"
    if not ready.exists() or any((home / name).read_bytes() != (source / name).read_bytes() for name in PACKAGES):
        for name in PACKAGES:
            shutil.copy(source / name, home / name)
        try:
            run(home, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
        except AssertionError as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"NOT TESTED: npm cannot install {source.name}: {error}")
    return home
