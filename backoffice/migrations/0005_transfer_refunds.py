"""The transfer history names refunds: payouts of the kind ``refund``."""

from importlib import import_module

from django.db import migrations

BEFORE: str = import_module("backoffice.migrations.0004_transfer_topups").REPLACE
OLD = "        'payout'::varchar,\n        o.merchant_id,"
NEW = "        (CASE WHEN o.kind = 'refund' THEN 'refund' ELSE 'payout' END)::varchar,\n        o.merchant_id,"
assert OLD in BEFORE  # noqa: S101 - a replacement that finds nothing would be lost
REPLACE = BEFORE.replace(OLD, NEW, 1)


class Migration(migrations.Migration):
    dependencies = [
        ("backoffice", "0004_transfer_topups"),
        ("payments", "0015_refund_indexes"),
    ]

    operations = [
        migrations.RunSQL(["DROP VIEW public.backoffice_transfer", REPLACE], [
            "DROP VIEW public.backoffice_transfer", BEFORE
        ]),
    ]
