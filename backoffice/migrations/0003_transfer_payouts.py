"""The transfer history gains payouts."""

from importlib import import_module

from django.db import migrations

VIEW: str = import_module("backoffice.migrations.0002_transfer_view").VIEW
PAYOUTS = """
    UNION ALL
    SELECT
        o.public_id,
        'payout'::varchar,
        o.merchant_id,
        o.livemode,
        'spei'::varchar,
        o.status::varchar,
        o.amount,
        o.currency::varchar,
        o.destination_clabe::varchar,
        o.destination_clabe::varchar,
        o.tracking_key::varchar,
        o.destination_name::varchar,
        ''::varchar,
        o.external_id::varchar,
        o.created_at,
        o.completed_at,
        public.search_text(o.tracking_key, o.external_id, o.destination_clabe, o.destination_name)
    FROM public.payments_payout o
) transfer
"""
BEFORE = VIEW.replace("CREATE VIEW", "CREATE OR REPLACE VIEW")
REPLACE = BEFORE.replace(") transfer\n", PAYOUTS.lstrip("\n"), 1)


class Migration(migrations.Migration):
    dependencies = [
        ("backoffice", "0002_transfer_view"),
        ("payments", "0005_payout_created"),
    ]

    operations = [
        migrations.RunSQL(REPLACE, BEFORE),
    ]
