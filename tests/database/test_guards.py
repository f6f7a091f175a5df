"""What was written stays: rows that are append-only or must not vanish, attacked with raw SQL by app and owner."""

from __future__ import annotations

import psycopg
import pytest
from django.db import models
from psycopg import errors

from core.db import is_append_only, keeps_rows
from merchants.models.event import COUNTER as EVENTS
from tests.database.conftest import APP, Attacker, our_models

pytestmark = pytest.mark.promise("P7", "attempts to get around or switch off the triggers", unit="attacks")

APPEND_ONLY = [model._meta.db_table for model in our_models() if is_append_only(model)]
KEPT = [model._meta.db_table for model in our_models() if keeps_rows(model) and not is_append_only(model)]


def parents_of(table: str) -> set[str]:
    """Every table whose TRUNCATE … CASCADE reaches ``table``: what its foreign keys point to, and so on upwards."""
    by_table = {model._meta.db_table: model for model in our_models()}
    found: set[str] = set()
    waiting = [table]
    while waiting:
        for field in by_table[waiting.pop()]._meta.concrete_fields:
            if isinstance(field, models.ForeignKey):
                parent = field.related_model._meta.db_table
                if parent in by_table and parent not in found | {table}:
                    found.add(parent)
                    waiting.append(parent)
    return found


def refusal(attacker: Attacker, table: str, statement: str) -> type[psycopg.Error]:
    """The application has no right to try; the owner has, and meets the guard."""
    if attacker.role == APP:
        return errors.InsufficientPrivilege
    if statement == "TRUNCATE {table}" and any(table in parents_of(m._meta.db_table) for m in our_models()):
        return errors.FeatureNotSupported  # other tables point to it: PostgreSQL itself refuses, before any trigger
    return errors.RestrictViolation


def test_the_tables_of_money_and_evidence_are_append_only():
    assert {
        "ledger_entry",
        "ledger_transaction",
        "ledger_seal",
        "payments_paymenttransition",
        "payments_deposittransition",
        "payments_reporttransition",
        "kyc_casetransition",
        "kyc_document",
        "merchants_event",
        "webhooks_providereventbody",
        "webhooks_providereventtransition",
    } <= set(APPEND_ONLY)
    assert {
        "ledger_account",
        "ledger_breach",
        "ledger_hold",
        "ledger_snapshot",
        "payments_payment",
        "payments_deposit",
        "payments_report",
        "payments_provideraccount",
        "kyc_case",
        "webhooks_providerevent",
        "merchants_merchant",
        "merchants_apikey",
    } <= set(KEPT)


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {table} SET {id} = {id}",
        "UPDATE ONLY public.{table} SET {id} = {id} WHERE false",
        "DELETE FROM {table}",
        "WITH gone AS (DELETE FROM {table} RETURNING *) SELECT count(*) FROM gone",
        "TRUNCATE {table}",
        "TRUNCATE {table} CASCADE",
        "INSERT INTO {table} SELECT * FROM {table} ON CONFLICT ({key}) DO UPDATE SET {id} = EXCLUDED.{id}",
        "MERGE INTO {table} t USING {table} s ON t.{id} = s.{id} WHEN MATCHED THEN UPDATE SET {id} = s.{id}",
        "MERGE INTO {table} t USING {table} s ON t.{id} = s.{id} WHEN MATCHED THEN DELETE",
    ],
)
def test_rows_that_were_written_never_change_or_vanish(attacker, table, statement):
    attacker.refused(
        statement.format(table=table, id=attacker.key(table), key=attacker.whole_key(table)),
        by=refusal(attacker, table, statement),
        saying=table,
    )


@pytest.mark.parametrize("table", KEPT)
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM {table}",
        "TRUNCATE {table}",
        "TRUNCATE {table} CASCADE",
        "MERGE INTO {table} t USING {table} s ON t.{id} = s.{id} WHEN MATCHED THEN DELETE",
    ],
)
def test_rows_that_may_change_never_vanish(attacker, table, statement):
    attacker.refused(
        statement.format(table=table, id=attacker.key(table)), by=refusal(attacker, table, statement), saying=table
    )


@pytest.mark.parametrize(("table", "parent"), [(t, p) for t in APPEND_ONLY + KEPT for p in sorted(parents_of(t))])
def test_truncating_a_parent_does_not_reach_them(attacker, table, parent):
    statement = f"TRUNCATE {parent} CASCADE"

    attacker.refused(statement, by=refusal(attacker, parent, statement))


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_not_even_a_superuser_in_replica_mode_changes_them_by_accident(superuser, table):
    key = superuser.key(table)
    superuser.run("SET session_replication_role = replica")

    for statement in (f"UPDATE {table} SET {key} = {key}", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        superuser.refused(statement, by=errors.RestrictViolation)


def test_replica_mode_is_for_superusers_only(attacker):
    attacker.refused("SET session_replication_role = replica", by=errors.InsufficientPrivilege)


@pytest.mark.parametrize("table", APPEND_ONLY + KEPT)
def test_the_application_cannot_take_a_guard_away(app, table):
    guard = app.run("SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal", table)
    assert guard is not None

    for statement in (
        f"ALTER TABLE {table} DISABLE TRIGGER ALL",
        f"ALTER TABLE {table} DISABLE TRIGGER {guard}",
        f"ALTER TABLE {table} ENABLE REPLICA TRIGGER {guard}",
        f"DROP TRIGGER {guard} ON {table}",
        f"ALTER TRIGGER {guard} ON {table} RENAME TO gone",
        f"DROP FUNCTION {guard}() CASCADE",
        f"CREATE OR REPLACE FUNCTION {guard}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        f"CREATE RULE quiet AS ON UPDATE TO {table} DO INSTEAD NOTHING",
    ):
        app.refused(statement, by=errors.InsufficientPrivilege)


def test_every_guard_is_always_enabled(schema_owner):
    declared = sum(len(getattr(model._meta, "triggers", ())) for model in our_models())

    modes, of_partitions = (
        schema_owner.run(
            "SELECT array_agg(tgenabled) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid "
            f"WHERE NOT tgisinternal AND tgname LIKE 'pgtrigger_%' AND {which} relispartition"
        )
        for which in ("NOT", "")
    )

    assert modes == ["A"] * declared
    partitions = schema_owner.run("SELECT count(*) FROM pg_class WHERE relispartition AND relkind = 'r'")
    assert of_partitions == ["A"] * partitions
    assert partitions >= 5


IGNORE_ALL = (
    "SELECT set_config('pgtrigger.ignore', array_agg(tgname)::text, false) FROM pg_trigger WHERE NOT tgisinternal"
)


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_the_setting_by_which_pgtrigger_ignores_its_triggers_ignores_none_of_ours(schema_owner, table):
    key = schema_owner.key(table)
    schema_owner.run(IGNORE_ALL)

    for statement in (f"UPDATE {table} SET {key} = {key}", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE"):
        schema_owner.refused(statement, by=errors.RestrictViolation)


def test_the_setting_opens_no_illegal_state_and_no_earlier_transaction(attacker):
    attacker.run(IGNORE_ALL)

    attacker.refused(
        "UPDATE payments_payment SET status = 'failed' WHERE status = 'completed'",
        by=errors.CheckViolation,
        saying="completed cannot become failed",
    )
    attacker.refused(
        "INSERT INTO ledger_entry (transaction_id, account_id, amount, currency, position, effective_at) "
        "SELECT transaction_id, account_id, 100, currency, position, effective_at FROM ledger_entry LIMIT 1",
        by=errors.CheckViolation,
        saying="an entry cannot join an earlier transaction",
    )


def test_the_application_makes_no_temporary_tables(app):
    app.refused("CREATE TEMPORARY TABLE ledger_transaction (id bigint)", by=errors.InsufficientPrivilege)


def test_temporary_tables_of_the_same_names_deceive_no_guard(schema_owner):
    for table in ("ledger_transaction", "ledger_account", "ledger_entry", "ledger_snapshot", "payments_payment"):
        schema_owner.run(f"CREATE TEMPORARY TABLE {table} AS TABLE public.{table}")
    for counter in ("merchants_event_counter", "ledger_position_counter"):
        schema_owner.run(f"CREATE TEMPORARY SEQUENCE {counter}")
    schema_owner.run("CREATE TEMPORARY VIEW pg_locks AS SELECT * FROM pg_catalog.pg_locks WHERE false")
    schema_owner.run("TRUNCATE pg_temp.ledger_entry")
    schema_owner.run("SET search_path = pg_temp, public")

    schema_owner.refused(
        "INSERT INTO public.ledger_entry (transaction_id, account_id, amount, currency, position, effective_at) "
        "SELECT transaction_id, account_id, sign * amount, currency, position, effective_at "
        "FROM public.ledger_entry, (VALUES (1), (-1)) v(sign) WHERE id = (SELECT min(id) FROM public.ledger_entry)",
        by=errors.CheckViolation,
        saying="an entry cannot join an earlier transaction",
    )
    schema_owner.refused("UPDATE public.ledger_entry SET amount = amount", by=errors.RestrictViolation)
    schema_owner.run(
        "INSERT INTO public.merchants_event (public_id, merchant_id, livemode, type, object_id, object_sequence, data, "
        "created_at, sequence) SELECT 'evt_x', merchant_id, livemode, type, 'pay_x', 1, data, now(), 0 "
        "FROM public.merchants_event LIMIT 1"
    )
    number = schema_owner.run("SELECT sequence FROM public.merchants_event WHERE public_id = 'evt_x'")
    assert number == schema_owner.run("SELECT pg_sequence_last_value('public.merchants_event_counter')")
    assert schema_owner.run(f"SELECT {EVENTS.horizon_sql}") == number, "its own transaction may still write"


def test_what_runs_with_the_owners_rights_looks_into_no_temporary_schema(schema_owner):
    lacking = schema_owner.run(
        "SELECT coalesce(string_agg(proname, ', '), '') FROM pg_proc "
        "WHERE prosecdef AND pronamespace = 'public'::regnamespace "
        "AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false)"
    )
    assert lacking == ""

    schema_owner.run("CREATE TEMPORARY VIEW pg_class AS SELECT 1 / 0 AS oid, 1::real AS reltuples")
    assert schema_owner.run("SELECT count(*) >= 0 FROM public.payments_by_method_and_state()") is True
