"""The transfer history finds deposits in suspense without reading those that are credited. Begun anew after a kill."""

from django.db import migrations, models

CREATE = (
    "CREATE INDEX CONCURRENTLY deposit_stray ON public.payments_deposit (created_at DESC) WHERE status <> 'credited'"
)
DROP = "DROP INDEX CONCURRENTLY IF EXISTS public.deposit_stray"


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("payments", "0016_guards_by_column")]

    operations = [
        migrations.RunSQL(DROP, migrations.RunSQL.noop),
        migrations.RunSQL(
            CREATE,
            DROP,
            state_operations=[
                migrations.AddIndex(
                    model_name="deposit",
                    index=models.Index(
                        fields=["-created_at"],
                        condition=models.Q(("status", "credited"), _negated=True),
                        name="deposit_stray",
                    ),
                )
            ],
        ),
    ]
