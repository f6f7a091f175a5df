"""The database has the tables and columns of the models, and beside them only tables of named libraries."""

from __future__ import annotations

import pytest
from django.db import connection

from payments_site import columns
from payments_site.columns import our_models

pytestmark = pytest.mark.django_db


def test_every_table_is_one_of_a_model_or_named_among_those_of_libraries():
    known = {model._meta.db_table for model in our_models()}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition "
            "AND relnamespace = 'public'::regnamespace"
        )
        tables = {name for (name,) in cursor.fetchall()}

    assert known <= tables
    assert [name for name in sorted(tables - known) if not name.startswith(tuple(columns.LIBRARIES))] == []


def test_every_column_of_the_database_is_a_field():
    fields = {(model._meta.db_table, field.column) for model in our_models() for field in model._meta.concrete_fields}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE table_schema = 'public' AND table_name = ANY(%s)",
            [[model._meta.db_table for model in our_models()]],
        )
        assert set(cursor.fetchall()) == fields
