"""Which wheels the package index has for our pins: ``python -m tests.architecture.wheels`` records them in wheels.json.

pip itself resolves requirements-dev.txt (and with it requirements.txt) for every Python and platform that README.md
names, with wheels only, and ends with an error where one is missing. Environment markers are those of the Python that
runs it: run it with the oldest one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import parse_wheel_filename

ROOT = Path(__file__).resolve().parents[2]
RECORD = Path(__file__).with_name("wheels.json")
PYTHONS = [(3, 11), (3, 12), (3, 13), (3, 14)]


def _linux(machine: str) -> list[str]:
    # glibc 2.28 (2018): Debian 10, Ubuntu 20.04, RHEL 8 and everything newer.
    return [f"manylinux_2_{minor}_{machine}" for minor in range(28, 4, -1)] + [f"manylinux2014_{machine}"]


PLATFORMS = {
    "x86-64 Linux": [*_linux("x86_64"), "manylinux2010_x86_64", "manylinux1_x86_64"],
    "ARM Linux": _linux("aarch64"),
    "Apple silicon": list(mac_platforms((14, 0), "arm64")),
}
Target = tuple[tuple[int, int], str]
# gevent has no wheel for Python 3.11 on Macs.
TARGETS: list[Target] = [each for each in product(PYTHONS, PLATFORMS) if each != ((3, 11), "Apple silicon")]


def supported(target: Target) -> set[Tag]:
    """The tags of wheels that can be installed there."""
    python, platform = target
    names = PLATFORMS[platform]
    interpreter = f"cp{python[0]}{python[1]}"
    return {*cpython_tags(python, platforms=names), *compatible_tags(python, interpreter, names)}


def without_wheel(filenames: Iterable[str]) -> list[str]:
    """Where none of a release's files can be installed without building: ``3.13 on ARM Linux``."""
    tags = {tag for name in filenames if name.endswith(".whl") for tag in parse_wheel_filename(name)[3]}
    return [f"{p[0]}.{p[1]} on {platform}" for p, platform in TARGETS if not tags & supported((p, platform))]


def resolve(target: Target) -> list[str]:
    """The wheels that pip would install there; CalledProcessError, with pip's words on stderr, if one is missing."""
    python, platform = target
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"),
                *("--only-binary=:all:", "--target", folder, "--report", str(report)),
                *("--python-version", f"{python[0]}.{python[1]}"),
                *(argument for name in PLATFORMS[platform] for argument in ("--platform", name)),
                *("-r", str(ROOT / "requirements-dev.txt")),
            ],
            check=True,
        )
        installs = json.loads(report.read_text())["install"]
    return [each["download_info"]["url"].rpartition("/")[2] for each in installs]


def main() -> None:
    with ThreadPoolExecutor(2) as pool:
        filenames = {name for found in pool.map(resolve, TARGETS) for name in found}
    record: dict[str, list[str]] = {}
    for filename in sorted(filenames):
        name, version, _, _ = parse_wheel_filename(filename)
        record.setdefault(f"{name}=={version}", []).append(filename)
    RECORD.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
