"""What may become of each column of each table: a table made of what the models declare.

Every column is decided by a guard on its model (``core.db``), or named in the model's ``free_columns`` with the reason
why any change is allowed. ``undecided`` finds those that nobody thought of; ``document`` writes docs/columns.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from django.db import models

from core.db import ROWS, Guard

EVERY = "(every column)"
"""In ``free_columns``: one reason for the whole table, its rows included."""


def decisions(model: type[models.Model]) -> dict[str, list[str]]:
    """Column (or ``ROWS``) -> what its guards demand, in the order of the table; "free: …" if the model says so."""
    free: Mapping[str, str] = getattr(model, "free_columns", {})
    guards = [trigger.decides(model) for trigger in getattr(model._meta, "triggers", ()) if isinstance(trigger, Guard)]
    found: dict[str, list[str]] = {}
    for name, column in [(f.name, str(f.column)) for f in model._meta.concrete_fields] + [(ROWS, ROWS)]:
        demands = dict.fromkeys(decided[name] for decided in guards if name in decided)
        reason = free.get(name, free.get(EVERY))
        found[column] = [*demands, *([f"free: {reason}"] if reason else [])]
    return found


def undecided(models_: Iterable[type[models.Model]]) -> list[str]:
    """``"table.column"`` of every column without a decision."""
    return [
        f"{model._meta.db_table}.{column}"
        for model in models_
        for column, demands in decisions(model).items()
        if not demands
    ]


def contradictions(models_: Iterable[type[models.Model]]) -> list[str]:
    """``"table.name"`` of what ``free_columns`` names although the model has no such field or a guard decides it."""
    found = []
    for model in models_:
        guards = [t.decides(model) for t in getattr(model._meta, "triggers", ()) if isinstance(t, Guard)]
        known = {field.name for field in model._meta.concrete_fields} | {ROWS, EVERY}
        for name in getattr(model, "free_columns", {}):
            if name not in known or any(name in decided for decided in guards):
                found.append(f"{model._meta.db_table}.{name}")
    return found


def document(models_: Iterable[type[models.Model]]) -> str:
    """One Markdown table for each model, by table name; columns with the same decision share a line."""
    parts = []
    for model in sorted(models_, key=lambda m: m._meta.db_table):
        lines: dict[str, list[str]] = {}
        for column, demands in decisions(model).items():
            lines.setdefault("; ".join(demands), []).append(column if column == ROWS else f"`{column}`")
        table = "".join(f"| {', '.join(columns)} | {what} |\n" for what, columns in lines.items())
        parts.append(f"### {model._meta.db_table}\n\n| columns | |\n|---|---|\n{table}")
    return "\n".join(parts)
