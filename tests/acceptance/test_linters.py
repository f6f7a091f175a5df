"""Public linters report nothing about the published document; .spectral.yaml and redocly.yaml justify exceptions."""

from __future__ import annotations

import json

import pytest

from payments_site.openapi import document
from tests import npm
from tests.cluster import ROOT

SOURCE = ROOT / "tests" / "acceptance" / "linters"
SPECTRAL = ("spectral", "lint", "--fail-severity", "hint", "--ruleset", str(ROOT / ".spectral.yaml"))
REDOCLY = ("redocly", "lint", "--format", "json", "--config", str(ROOT / "redocly.yaml"))


@pytest.mark.parametrize("linter", [SPECTRAL, REDOCLY], ids=["spectral", "redocly"])
def test_a_public_linter_has_nothing_to_say_about_the_document(linter, tmp_path):
    home = npm.installed(SOURCE)
    (tmp_path / "openapi.json").write_bytes(document.as_bytes())

    said = npm.run(home, f"node_modules/.bin/{linter[0]}", *linter[1:], str(tmp_path / "openapi.json"))

    assert "No results" in said if linter is SPECTRAL else json.loads(said)["problems"] == []
