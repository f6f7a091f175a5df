"""Generates docs/columns.md: which changes of each column the database allows (``make columns``)."""

from __future__ import annotations

from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.db import models

from core import columns

LIBRARIES = {
    "auth_": "staff accounts and rights may change; triggers (`staff/models/account.py`) record every change that "
    "grants rights in `staff_accountchange`, and making an approver needs a second person",
    "django_admin_log": "the admin's own log; the evidence is in the transition rows",
    "django_content_type": "written by migrations",
    "django_migrations": "read-only for the application",
    "django_session": "sessions are created and deleted",
    "procrastinate_": "the job queue; every service checks the state again under its row locks",
}
"""Tables of libraries, by prefix -> why they have no guards."""

_INTRODUCTION = """\
# Mutability of columns

Which changes of each column the database allows, for every role. `make columns` generates this page from the models; a
test fails if it is outdated or a column is missing.

- *never changes*: it keeps its inserted value (`Frozen`, `AppendOnly`).
- any other text: the condition of a change.
- *free*: any change is allowed, for the reason given.

A column is frozen unless the product changes it. To make it mutable, remove it from the model's `Frozen` and add a
guard (`core/db.py`, `core/guards.py`), or list it in the model's `free_columns` with a reason; then run
`makemigrations` and `make columns`.
"""


def our_models() -> list[type[models.Model]]:
    """All models of this project that have their own table."""
    ours = [config for config in apps.get_app_configs() if Path(config.path).is_relative_to(settings.BASE_DIR)]
    here = [config for config in ours if ".venv" not in Path(config.path).relative_to(settings.BASE_DIR).parts]
    return [model for config in here for model in config.get_models() if model._meta.managed and not model._meta.proxy]


def page() -> str:
    """The text of docs/columns.md."""
    libraries = "".join(f"| `{name}{'…' if name.endswith('_') else ''}` | {why} |\n" for name, why in LIBRARIES.items())
    return (
        f"{_INTRODUCTION}\n{columns.document(our_models())}\n"
        f"## Tables of libraries\n\n| tables | free, because |\n|---|---|\n{libraries}"
    )


def copy() -> Path:
    """The checked-in copy."""
    return Path(settings.BASE_DIR) / "docs" / "columns.md"
