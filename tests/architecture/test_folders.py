"""Folders: the same layers in every app, no empty packages, and shared helpers of tests outside test modules."""

from __future__ import annotations

import re

from django.apps import apps

from tests.paths import ROOT

APPS = [ROOT / config.name for config in apps.get_app_configs() if (ROOT / config.name / "__init__.py").is_file()]
FUTURE = {"reconciliation"}


def test_every_app_keeps_its_jobs_in_a_package():
    modules = [str(path.relative_to(ROOT)) for app in APPS for path in app.rglob("jobs.py")]

    assert modules == ["webhooks/jobs.py"]  # imports webhooks/inbound/jobs


def test_no_package_is_empty():
    packages = [path.parent for app in APPS for path in app.rglob("__init__.py")]
    empty = {str(p.relative_to(ROOT)) for p in packages if not [e for e in p.rglob("*.py") if e.name != "__init__.py"]}

    assert empty - FUTURE == set()


def test_no_test_imports_another_test_module():
    pattern = re.compile(r"^\s*(?:from|import) tests\.[\w.]*\btest_\w+", re.MULTILINE)
    imports = {path.name: pattern.findall(path.read_text()) for path in (ROOT / "tests").rglob("*.py")}

    assert {name: found for name, found in imports.items() if found} == {}
