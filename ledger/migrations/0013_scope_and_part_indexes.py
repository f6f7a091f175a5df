"""Unique open breach per scope, and an index of a hold's parts. Both are built concurrently.

A rerun first drops what an interrupted run left.
"""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


def one_open_breach_per_scope(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute("DROP INDEX CONCURRENTLY IF EXISTS public.breach_open_scope")
        cursor.execute(
            "CREATE UNIQUE INDEX CONCURRENTLY breach_open_scope ON public.ledger_breach"
            " (invariant, merchant_id, livemode, provider_account) NULLS NOT DISTINCT WHERE cleared_at IS NULL"
        )
        cursor.execute("DROP INDEX CONCURRENTLY IF EXISTS public.breach_open_once")
        cursor.execute("ALTER INDEX public.breach_open_scope RENAME TO breach_open_once")
        cursor.execute("DROP INDEX CONCURRENTLY IF EXISTS public.hold_parent")


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("ledger", "0012_money_out")]

    operations = [
        migrations.RunPython(one_open_breach_per_scope, migrations.RunPython.noop),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveConstraint(model_name="breach", name="breach_open_once"),
                migrations.AddConstraint(
                    model_name="breach",
                    constraint=models.UniqueConstraint(
                        fields=["invariant", "merchant", "livemode", "provider_account"],
                        condition=models.Q(cleared_at=None),
                        nulls_distinct=False,
                        name="breach_open_once",
                    ),
                ),
            ],
        ),
        AddIndexConcurrently(
            model_name="hold",
            index=models.Index(fields=["parent"], condition=models.Q(parent__isnull=False), name="hold_parent"),
        ),
    ]
