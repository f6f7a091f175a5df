"""requirements.lock is requirements.txt with everything that it brings along, each file by its hash."""

from __future__ import annotations

import re

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.paths import ROOT

ENTRY = re.compile(r"^(?P<pin>[^\s#]\S*==[^\s;\\]+)(?P<rest>.*(?:\n    .*)*)", re.MULTILINE)


def locked() -> dict[str, tuple[str, str]]:
    """Name -> version, and what follows it."""
    found = {}
    for entry in ENTRY.finditer((ROOT / "requirements.lock").read_text()):
        name, _, version = entry["pin"].partition("==")
        found[canonicalize_name(name.partition("[")[0])] = version, entry["rest"]
    return found


def test_every_pin_is_locked_at_its_version():
    lines = [line.partition("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    pins = {canonicalize_name(r.name): str(r.specifier)[2:] for r in map(Requirement, filter(None, lines))}

    assert {name: locked()[name][0] for name in pins} == pins, "run `make lock`"


def test_every_locked_package_has_a_hash():
    assert len(locked()) > 40
    assert [name for name, (_, rest) in locked().items() if "--hash=sha256:" not in rest] == []
