"""Indexes that another one contains, or that no query uses: each was written twice with every notice."""

import django.db.models.deletion
from django.db import migrations, models

UNUSED = ["webhooks_providerevent_account_id_0c1cffef", "webhooks_providerevent_public_id_199a422a_like"]


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("webhooks", "0005_provider_poll")]

    operations = [
        *(
            migrations.RunSQL(f"DROP INDEX CONCURRENTLY IF EXISTS public.{name}", migrations.RunSQL.noop)
            for name in UNUSED
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model_name="providerevent",
                    name="account",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="payments.provideraccount",
                        verbose_name="provider account",
                    ),
                ),
            ],
        ),
    ]
