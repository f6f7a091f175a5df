"""docs/columns.md: what may become of every column, written from the models (``make columns``)."""

from __future__ import annotations

from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.db import models

from core import columns

LIBRARIES = {
    "auth_": "staff's accounts and rights change for the time to come; triggers (`staff/models/account.py`) write "
    "every change that gives rights into `staff_accountchange`, and what makes an approver needs a second person",
    "django_admin_log": "the admin's own log; what counts as evidence is in the transition rows",
    "django_content_type": "written by migrations",
    "django_migrations": "the application may only read it",
    "django_session": "sign-ins come and go",
    "procrastinate_": "the queue: jobs are only errands, and every service decides anew under the lock of its rows",
}
"""Tables of libraries, by how their names begin -> why our guards leave them free."""

_INTRODUCTION = """\
# What may change

For every column of every table: what the database demands of a change, whoever makes it. This page is written from the
models by `make columns`; a test fails if it is not up to date, or if a column has no decision.

- *never changes*: it keeps the value it was inserted with (`Frozen`, `AppendOnly`).
- Other words: the change is refused unless they hold.
- *free*: any change is allowed, for the reason given.

A column is frozen unless the product changes it. To let it change, take it off the model's `Frozen` and give it a guard
(`core/db.py`, `core/guards.py`), or name it in the model's `free_columns` with the reason; then `makemigrations` and
`make columns`.
"""


def our_models() -> list[type[models.Model]]:
    """Every model of this project that has a table of its own."""
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
    """The checked-in page."""
    return Path(settings.BASE_DIR) / "docs" / "columns.md"
