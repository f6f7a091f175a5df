"""Guards for conditional changes: under a condition, in a transition, or together with a transition row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pgtrigger
from django.apps import apps
from django.db import models

from core.db import Guard, column_of, literal


class OnlyIf(Guard):
    """Allows changes of these fields only if ``condition`` (SQL over OLD and NEW, without subqueries) is true.

    PostgreSQL evaluates it in the trigger's WHEN clause, so PL/pgSQL runs only to refuse. ``says`` completes the error
    message, which starts with the fields' names.
    """

    def __init__(self, name: str, condition: str, *fields: str, says: str) -> None:
        self.allowed_if = condition
        self.fields = fields
        self.says = says
        super().__init__(
            name=name, when=pgtrigger.Before, operation=pgtrigger.Update, judges=dict.fromkeys(fields, says)
        )

    def get_operation(self, model: type[models.Model]) -> pgtrigger.Operation:
        return pgtrigger.UpdateOf(*(column_of(model, field) for field in self.fields))

    def get_condition(self, model: type[models.Model]) -> pgtrigger.Condition:
        columns = [column_of(model, field) for field in self.fields]
        new, old = (", ".join(f"{row}.{column}" for column in columns) for row in ("NEW", "OLD"))
        return pgtrigger.Condition(f"(({new}) IS DISTINCT FROM ({old}) AND ({self.allowed_if}) IS NOT TRUE)")

    def get_func(self, model: type[models.Model]) -> str:
        columns = ", ".join(column_of(model, field) for field in self.fields)
        return f"""
            RAISE EXCEPTION {literal(f"{model._meta.db_table}: {columns} {self.says}")}
                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
        """


class WithTransition(OnlyIf):
    """Allows changes of these fields only in the UPDATE that changes ``status`` to one of ``targets``."""

    def __init__(self, targets: Sequence[str], *fields: str) -> None:
        listed = ", ".join(literal(str(target)) for target in targets)
        super().__init__(
            f"with_{'_'.join(targets)}",
            f"NEW.status IN ({listed}) AND OLD.status <> NEW.status",
            *fields,
            says=f"can only change in the step to {' or '.join(targets)}",
        )


class Recorded(Guard):
    """Requires a transition row for every change of ``status``, at the end of the transaction."""

    def __init__(self) -> None:
        super().__init__(
            name="transition_recorded",
            when=pgtrigger.After,
            operation=pgtrigger.UpdateOf("status"),
            timing=pgtrigger.Deferred,
            condition=pgtrigger.Condition("OLD.status <> NEW.status"),
            by_index=True,
            judges={"status": "every change has its transition row"},
        )

    def get_func(self, model: type[models.Model]) -> str:
        # Models in migrations have no reverse relations; the real class does.
        relation = cast("Any", apps.get_model(model._meta.label)._meta.get_field("transitions"))
        steps, owner = relation.related_model._meta.db_table, relation.field.column
        return f"""
            IF NOT EXISTS (
                SELECT 1 FROM public.{steps}
                WHERE {owner} = NEW.id AND from_status = OLD.status AND to_status = NEW.status
            ) THEN
                RAISE EXCEPTION '{model._meta.db_table}: from % to %, and no transition row says so',
                    OLD.status, NEW.status USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
            END IF;
            RETURN NULL;
        """  # noqa: S608
