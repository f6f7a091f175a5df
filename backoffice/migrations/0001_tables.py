"""The tables of backoffice, with their indexes, constraints and guards."""

from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
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
                ('search_text', models.TextField(editable=False)),
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
