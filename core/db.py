"""What the database itself refuses, as triggers that migrations install, and two words about transactions.

Triggers are ``ENABLE ALWAYS`` (also under ``session_replication_role = replica``) and know no way to be ignored:
pgtrigger's own template asks the setting ``pgtrigger.ignore``, which any role may set. Their SQL names every table with
its schema, so that a temporary table cannot stand in for a real one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

import pgtrigger
from django.db import DEFAULT_DB_ALIAS, connections, models, transaction
from pgtrigger import compiler

from core.state import legal_changes

P = ParamSpec("P")
R = TypeVar("R")

ROWS = "(rows)"
"""In what a guard decides: not a field but the rows themselves, whether they can be deleted."""


def transaction_required(function: Callable[P, R]) -> Callable[P, R]:
    """Refuse to run ``function`` outside an open transaction (``RuntimeError``): its writes belong to its caller's."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        if not transaction.get_connection().in_atomic_block:
            raise RuntimeError(f"{function.__qualname__} must run inside transaction.atomic()")
        return function(*args, **kwargs)

    return wrapper


def transaction_forbidden(function: Callable[P, R]) -> Callable[P, R]:
    """Refuse to run ``function`` inside a transaction (``RuntimeError``): it waits for somebody outside."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        if transaction.get_connection().in_atomic_block:
            raise RuntimeError(f"{function.__qualname__} must not run inside a transaction")
        return function(*args, **kwargs)

    return wrapper


@contextmanager
def planned_anew() -> Iterator[None]:
    """Within it, every query of this thread is planned for its own values, never by a plan made for any.

    For queries whose best way depends on how rare a value is.
    """
    connection = transaction.get_connection()
    connection.ensure_connection()
    raw = connection.connection
    before = raw.prepare_threshold
    raw.prepare_threshold = None
    try:
        yield
    finally:
        raw.prepare_threshold = before


def allow_long_transaction(*, statement: str, idle: str) -> None:
    """Let the open transaction last, its statements and the pauses between them take so long (``"1h"``)."""
    with transaction.get_connection().cursor() as cursor:
        cursor.execute(
            "SELECT set_config('statement_timeout', %s, true),"
            " set_config('idle_in_transaction_session_timeout', %s, true)",
            [statement, idle],
        )
        # PostgreSQL has it from version 17 on, and knows no setting of that name before.
        cursor.execute("SELECT set_config(name, '0', true) FROM pg_settings WHERE name = 'transaction_timeout'")


class GuardSql(compiler.UpsertTriggerSql):
    """Installs a trigger that is always enabled and cannot be ignored. Migrations refer to it by name."""

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
    """A guard whose look-ups always go by index.

    PL/pgSQL keeps its plans: one made while a table was empty would go on scanning it whole as it grows.
    """

    def get_template(self) -> str:
        always = "LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off;"
        return super().get_template().replace("LANGUAGE plpgsql;", always)


class Guard(pgtrigger.Trigger):
    """A trigger of ours: ``pgtrigger.Trigger`` installed by ``GuardSql`` or, if ``by_index``, ``IndexGuardSql``.

    ``judges`` says in words what it demands of each field (or of ``ROWS``); ``core.columns`` makes a table of it.
    """

    def __init__(self, *, by_index: bool = False, judges: Mapping[str, str] | None = None, **options: Any) -> None:
        self.sql_class = IndexGuardSql if by_index else GuardSql
        self.judges = judges or {}
        super().__init__(**options)

    def decides(self, model: type[models.Model]) -> Mapping[str, str]:
        """Field name (or ``ROWS``) -> what this guard demands of every change."""
        return self.judges

    def get_operation(self, model: type[models.Model]) -> pgtrigger.Operation:
        """When it fires. ``UPDATE OF`` names the columns it judges: no other UPDATE can change them."""
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
    """Rows are written once: UPDATE, DELETE, TRUNCATE and ON CONFLICT DO UPDATE are refused as statements."""

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
    """Rows may change, never vanish."""

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
    """Only the changes that django-fsm declares; an INSERT only in one of ``initial``.

    Every pair comes from the model's transitions: one source of truth. Staying in a state is always legal.
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
    """These fields keep the value they were inserted with (whose, how much, in which mode)."""

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
    """Once ``condition`` (SQL over OLD) is true of a row, these fields keep the value they have."""

    def __init__(self, condition: str, *fields: str) -> None:
        self.frozen_if = condition
        self.fields = fields
        since = condition.replace("OLD.", "")
        super().__init__(
            name="frozen_once",
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
    """Test and live never meet: a row has the ``livemode`` of what these foreign keys point to, and that is there.

    So a foreign key it names needs none in the database, as long as what it points to keeps its rows, ids and mode
    (``NoDelete``, ``Frozen``). A key would look up the same again and lock a row that all of an account's rows share.
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
            # Without a value there is nothing to look up, and most rows have none.
            checks.append(f"IF NEW.{column_of(model, name)} IS NOT NULL THEN {check} END IF;" if field.null else check)
        return "".join(checks) + "RETURN NEW;"


def is_append_only(model: type[models.Model]) -> bool:
    """True if the model declares ``AppendOnly``: the application's role gets no UPDATE on it."""
    return any(isinstance(trigger, AppendOnly) for trigger in _triggers(model))


def keeps_rows(model: type[models.Model]) -> bool:
    """True if rows of the model must never be deleted: the application's role gets no DELETE on it."""
    return any(isinstance(trigger, AppendOnly | NoDelete) for trigger in _triggers(model))


def missing_guards(models_: Iterable[type[models.Model]], *, using: str = DEFAULT_DB_ALIAS) -> list[str]:
    """Every declared trigger that the database lacks or has not enabled always, as ``"<trigger> on <table>"``."""
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
    """What the table calls the field ``name``."""
    return str(cast("models.Field[Any, Any]", model._meta.get_field(name)).column)


def literal(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"
