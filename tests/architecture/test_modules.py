"""Modules that can be read in one sitting, states that say what they mean, one owner of ``django_fsm``."""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
from pathlib import Path

import pytest
from django.apps import apps
from django_fsm import FSMFieldMixin

from tests.paths import ROOT

MOST_LINES = 420
NOT_OURS = {".git", ".venv", "migrations", "node_modules", "staticfiles", "var", "venv"}

STATEFUL = [
    m
    for m in apps.get_models()
    if not m._meta.proxy and any(isinstance(f, FSMFieldMixin) for f in m._meta.concrete_fields)
]


def our_modules() -> list[Path]:
    rooms = [ROOT / name for name in sorted({entry.name for entry in ROOT.iterdir()} - NOT_OURS)]
    found = [path for room in rooms for path in ([room] if room.suffix == ".py" else room.rglob("*.py"))]
    return [path for path in found if not NOT_OURS & set(path.relative_to(ROOT).parts)]


def test_no_module_is_too_long():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in our_modules()}

    assert "core/state.py" in lengths
    assert {path: lines for path, lines in lengths.items() if lines > MOST_LINES} == {}


def test_no_module_is_a_drawer_for_everything():
    assert [path for path in our_modules() if path.stem in ("utils", "helpers", "common", "misc")] == []


def test_django_fsm_has_one_owner_the_maintained_one():
    # The abandoned django-fsm installs into the same folder; removing it would take files of the other with it.
    assert importlib.metadata.packages_distributions()["django_fsm"] == ["django-fsm-2"]


def test_stateful_models_are_found():
    assert {"Payment", "Deposit", "Case", "ProviderEvent"} <= {model.__name__ for model in STATEFUL}


@pytest.mark.parametrize("model", STATEFUL)
def test_every_state_says_what_it_means(model):
    source = ast.parse(inspect.getsource(inspect.getmodule(model)))
    states = next(
        node
        for outer in source.body
        if isinstance(outer, ast.ClassDef) and outer.name == model.__name__
        for node in outer.body
        if isinstance(node, ast.ClassDef) and node.name == "Status"
    )

    explained = {
        assigned.targets[0].id
        for assigned, text in zip(states.body, states.body[1:], strict=False)
        if isinstance(assigned, ast.Assign) and isinstance(assigned.targets[0], ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and str(text.value.value).strip()
    }

    assert explained == set(model.Status.names)
    assert all(str(label).strip() for label in model.Status.labels)


@pytest.mark.parametrize("model", STATEFUL)
def test_every_transition_says_what_it_means(model):
    unexplained = [t.name for t in model().get_all_status_transitions() if not (t.method.__doc__ or "").strip()]

    assert unexplained == []
