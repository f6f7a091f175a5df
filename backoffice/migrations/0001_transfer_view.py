"""The transfer history as a view that both tables' ``created_at`` indexes can serve.

PostgreSQL merges two index scans only if each half of the union is one table without conditions of its own and the
columns' types are equal; otherwise it reads and sorts everything. So what a half needs of other tables are scalar
subqueries, and the condition stands outside (no payment is ever ``credited``).
"""

from django.db import migrations, models

CREATE = """
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
        p.completed_at
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
        d.paid_at
    FROM public.payments_deposit d
) transfer
WHERE transfer.status <> 'credited'
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("payments", "0002_clabe_sequences"),
        ("merchants", "0001_initial"),
    ]

    operations = [
        migrations.RunSQL(CREATE, "DROP VIEW public.backoffice_transfer"),
        migrations.CreateModel(
            name='Transfer',
            fields=[
                ('id', models.CharField(max_length=40, primary_key=True, serialize=False, verbose_name='id')),
                ('kind', models.CharField(choices=[('payment', 'payment'), ('deposit', 'deposit')], max_length=8, verbose_name='kind')),
                ('livemode', models.BooleanField(verbose_name='live')),
                ('method', models.CharField(choices=[('spei', 'SPEI'), ('oxxo', 'OXXO')], max_length=8, verbose_name='method')),
                ('status', models.CharField(choices=[('pending', 'pending'), ('processing', 'processing'), ('completed', 'completed'), ('failed', 'failed'), ('expired', 'expired'), ('cancelled', 'cancelled'), ('reversed', 'reversed'), ('suspended', 'in suspense')], max_length=32, verbose_name='status')),
                ('amount', models.BigIntegerField(verbose_name='amount')),
                ('currency', models.CharField(max_length=3, verbose_name='currency')),
                ('clabe', models.CharField(max_length=20, null=True, verbose_name='CLABE')),
                ('reference', models.CharField(max_length=32, verbose_name='CLABE or reference')),
                ('tracking_key', models.CharField(max_length=40, verbose_name='tracking key')),
                ('name', models.CharField(max_length=120, verbose_name='customer or payer')),
                ('payer_name', models.CharField(max_length=120, verbose_name='payer')),
                ('external_id', models.CharField(max_length=100, null=True, verbose_name="merchant's id")),
                ('created_at', models.DateTimeField(verbose_name='created')),
                ('completed_at', models.DateTimeField(null=True, verbose_name='received')),
            ],
            options={
                'verbose_name': 'transfer',
                'verbose_name_plural': 'transfer history',
                'db_table': 'backoffice_transfer',
                'ordering': ['-created_at'],
                'managed': False,
                'default_permissions': ('view',),
            },
        ),
    ]
