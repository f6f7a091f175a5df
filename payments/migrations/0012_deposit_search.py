"""Searching for money in suspense, of which there is little: the index holds nothing else. Begun anew after a kill."""

import core.search
import django.contrib.postgres.indexes
from django.db import migrations, models

CREATE = (
    "CREATE INDEX CONCURRENTLY deposit_search ON public.payments_deposit USING gin "
    "((public.search_text(clabe, tracking_key, payer_name, concept)) public.gin_trgm_ops) WHERE status <> 'credited'"
)
DROP = "DROP INDEX CONCURRENTLY IF EXISTS public.deposit_search"


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("payments", "0011_review_case_words")]

    operations = [
        migrations.RunSQL(DROP, migrations.RunSQL.noop),
        migrations.RunSQL(
            CREATE,
            DROP,
            state_operations=[
                migrations.AddIndex(
                    model_name="deposit",
                    index=django.contrib.postgres.indexes.GinIndex(
                        django.contrib.postgres.indexes.OpClass(
                            core.search.SearchText(
                                models.F("clabe"), models.F("tracking_key"), models.F("payer_name"), models.F("concept")
                            ),
                            name="gin_trgm_ops",
                        ),
                        condition=models.Q(("status", "credited"), _negated=True),
                        name="deposit_search",
                    ),
                )
            ],
        ),
    ]
