"""The transfer history gains top-ups: credited deposits of the purpose ``funding``.

The condition stays outside the union, in the words of the partial indexes ``deposit_stray`` and ``deposit_search``.
"""

from importlib import import_module

from django.db import migrations

BEFORE: str = import_module("backoffice.migrations.0003_transfer_payouts").REPLACE
REPLACE = BEFORE
for old, new in (
    ("p.payer_name) AS search_text\n", "p.payer_name) AS search_text,\n        'payment'::varchar AS purpose\n"),
    ("        'deposit'::varchar,\n", "        (CASE WHEN d.purpose = 'funding' THEN 'topup' ELSE 'deposit' END)::varchar,\n"),
    (
        "(SELECT p.merchant_id FROM public.payments_payment p WHERE p.id = d.payment_id),",
        "coalesce((SELECT p.merchant_id FROM public.payments_payment p WHERE p.id = d.payment_id),\n"
        "            (SELECT c.merchant_id FROM public.payments_clabe c WHERE c.id = d.reusable_clabe_id)),",
    ),
    ("d.payer_name, d.concept)\n", "d.payer_name, d.concept),\n        d.purpose::varchar\n"),
    ("o.destination_name)\n", "o.destination_name),\n        'payout'::varchar\n"),
    ("WHERE transfer.status <> 'credited'", "WHERE transfer.status <> 'credited' OR transfer.purpose = 'funding'"),
):
    assert old in REPLACE, old  # noqa: S101 - a replacement that finds nothing would be lost
    REPLACE = REPLACE.replace(old, new, 1)


class Migration(migrations.Migration):
    dependencies = [
        ("backoffice", "0003_transfer_payouts"),
        ("payments", "0008_funding_indexes"),
    ]

    operations = [
        migrations.RunSQL(["DROP VIEW public.backoffice_transfer", REPLACE], [
            "DROP VIEW public.backoffice_transfer", BEFORE
        ]),
    ]
