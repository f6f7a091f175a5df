"""One unique index that begins with the source finds a source's postings, too; few transactions reverse another.

Each index is built while the system runs; begun anew, the migration removes first what an interrupted try left. There
is no moment in which nothing holds (kind, source) unique.
"""

import django.db.models.deletion
from django.db import migrations, models

ONCE = "transaction_kind_source_unique"


def one_unique_index(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE conname = %s AND conrelid = 'public.ledger_transaction'::regclass",
            [ONCE],
        )
        if cursor.fetchone() != ("UNIQUE (source, kind)",):
            cursor.execute("DROP INDEX CONCURRENTLY IF EXISTS public.transaction_source_kind")
            cursor.execute(
                "CREATE UNIQUE INDEX CONCURRENTLY transaction_source_kind ON public.ledger_transaction (source, kind)"
            )
            # One string of several statements is one transaction.
            cursor.execute(
                f"ALTER TABLE public.ledger_transaction DROP CONSTRAINT IF EXISTS {ONCE};"
                f"ALTER TABLE public.ledger_transaction ADD CONSTRAINT {ONCE} UNIQUE USING INDEX transaction_source_kind"
            )
        cursor.execute("DROP INDEX CONCURRENTLY IF EXISTS public.transaction_reverses")
        cursor.execute(
            "CREATE INDEX CONCURRENTLY transaction_reverses ON public.ledger_transaction (reverses_id)"
            " WHERE reverses_id IS NOT NULL"
        )
        for name in UNUSED:
            cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS public.{name}")


UNUSED = [
    "ledger_transaction_public_id_9c92ff37_like",
    "ledger_transaction_reverses_id_f312c56d",
    "transaction_source",
]


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("ledger", "0006_positions_never_fall")]

    operations = [
        migrations.RunPython(one_unique_index, migrations.RunPython.noop),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveConstraint(model_name="transaction", name=ONCE),
                migrations.AddConstraint(
                    model_name="transaction",
                    constraint=models.UniqueConstraint(fields=("source", "kind"), name=ONCE),
                ),
                migrations.RemoveIndex(model_name="transaction", name="transaction_source"),
                migrations.AlterField(
                    model_name="transaction",
                    name="reverses",
                    field=models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reversals",
                        to="ledger.transaction",
                    ),
                ),
                migrations.AddIndex(
                    model_name="transaction",
                    index=models.Index(
                        condition=models.Q(("reverses__isnull", False)), fields=["reverses"], name="transaction_reverses"
                    ),
                ),
            ],
        ),
    ]
