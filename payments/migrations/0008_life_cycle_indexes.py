"""Found by CLABE; found when it is time to expire. Begun anew, it removes first what an interrupted try left.

A payment's own CLABE stays unique; payments of one reusable CLABE share theirs.
"""

from django.db import migrations, models

INDEXES = {
    "payment_clabe": "INDEX CONCURRENTLY payment_clabe ON payments_payment (clabe)",
    "payment_waiting": (
        "INDEX CONCURRENTLY payment_waiting ON payments_payment (expires_at)"
        " WHERE status IN ('pending', 'processing')"
    ),
    "payment_reusable_clabe": (
        "INDEX CONCURRENTLY payment_reusable_clabe ON payments_payment (reusable_clabe_id)"
        " WHERE reusable_clabe_id IS NOT NULL"
    ),
    "payment_clabe_unique": (
        "UNIQUE INDEX CONCURRENTLY payment_clabe_unique ON payments_payment (clabe) WHERE made_by = 'request'"
    ),
}


def build(name, definition):
    drop = f"DROP INDEX CONCURRENTLY IF EXISTS {name}"
    return [migrations.RunSQL(drop, migrations.RunSQL.noop), migrations.RunSQL(f"CREATE {definition}", drop)]


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("payments", "0007_life_cycle_guards"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                *(operation for name, definition in INDEXES.items() for operation in build(name, definition)),
                migrations.RunSQL(
                    "ALTER TABLE payments_payment DROP CONSTRAINT IF EXISTS payments_payment_clabe_key",
                    "ALTER TABLE payments_payment ADD CONSTRAINT payments_payment_clabe_key UNIQUE (clabe)",
                ),
            ],
            state_operations=[
                migrations.AddIndex(
                    model_name="payment", index=models.Index(fields=["clabe"], name="payment_clabe")
                ),
                migrations.AddIndex(
                    model_name="payment",
                    index=models.Index(
                        condition=models.Q(("status__in", ["pending", "processing"])),
                        fields=["expires_at"],
                        name="payment_waiting",
                    ),
                ),
                migrations.AddIndex(
                    model_name="payment",
                    index=models.Index(
                        condition=models.Q(("reusable_clabe__isnull", False)),
                        fields=["reusable_clabe"],
                        name="payment_reusable_clabe",
                    ),
                ),
                migrations.AddConstraint(
                    model_name="payment",
                    constraint=models.UniqueConstraint(
                        condition=models.Q(("made_by", "request")), fields=("clabe",), name="payment_clabe_unique"
                    ),
                ),
                migrations.AlterField(
                    model_name="payment",
                    name="clabe",
                    field=models.CharField(blank=True, max_length=18, null=True, verbose_name="CLABE"),
                ),
            ],
        ),
    ]
