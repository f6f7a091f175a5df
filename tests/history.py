"""Histories that only time makes: rows as they could be, although no UPDATE may make them so."""

from __future__ import annotations

import itertools
from typing import Any

import psycopg
from django.db import models
from psycopg import sql

from core import ids
from core.mx import clabe
from payments.models import Payment
from tests import cluster

_numbers = itertools.count(1)
_CHANGES = {"id", "status", "amount_received", "amount_refunded", "fee", "fee_tax", "tracking_key", "operating_date"}
_CHANGES |= {"payer_name", "payer_account", "payer_institution", "completed_at", "cancelled_at", "order_id"}
_AS_MADE = {field.attname for field in Payment._meta.concrete_fields} - _CHANGES
"""What a payment has from the beginning."""


def rewrite(rows: models.QuerySet[Any], **values: Any) -> None:
    """Change committed rows past every trigger, as the superuser. For tests with ``committed_db``."""
    table = sql.Identifier(rows.model._meta.db_table)
    changes = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in values)
    keys = list(rows.values_list("pk", flat=True))
    with psycopg.connect(cluster.url("postgres")) as connection:
        connection.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(table))
        statement = sql.SQL("UPDATE {} SET {} WHERE id = ANY (%s)").format(table, changes)
        assert connection.execute(statement, [*values.values(), keys]).rowcount == len(keys) > 0
        query = "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal"
        for (name,) in connection.execute(query, [rows.model._meta.db_table]).fetchall():
            always = sql.SQL("ALTER TABLE {} ENABLE ALWAYS TRIGGER {}").format(table, sql.Identifier(name))
            connection.execute(always)


def copy_of(payment: Payment, **values: Any) -> Payment:
    """Another pending SPEI payment with a CLABE of its own, like ``payment`` except for ``values``."""
    digits = f"6461801570{next(_numbers) + 8_000_000:07d}"
    fields = {name: getattr(payment, name) for name in _AS_MADE}
    own = {"public_id": ids.new_id("payment"), "clabe": digits + clabe.check_digit(digits)}
    copy = Payment(**fields | {"external_id": None} | own | values)
    copy.save(force_insert=True)
    return copy
