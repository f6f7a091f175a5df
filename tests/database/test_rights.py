"""What the application's role may do at all, and that neither role is more than it must be."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from core.db import is_append_only, keeps_rows
from tests import cluster
from tests.database.conftest import our_models

pytestmark = pytest.mark.promise("P7", "rights of the application's role and the owner's", unit="attacks")

EVERY_RIGHT = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"]
WRITTEN_ONCE = {"SELECT", "INSERT"}
MODELS = {model._meta.db_table: model for model in our_models() if not model._meta.proxy}


def expected_rights(table: str) -> set[str]:
    if table in ("django_migrations", "payments_site_release", "auth_permission", "django_content_type"):
        return {"SELECT"}
    model = MODELS.get(table)
    if model is not None and is_append_only(model):
        return WRITTEN_ONCE
    if model is not None and keeps_rows(model):
        return {"SELECT", "INSERT", "UPDATE"}
    return {"SELECT", "INSERT", "UPDATE", "DELETE"}


def test_the_application_has_exactly_the_rights_that_each_table_needs(app):
    cursor = app.connection.execute(
        "SELECT tablename, array(SELECT r FROM unnest(%s::text[]) r "
        "  WHERE has_table_privilege('payments_app', format('public.%%I', tablename), r)) "
        "FROM pg_tables WHERE schemaname = 'public' "
        "AND NOT (SELECT relispartition FROM pg_class WHERE oid = format('public.%%I', tablename)::regclass)",
        [EVERY_RIGHT],
    )
    granted = {table: set(rights) for table, rights in cursor}

    assert granted.keys() >= MODELS.keys()
    assert granted == {table: expected_rights(table) for table in granted}


def test_a_partition_is_reached_through_its_table_only(app):
    cursor = app.connection.execute(
        "SELECT relname, array(SELECT r FROM unnest(%s::text[]) r WHERE has_table_privilege('payments_app', oid, r)) "
        "FROM pg_class WHERE relispartition AND relkind = 'r'",
        [EVERY_RIGHT],
    )
    granted = dict(cursor.fetchall())

    assert len(granted) >= 5
    assert {name: rights for name, rights in granted.items() if rights} == {}


@pytest.mark.parametrize(
    "table",
    [
        "ledger_transaction",
        "ledger_entry",
        "ledger_seal",
        "merchants_event",
        "payments_paymenttransition",
        "payments_deposittransition",
        "kyc_casetransition",
        "kyc_document",
    ],
)
def test_money_and_evidence_can_only_be_read_and_added(app, table):
    assert expected_rights(table) == WRITTEN_ONCE


def test_no_right_hangs_on_a_single_column_or_on_everybody(app):
    on_columns = app.run(
        "SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid "
        "WHERE relnamespace = 'public'::regnamespace AND attacl IS NOT NULL"
    )
    to_everybody = app.run(
        "SELECT count(*) FROM pg_class c, aclexplode(relacl) a "
        "WHERE relnamespace = 'public'::regnamespace AND a.grantee = 0"
    )

    assert (on_columns, to_everybody) == (0, 0)


def test_views_can_only_be_read(app):
    rights = app.run(
        "SELECT count(*) FROM pg_views, unnest(%s::text[]) r WHERE schemaname = 'public' AND r <> 'SELECT' "
        "AND has_table_privilege('payments_app', format('public.%%I', viewname), r)",
        EVERY_RIGHT,
    )

    assert rights == 0


def test_sequences_can_be_drawn_from_but_not_set(app):
    cursor = app.connection.execute(
        "SELECT relname, array(SELECT r FROM unnest('{USAGE,SELECT,UPDATE}'::text[]) r "
        "  WHERE has_sequence_privilege('payments_app', c.oid, r)) "
        "FROM pg_class c WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace"
    )
    granted = dict(cursor.fetchall())

    assert {name: rights for name, rights in granted.items() if rights != ["USAGE"]} == {}
    for name in ("payments_clabe_1", "ledger_entry_id_seq", "merchants_event_counter", "ledger_position_counter"):
        app.refused(f"SELECT setval('{name}', 1)", by=errors.InsufficientPrivilege)


@pytest.mark.parametrize("role", ["payments_app", "payments_owner"])
def test_neither_role_is_a_superuser_or_above_the_rules(app, role):
    cursor = app.connection.execute(
        "SELECT rolsuper, rolcreaterole, rolreplication, rolbypassrls, rolcanlogin FROM pg_roles WHERE rolname = %s",
        [role],
    )

    assert cursor.fetchall() == [(False, False, False, False, True)]


def test_the_application_owns_nothing_and_is_a_member_of_nothing(app):
    assert app.run("SELECT rolcreatedb FROM pg_roles WHERE rolname = 'payments_app'") is False
    assert app.run("SELECT count(*) FROM pg_auth_members WHERE member = 'payments_app'::regrole") == 0
    for catalog, owner in (("class", "rel"), ("proc", "pro"), ("namespace", "nsp"), ("type", "typ")):
        assert app.run(f"SELECT count(*) FROM pg_{catalog} WHERE {owner}owner = 'payments_app'::regrole") == 0
    assert app.run("SELECT count(*) FROM pg_database WHERE datdba = 'payments_app'::regrole") == 0
    cursor = app.connection.execute(
        "SELECT has_schema_privilege('public', 'CREATE'), has_schema_privilege('public', 'USAGE'), "
        "has_database_privilege(current_database(), 'CREATE'), has_database_privilege(current_database(), 'TEMP')"
    )
    assert cursor.fetchone() == (False, True, False, False)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE evil (id bigint)",
        "CREATE TABLE evil () INHERITS (payments_payment)",
        "CREATE TEMPORARY TABLE evil (id bigint)",
        "CREATE UNLOGGED TABLE evil (id bigint)",
        "SELECT 1 AS x INTO evil",
        "CREATE VIEW evil AS SELECT 1",
        "CREATE MATERIALIZED VIEW evil AS SELECT 1",
        "CREATE SCHEMA evil",
        "CREATE SEQUENCE evil",
        "CREATE TYPE evil AS (a int)",
        "CREATE FUNCTION evil() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE FUNCTION pg_current_xact_id() RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'",
        "CREATE OPERATOR public.<> (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = int8eq)",
        "CREATE ROLE evil",
        "CREATE INDEX evil ON payments_payment (amount)",
        "CREATE POLICY evil ON payments_payment",
        "CREATE RULE evil AS ON INSERT TO ledger_entry DO INSTEAD NOTHING",
        "CREATE TRIGGER evil BEFORE INSERT ON ledger_entry EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "CREATE EVENT TRIGGER evil ON ddl_command_start EXECUTE FUNCTION evil()",
        "CREATE PUBLICATION evil FOR ALL TABLES",
        "ALTER TABLE payments_payment ADD COLUMN evil int",
        "ALTER TABLE payments_payment DROP CONSTRAINT payment_amount_positive",
        "ALTER TABLE ledger_entry DISABLE TRIGGER USER",
        "ALTER TABLE ledger_entry ALTER COLUMN amount TYPE double precision",
        "ALTER TABLE ledger_entry OWNER TO payments_app",
        "ALTER TABLE ledger_entry RENAME TO gone",
        "ALTER SEQUENCE payments_clabe_1 RESTART",
        "ALTER SCHEMA public RENAME TO gone",
        "ALTER FUNCTION pgtrigger_balanced_c4b5b() RENAME TO gone",
        "CREATE OR REPLACE FUNCTION ledger_total(wanted bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint'",
        "ALTER ROLE payments_app SUPERUSER",
        "ALTER ROLE payments_app BYPASSRLS",
        "ALTER ROLE payments_owner PASSWORD 'mine'",
        "ALTER DATABASE {database} SET synchronous_commit = off",
        "ALTER DEFAULT PRIVILEGES FOR ROLE payments_owner GRANT ALL ON TABLES TO payments_app",
        "DROP TABLE payments_feerule",
        "DROP TABLE ledger_entry CASCADE",
        "DROP INDEX entry_account_position",
        "DROP SCHEMA public CASCADE",
        "DROP SEQUENCE payments_clabe_1",
        "DROP OWNED BY payments_owner CASCADE",
        "REASSIGN OWNED BY payments_owner TO payments_app",
        "GRANT payments_owner TO payments_app",
        "SET ROLE payments_owner",
        "SET SESSION AUTHORIZATION payments_owner",
        "SET session_replication_role = replica",
        "SECURITY LABEL ON TABLE ledger_entry IS 'x'",
        "COMMENT ON TABLE ledger_entry IS 'mine'",
        "COPY ledger_entry TO PROGRAM 'cat'",
        "COPY ledger_entry TO '/tmp/evil'",
        "COPY ledger_entry FROM '/etc/passwd'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'payments_owner'",
        "REINDEX TABLE ledger_entry",
        "CLUSTER ledger_entry USING entry_account_position",
        "UPDATE pg_trigger SET tgenabled = 'D'",
        "DELETE FROM pg_constraint",
        "INSERT INTO django_migrations (app, name, applied) VALUES ('payments', 'x', now())",
        "DELETE FROM django_migrations",
        "UPDATE payments_site_release SET version = 'x'",
        "INSERT INTO payments_site_release (version) VALUES ('x')",
    ],
)
def test_the_application_changes_neither_schema_nor_rights(app, statement):
    refusals = (errors.InsufficientPrivilege, errors.UndefinedFunction, errors.InvalidParameterValue)

    with pytest.raises(refusals), app.attempt():
        app.run(statement.format(database=cluster.DATABASE))


def test_the_application_sees_no_refusal_when_it_grants_but_nothing_is_granted(app):
    # PostgreSQL only warns when somebody without the right to grant tries to.
    app.run("GRANT ALL ON ledger_entry TO payments_app")

    assert app.run("SELECT has_table_privilege('payments_app', 'ledger_entry', 'UPDATE')") is False


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER ROLE payments_owner SUPERUSER",
        "SET ROLE postgres",
        "COPY ledger_entry TO PROGRAM 'cat'",
        "SELECT pg_read_file('/etc/passwd')",
        "UPDATE pg_trigger SET tgenabled = 'D'",
        "CREATE EVENT TRIGGER evil ON ddl_command_start EXECUTE FUNCTION evil()",
    ],
)
def test_the_owner_is_no_superuser(schema_owner, statement):
    with pytest.raises((errors.InsufficientPrivilege, errors.UndefinedFunction)), schema_owner.attempt():
        schema_owner.run(statement)


def test_neither_role_changes_the_server(world):
    for role in ("payments_app", "payments_owner"):
        with psycopg.connect(cluster.url(role), autocommit=True) as connection:
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute("ALTER SYSTEM SET fsync = off")
            if role == "payments_app":
                with pytest.raises(errors.InsufficientPrivilege):
                    connection.execute("CREATE DATABASE evil")


def test_an_acknowledged_commit_is_durable_for_both_roles(attacker):
    assert attacker.run("SHOW synchronous_commit") == "on"
