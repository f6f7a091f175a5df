"""Unique where there is a value: a payment of one method is not in the indexes of the other's identities.

Each index is built while the system runs; begun anew, the migration removes first what an interrupted try left. There
is no moment in which nothing holds them unique. Indexes that another one contains, or that no query uses, go.
"""

import django.db.models.deletion
from django.db import migrations, models

ONCE = {
    "payment_clabe_unique": "(clabe) WHERE made_by = 'request' AND clabe IS NOT NULL",
    "payment_order_unique": "(provider_account_id, order_id) WHERE order_id IS NOT NULL",
}
UNUSED = [
    "payment_clabe",
    "payments_deposit_provider_account_id_9cde34f9",
    "payments_deposit_public_id_4a8fd5d7_like",
]


def forwards(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        for name, definition in ONCE.items():
            cursor.execute("SELECT pg_get_indexdef(to_regclass(%s))", [f"public.{name}"])
            if "IS NOT NULL" not in cursor.fetchone()[0]:
                cursor.execute("DROP INDEX CONCURRENTLY IF EXISTS public.payment_once")
                cursor.execute(
                    f"CREATE UNIQUE INDEX CONCURRENTLY payment_once ON public.payments_payment {definition}"
                )
                # One string of several statements is one transaction.
                cursor.execute(
                    f"ALTER TABLE public.payments_payment DROP CONSTRAINT IF EXISTS {name};"
                    f"DROP INDEX IF EXISTS public.{name};"
                    f"ALTER INDEX public.payment_once RENAME TO {name}"
                )
        for name in UNUSED:
            cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS public.{name}")


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("payments", "0013_deposit_reusable_clabe")]

    operations = [
        migrations.RunPython(forwards, migrations.RunPython.noop),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveConstraint(model_name="payment", name="payment_clabe_unique"),
                migrations.AddConstraint(
                    model_name="payment",
                    constraint=models.UniqueConstraint(
                        condition=models.Q(("clabe__isnull", False), ("made_by", "request")),
                        fields=("clabe",),
                        name="payment_clabe_unique",
                    ),
                ),
                migrations.RemoveConstraint(model_name="payment", name="payment_order_unique"),
                migrations.AddConstraint(
                    model_name="payment",
                    constraint=models.UniqueConstraint(
                        condition=models.Q(("order_id__isnull", False)),
                        fields=("provider_account", "order_id"),
                        name="payment_order_unique",
                    ),
                ),
                migrations.RemoveIndex(model_name="payment", name="payment_clabe"),
                migrations.AlterField(
                    model_name="deposit",
                    name="provider_account",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="deposits",
                        to="payments.provideraccount",
                    ),
                ),
            ],
        ),
    ]
