"""The deposits of a reusable CLABE are found; all others are not in the index. Begun anew after a kill."""

from django.db import migrations, models

CREATE = (
    "CREATE INDEX CONCURRENTLY deposit_reusable_clabe ON public.payments_deposit (reusable_clabe_id)"
    " WHERE reusable_clabe_id IS NOT NULL"
)
DROP = "DROP INDEX CONCURRENTLY IF EXISTS public.deposit_reusable_clabe"


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("payments", "0012_deposit_search")]

    operations = [
        migrations.RunSQL(DROP, migrations.RunSQL.noop),
        migrations.RunSQL(
            CREATE,
            DROP,
            state_operations=[
                migrations.AddIndex(
                    model_name="deposit",
                    index=models.Index(
                        condition=models.Q(("reusable_clabe__isnull", False)),
                        fields=["reusable_clabe"],
                        name="deposit_reusable_clabe",
                    ),
                )
            ],
        ),
    ]
