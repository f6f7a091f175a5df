"""The columns themselves: money is bigint centavos, moments are timestamptz, keys never run out."""

from __future__ import annotations

import re

import pytest
from django.db import connection

from core.db import keeps_rows
from tests.database.conftest import our_models

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.promise("P30", "columns of money, moments and keys", unit="looks at the schema"),
]

OUR_TABLES = [model._meta.db_table for model in our_models() if not model._meta.proxy]
PERCENTAGES = {
    ("payments_payment", "fee_percent"),
    ("payments_payment", "fee_iva"),
    ("payments_feerule", "percent"),
} | {
    ("payments_payout", "fee_percent"),
    ("payments_payout", "fee_iva"),
}
"""The only fractions: rates, exact to four decimals, never amounts."""

MONEY = re.compile(r"amount|(^|_)(fee|tax|fixed|balance|centavos|net)(_|$)(?!id)(?!on_return)")


@pytest.fixture
def columns() -> list[tuple[str, str, str]]:
    """(table, column, type) of every column of our tables."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = 'public' AND table_name = ANY(%s)",
            [OUR_TABLES],
        )
        return cursor.fetchall()


def test_every_table_of_ours_is_looked_at(columns):
    assert {table for table, _, _ in columns} == set(OUR_TABLES)


def test_no_column_is_a_float(columns):
    assert [c for c in columns if c[2] in ("real", "double precision", "money")] == []


def test_only_percentages_are_fractions(columns):
    assert {(table, column) for table, column, kind in columns if kind == "numeric"} == PERCENTAGES


def test_every_column_of_money_is_bigint(columns):
    money = [c for c in columns if MONEY.search(c[1]) and c[:2] not in PERCENTAGES]

    assert {("ledger_entry", "amount"), ("payments_payment", "amount"), ("payments_payment", "fee_tax")} <= {
        c[:2] for c in money
    }
    assert [c for c in money if c[2] != "bigint"] == []


def test_every_moment_knows_its_time_zone(columns):
    assert [c for c in columns if c[2] in ("timestamp without time zone", "time without time zone")] == []
    assert [c for c in columns if c[1].endswith("_at") and c[2] != "timestamp with time zone"] == []
    assert [c for c in columns if c[1].endswith("_date") and c[2] != "date"] == []


def test_every_primary_key_and_every_key_to_one_is_bigint(columns):
    kinds = {(table, column): kind for table, column, kind in columns}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.conrelid::regclass::text, a.attname, c.contype, c.confrelid::regclass::text "
            "FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY(c.conkey) "
            "WHERE c.contype IN ('p', 'f') AND c.conrelid::regclass::text = ANY(%s)",
            [OUR_TABLES],
        )
        keys = cursor.fetchall()

    assert {table for table, _, kind, _ in keys if kind == "p"} == set(OUR_TABLES)
    ours = [(t, column) for t, column, kind, to in keys if kind == "p" or to in OUR_TABLES]
    by_month = ("webhooks_providereventbody", "received_at")  # a partitioned table's key holds what parts it
    assert [key for key in ours if kinds[key] != "bigint"] == [by_month]


def test_every_foreign_key_keeps_what_it_points_to():
    deleting = [
        f"{model._meta.label}.{field.name}"
        for model in our_models()
        for field in model._meta.concrete_fields
        if field.remote_field
        and field.related_model in our_models()
        and field.remote_field.on_delete.__name__ != "PROTECT"
    ]

    assert deleting == []


def test_every_foreign_key_to_rows_that_may_be_deleted_has_an_index():
    kept = [model._meta.db_table for model in our_models() if keeps_rows(model)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.conrelid::regclass::text, a.attname FROM pg_constraint c "
            "JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] "
            "WHERE c.contype = 'f' AND c.conrelid::regclass::text = ANY(%s) "
            "AND c.confrelid::regclass::text <> ALL(%s) AND NOT EXISTS ("
            "  SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1])",
            [OUR_TABLES, kept],
        )
        assert cursor.fetchall() == []
