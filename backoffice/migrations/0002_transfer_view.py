"""The transfer history as a view that both tables' ``created_at`` indexes can serve.

PostgreSQL merges two index scans only if each half of the union is one table without conditions of its own and the
columns' types are equal; otherwise it reads and sorts everything. So what a half needs of other tables are scalar
subqueries, and the condition stands outside (no payment is ever ``credited``).
"""

from django.db import migrations

VIEW = """
CREATE VIEW public.backoffice_transfer AS
SELECT * FROM (
    SELECT
        p.public_id AS id,
        'payment'::varchar AS kind,
        p.merchant_id,
        p.livemode,
        p.method::varchar AS method,
        p.status::varchar AS status,
        p.amount,
        p.currency::varchar AS currency,
        p.clabe::varchar AS clabe,
        (CASE WHEN p.method = 'spei' THEN p.clabe ELSE p.voucher_reference END)::varchar AS reference,
        p.tracking_key::varchar AS tracking_key,
        (CASE WHEN p.customer_name <> '' THEN p.customer_name ELSE p.payer_name END)::varchar AS name,
        p.payer_name::varchar AS payer_name,
        p.external_id::varchar AS external_id,
        p.created_at,
        p.completed_at,
        public.search_text(p.clabe, p.voucher_reference, p.order_id, p.external_id, p.customer_name, p.customer_email,
            p.tracking_key, p.payer_name) AS search_text
    FROM public.payments_payment p
    UNION ALL
    SELECT
        d.public_id,
        'deposit'::varchar,
        (SELECT p.merchant_id FROM public.payments_payment p WHERE p.id = d.payment_id),
        d.livemode,
        (SELECT CASE a.provider WHEN 'stp' THEN 'spei' ELSE 'oxxo' END::varchar
           FROM public.payments_provideraccount a WHERE a.id = d.provider_account_id),
        d.status::varchar,
        d.amount,
        d.currency::varchar,
        d.clabe::varchar,
        d.clabe::varchar,
        d.tracking_key::varchar,
        d.payer_name::varchar,
        d.payer_name::varchar,
        NULL::varchar,
        d.created_at,
        d.paid_at,
        public.search_text(d.clabe, d.tracking_key, d.payer_name, d.concept)
    FROM public.payments_deposit d
) transfer
WHERE transfer.status <> 'credited'
"""


class Migration(migrations.Migration):
    dependencies = [
        ("backoffice", "0001_tables"),
        ("payments", "0002_tables"),
    ]

    operations = [migrations.RunSQL(VIEW, migrations.RunSQL.noop)]
