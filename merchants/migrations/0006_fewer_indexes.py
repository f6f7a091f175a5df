"""Indexes that another one contains, or that no query uses; each was written with every event or key."""

import django.db.models.deletion
from django.db import migrations, models

UNUSED = [
    "merchants_event_merchant_id_88bde379",
    "merchants_event_public_id_63d770dc_like",
    "merchants_idempotencykey_merchant_id_53b8e6d0",
    "merchants_idempotencykey_public_id_1cd2ade4_like",
]


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("merchants", "0005_deposit_policy")]

    operations = [
        *(
            migrations.RunSQL(f"DROP INDEX CONCURRENTLY IF EXISTS public.{name}", migrations.RunSQL.noop)
            for name in UNUSED
        ),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model_name="event",
                    name="merchant",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="events",
                        to="merchants.merchant",
                    ),
                ),
                migrations.AlterField(
                    model_name="idempotencykey",
                    name="merchant",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="merchants.merchant",
                    ),
                ),
            ],
        ),
    ]
