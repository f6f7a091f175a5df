"""Database guards (triggers that migrations install) and helpers for transactions.

Triggers are ``ENABLE ALWAYS`` (also under ``session_replication_role = replica``) and cannot be bypassed: pgtrigger's
own template checks the setting ``pgtrigger.ignore``, which any role may set. Their SQL qualifies every table with its
schema, so that a temporary table cannot shadow a real one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

import pgtrigger
from django.db import DEFAULT_DB_ALIAS, connections, models, transaction
from pgtrigger import compiler

from core.state import legal_changes

P = ParamSpec("P")
R = TypeVar("R")

ROWS = "(rows)"
"""Key in ``Guard.decides`` for the deletion of rows, besides the names of fields."""


def transaction_required(function: Callable[P, R]) -> Callable[P, R]:
    """Decorator: ``function`` raises ``RuntimeError`` outside a transaction; the caller commits its writes."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        if not transaction.get_connection().in_atomic_block:
            raise RuntimeError(f"{function.__qualname__} must run inside transaction.atomic()")
        return function(*args, **kwargs)

    return wrapper


def transaction_forbidden(function: Callable[P, R]) -> Callable[P, R]:
    """Decorator: ``function`` raises ``RuntimeError`` inside a transaction, because it calls another system."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        if transaction.get_connection().in_atomic_block:
            raise RuntimeError(f"{function.__qualname__} must not run inside a transaction")
        return function(*args, **kwargs)

    return wrapper


def allow_long_transaction(*, statement: str, idle: str) -> None:
    """Raise the open transaction's timeouts for statements and idle time (``"1h"``); its duration is unlimited."""
    with transaction.get_connection().cursor() as cursor:
        cursor.execute(
            "SELECT set_config('statement_timeout', %s, true),"
            " set_config('idle_in_transaction_session_timeout', %s, true)",
            [statement, idle],
        )
        # transaction_timeout exists from PostgreSQL 17 on.
        cursor.execute("SELECT set_config(name, '0', true) FROM pg_settings WHERE name = 'transaction_timeout'")


class GuardSql(compiler.UpsertTriggerSql):
    """SQL that installs a trigger which is always enabled and cannot be bypassed. Migrations refer to it by name."""

    def get_template(self) -> str:
        return """
            CREATE OR REPLACE FUNCTION {pgid}() RETURNS TRIGGER AS $$
                {declare}
                BEGIN
                    {func}
                END;
            $$ LANGUAGE plpgsql;
            DROP TRIGGER IF EXISTS {pgid} ON {table};
            CREATE {constraint} TRIGGER {pgid} {when} {operation} ON {table} {timing} {referencing}
                FOR EACH {level} {condition} EXECUTE FUNCTION {execute};
            ALTER TABLE {table} ENABLE ALWAYS TRIGGER {pgid};
            COMMENT ON TRIGGER {pgid} ON {table} IS '{hash}';
        """


class IndexGuardSql(GuardSql):
    """A guard whose queries always use an index.

    PL/pgSQL caches plans: one made while a table was empty would keep scanning the whole table as it grows.
    """

    def get_template(self) -> str:
        always = "LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off;"
        return super().get_template().replace("LANGUAGE plpgsql;", always)


class Guard(pgtrigger.Trigger):
    """Base of all triggers: ``pgtrigger.Trigger`` installed by ``GuardSql`` or, if ``by_index``, ``IndexGuardSql``.

    ``judges`` describes its rule for each field (or ``ROWS``) in words; ``core.columns`` builds a table from it.
    """

    def __init__(self, *, by_index: bool = False, judges: Mapping[str, str] | None = None, **options: Any) -> None:
        self.sql_class = IndexGuardSql if by_index else GuardSql
        self.judges = judges or {}
        super().__init__(**options)

    def decides(self, model: type[models.Model]) -> Mapping[str, str]:
        """Field name (or ``ROWS``) -> this guard's rule for changes."""
        return self.judges

    def get_operation(self, model: type[models.Model]) -> pgtrigger.Operation:
        """The events that fire it. ``UPDATE OF`` with the checked columns skips all other updates."""
        return self.operation

    def compile(self, model: type[models.Model]) -> compiler.Trigger:
        return compiler.Trigger(
            name=self.name,
            sql=self.sql_class(
                pgid=self.get_pgid(model),
                declare=self.render_declare(model),
                func=self.render_func(model),
                table=model._meta.db_table,
                constraint="CONSTRAINT" if self.timing else "",
                when=self.when,
                operation=self.get_operation(model),
                timing=f"DEFERRABLE INITIALLY {self.timing}" if self.timing else "",
                referencing=self.referencing or "",
                level=self.level,
                condition=self.render_condition(model),
                execute=self.render_execute(model),
            ),
        )


class AppendOnly(Guard):
    """Refuses UPDATE, DELETE, TRUNCATE and ON CONFLICT DO UPDATE, as statements: rows are never changed."""

    def __init__(self) -> None:
        super().__init__(
            name="append_only",
            level=pgtrigger.Statement,
            when=pgtrigger.Before,
            operation=pgtrigger.Update | pgtrigger.Delete | pgtrigger.Truncate,
        )

    def decides(self, model: type[models.Model]) -> Mapping[str, str]:
        fields = dict.fromkeys((field.name for field in model._meta.concrete_fields), "never changes")
        return fields | {ROWS: "are never deleted"}

    def get_func(self, model: type[models.Model]) -> str:
        return f"""
            RAISE EXCEPTION '{model._meta.db_table} is append-only: % refused', TG_OP
                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
        """


class NoDelete(Guard):
    """Refuses DELETE and TRUNCATE: rows may be updated, never removed."""

    def __init__(self) -> None:
        super().__init__(
            name="no_delete",
            level=pgtrigger.Statement,
            when=pgtrigger.Before,
            operation=pgtrigger.Delete | pgtrigger.Truncate,
            judges={ROWS: "are never deleted"},
        )

    def get_func(self, model: type[models.Model]) -> str:
        return f"""
            RAISE EXCEPTION '{model._meta.db_table} keeps its rows: % refused', TG_OP
                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
        """


class StateGuard(Guard):
    """Allows only the state changes that django-fsm declares, and INSERT only in one of the ``initial`` states.

    The pairs are generated from the model's transitions. An update that keeps the state is always allowed.
    """

    def __init__(self, *, initial: Sequence[str], field: str = "status") -> None:
        self.initial = [str(state) for state in initial]
        self.field = field
        super().__init__(
            name=f"{field}_guard",
            when=pgtrigger.Before,
            operation=pgtrigger.Insert | pgtrigger.Update,
            judges={field: "changes only as the transitions declare"},
        )

    def get_operation(self, model: type[models.Model]) -> pgtrigger.Operation:
        return pgtrigger.Insert | pgtrigger.UpdateOf(column_of(model, self.field))

    def get_func(self, model: type[models.Model]) -> str:
        column = column_of(model, self.field)
        table = model._meta.db_table
        initial = ", ".join(literal(state) for state in self.initial)
        pairs = ", ".join(f"({literal(a)}, {literal(b)})" for a, b in legal_changes(model, self.field))
        return f"""
            IF TG_OP = 'INSERT' THEN
                IF NEW.{column} NOT IN ({initial}) THEN
                    RAISE EXCEPTION '{table}: a row cannot begin as %', NEW.{column}
                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
                END IF;
            ELSIF NEW.{column} IS DISTINCT FROM OLD.{column}
                AND (OLD.{column}, NEW.{column}) NOT IN ({pairs}) THEN
                RAISE EXCEPTION '{table}: % cannot become %', OLD.{column}, NEW.{column}
                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
            END IF;
            RETURN NEW;
        """


class Frozen(Guard):
    """Refuses changes of these fields after INSERT (for example owner, amount, mode)."""

    def __init__(self, *fields: str) -> None:
        self.fields = fields
        super().__init__(
            name="frozen",
            when=pgtrigger.Before,
            operation=pgtrigger.Update,
            judges=dict.fromkeys(fields, "never changes"),
        )

    def get_operation(self, model: type[models.Model]) -> pgtrigger.Operation:
        return pgtrigger.UpdateOf(*(column_of(model, field) for field in self.fields))

    def get_func(self, model: type[models.Model]) -> str:
        columns = [column_of(model, field) for field in self.fields]
        new, old = (", ".join(f"{row}.{column}" for column in columns) for row in ("NEW", "OLD"))
        return f"""
            IF ({new}) IS DISTINCT FROM ({old}) THEN
                RAISE EXCEPTION '{model._meta.db_table}: {", ".join(columns)} cannot change'
                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
            END IF;
            RETURN NEW;
        """


class FrozenOnce(Guard):
    """Refuses changes of these fields once ``condition`` (SQL over OLD) holds. ``name`` differs within a model."""

    def __init__(self, condition: str, *fields: str, name: str = "frozen_once") -> None:
        self.frozen_if = condition
        self.fields = fields
        since = condition.replace("OLD.", "")
        super().__init__(
            name=name,
            when=pgtrigger.Before,
            operation=pgtrigger.Update,
            judges=dict.fromkeys(fields, f"never changes once `{since}`"),
        )

    def get_operation(self, model: type[models.Model]) -> pgtrigger.Operation:
        return pgtrigger.UpdateOf(*(column_of(model, field) for field in self.fields))

    def get_func(self, model: type[models.Model]) -> str:
        columns = [column_of(model, field) for field in self.fields]
        new, old = (", ".join(f"{row}.{column}" for column in columns) for row in ("NEW", "OLD"))
        return f"""
            IF ({self.frozen_if}) AND ({new}) IS DISTINCT FROM ({old}) THEN
                RAISE EXCEPTION '{model._meta.db_table}: {", ".join(columns)} cannot change any more'
                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
            END IF;
            RETURN NEW;
        """


class SameMode(Guard):
    """Separates test and live: the rows that these foreign keys refer to must exist and have the same ``livemode``.

    It replaces the foreign key constraint if the referenced rows keep their ids and mode and are never deleted
    (``NoDelete``, ``Frozen``). A constraint would repeat the lookup and lock a row that all rows of an account share.
    """

    def __init__(self, *fields: str) -> None:
        self.fields = fields
        super().__init__(name="same_mode", when=pgtrigger.Before, operation=pgtrigger.Insert | pgtrigger.Update)

    def get_operation(self, model: type[models.Model]) -> pgtrigger.Operation:
        columns = (column_of(model, field) for field in (*self.fields, "livemode"))
        return pgtrigger.Insert | pgtrigger.UpdateOf(*columns)

    def get_func(self, model: type[models.Model]) -> str:
        checks = []
        for name in self.fields:
            field = model._meta.get_field(name)
            table = cast("type[models.Model]", field.related_model)._meta.db_table
            check = f"""
                IF NOT EXISTS (
                    SELECT 1 FROM public.{table} WHERE id = NEW.{column_of(model, name)} AND livemode = NEW.livemode
                ) THEN
                    PERFORM 1 FROM public.{table} WHERE id = NEW.{column_of(model, name)};
                    IF NOT FOUND THEN
                        RAISE EXCEPTION '{model._meta.db_table}: its {name} is not there'
                            USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;
                    END IF;
                    RAISE EXCEPTION '{model._meta.db_table}: its {name} is of the other mode'
                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
                END IF;
                """  # noqa: S608
            # NULL needs no lookup, and most rows are NULL.
            checks.append(f"IF NEW.{column_of(model, name)} IS NOT NULL THEN {check} END IF;" if field.null else check)
        return "".join(checks) + "RETURN NEW;"


def is_append_only(model: type[models.Model]) -> bool:
    """True if the model declares ``AppendOnly``: the application's role gets no UPDATE on it."""
    return any(isinstance(trigger, AppendOnly) for trigger in _triggers(model))


def keeps_rows(model: type[models.Model]) -> bool:
    """True if rows of the model must never be deleted: the application's role gets no DELETE on it."""
    return any(isinstance(trigger, AppendOnly | NoDelete) for trigger in _triggers(model))


def missing_guards(models_: Iterable[type[models.Model]], *, using: str = DEFAULT_DB_ALIAS) -> list[str]:
    """Declared triggers that are missing or not ENABLE ALWAYS in the database, as ``"<trigger> on <table>"``."""
    declared = {(trigger.get_pgid(model), model._meta.db_table) for model in models_ for trigger in _triggers(model)}
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT tgname, relname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid "
            "WHERE NOT tgisinternal AND tgenabled = 'A'"
        )
        present = set(cursor.fetchall())
    return [f"{trigger} on {table}" for trigger, table in sorted(declared - present)]


def _triggers(model: type[models.Model]) -> Sequence[Any]:
    return getattr(model._meta, "triggers", ())


def column_of(model: type[models.Model], name: str) -> str:
    """The column of the field ``name``."""
    return str(cast("models.Field[Any, Any]", model._meta.get_field(name)).column)


def literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
