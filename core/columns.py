"""Documentation of the allowed changes of each column, generated from the models' guards.

Every column is covered by a guard on its model (``core.db``), or listed in the model's ``free_columns`` with the reason
why any change is allowed. ``undecided`` finds the others; ``document`` writes docs/columns.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.db import models

from core.db import ROWS, Guard

EVERY = "(every column)"
"""Key in ``free_columns``: a reason for the whole table, including the deletion of rows."""


def decisions(model: type[models.Model]) -> dict[str, list[str]]:
    """Column (or ``ROWS``) -> rules of its guards, in the table's order; "free: …" for free columns."""
    free: Mapping[str, str] = getattr(model, "free_columns", {})
    guards = [trigger.decides(model) for trigger in getattr(model._meta, "triggers", ()) if isinstance(trigger, Guard)]
    found: dict[str, list[str]] = {}
    for name, column in [(f.name, str(f.column)) for f in model._meta.concrete_fields] + [(ROWS, ROWS)]:
        demands = dict.fromkeys(decided[name] for decided in guards if name in decided)
        reason = free.get(name, free.get(EVERY))
        found[column] = [*demands, *([f"free: {reason}"] if reason else [])]
    return found


def undecided(models_: Iterable[type[models.Model]]) -> list[str]:
    """``"table.column"`` of every column without a rule or reason."""
    return [
        f"{model._meta.db_table}.{column}"
        for model in models_
        for column, demands in decisions(model).items()
        if not demands
    ]


def contradictions(models_: Iterable[type[models.Model]]) -> list[str]:
    """``"table.name"`` of entries in ``free_columns`` that are not fields of the model or that a guard covers."""
    found = []
    for model in models_:
        guards = [t.decides(model) for t in getattr(model._meta, "triggers", ()) if isinstance(t, Guard)]
        known = {field.name for field in model._meta.concrete_fields} | {ROWS, EVERY}
        for name in getattr(model, "free_columns", {}):
            if name not in known or any(name in decided for decided in guards):
                found.append(f"{model._meta.db_table}.{name}")
    return found


def document(models_: Iterable[type[models.Model]]) -> str:
    """A Markdown table per model, sorted by table name; columns with the same rules share a line."""
    parts = []
    for model in sorted(models_, key=lambda m: m._meta.db_table):
        lines: dict[str, list[str]] = {}
        for column, demands in decisions(model).items():
            lines.setdefault("; ".join(demands), []).append(column if column == ROWS else f"`{column}`")
        table = "".join(f"| {', '.join(columns)} | {what} |\n" for what, columns in lines.items())
        parts.append(f"### {model._meta.db_table}\n\n| columns | |\n|---|---|\n{table}")
    return "\n".join(parts)
