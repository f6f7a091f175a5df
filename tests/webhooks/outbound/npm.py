"""The public Standard Webhooks library for Node, installed from npm into a folder of the test run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

PACKAGE = "standardwebhooks@1.1.1"


def install(folder: Path) -> Path:
    """Install the library below ``folder`` and return it; skips the test where npm or its registry is missing."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("node and npm are not installed: the Node library has verified nothing")
    command = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", PACKAGE]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        pytest.skip(f"npm cannot install {PACKAGE}: the Node library has verified nothing: {done.stderr[-500:]}")
    return folder
