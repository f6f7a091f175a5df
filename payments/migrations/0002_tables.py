"""The tables of payments, with their indexes, constraints and guards."""

import core.clock
import core.db
import core.fields
import core.ids
import core.search
import datetime
import django.contrib.postgres.constraints
import django.contrib.postgres.fields
import django.contrib.postgres.fields.ranges
import django.contrib.postgres.indexes
import django.core.validators
import django.db.models.deletion
import django.db.models.expressions
import functools
import payments.models.fee_rule
import payments.models.payout
import pgtrigger.compiler
import pgtrigger.migrations
from decimal import Decimal
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('merchants', '0001_tables'),
        ('payments', '0001_search_functions'),
    ]

    operations = [
        migrations.CreateModel(
            name='ProviderBalance',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('amount', models.BigIntegerField(verbose_name='balance')),
                ('pending', models.BigIntegerField(default=0, verbose_name='orders in flight')),
                ('read_at', models.DateTimeField(verbose_name='read')),
            ],
            options={
                'verbose_name': 'balance at a provider',
                'verbose_name_plural': 'balances at providers',
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='ProviderCall',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('livemode', models.BooleanField(verbose_name='live')),
                ('operation', models.CharField(max_length=40, verbose_name='operation')),
                ('object_id', models.CharField(blank=True, max_length=40, verbose_name='object')),
                ('request', models.TextField(blank=True, verbose_name='request')),
                ('began_at', models.DateTimeField(default=core.clock.now, verbose_name='started')),
                ('outcome', models.CharField(blank=True, choices=[('accepted', 'accepted'), ('refused', 'refused'), ('not_sent', 'not sent'), ('unknown', 'unknown')], default='', max_length=8, verbose_name='outcome')),
                ('status', models.PositiveSmallIntegerField(null=True, verbose_name='HTTP status')),
                ('answer', models.TextField(blank=True, default='', verbose_name='response')),
                ('duration_ms', models.PositiveIntegerField(null=True, verbose_name='milliseconds')),
            ],
            options={
                'verbose_name': 'provider call',
                'verbose_name_plural': 'provider calls',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='ProviderQuota',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=16)),
                ('hour', models.DateTimeField()),
                ('spent', models.PositiveIntegerField(default=0)),
            ],
            options={
                'verbose_name': 'provider quota',
                'verbose_name_plural': 'provider quotas',
            },
        ),
        migrations.CreateModel(
            name='Report',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', core.fields.IdentifierField(default=functools.partial(core.ids.new_id, *('report',), **{}), editable=False, max_length=40, unique=True, verbose_name='id')),
                ('livemode', models.BooleanField(verbose_name='live')),
                ('type', models.CharField(choices=[('payments', 'payments'), ('balance_transactions', 'balance transactions'), ('statement', 'statement')], max_length=32, verbose_name='type')),
                ('format', models.CharField(choices=[('csv', 'CSV'), ('xlsx', 'Excel')], db_default='csv', default='csv', max_length=8, verbose_name='format')),
                ('start_date', models.DateField(help_text='In Mexico City.', verbose_name='first day')),
                ('end_date', models.DateField(help_text='Inclusive.', verbose_name='last day')),
                ('metadata', models.JSONField(blank=True, default=dict)),
                ('status', models.CharField(choices=[('pending', 'pending'), ('processing', 'processing'), ('completed', 'completed'), ('failed', 'failed')], default='pending', max_length=32, verbose_name='status')),
                ('rows_done', models.BigIntegerField(default=0, verbose_name='rows written')),
                ('rows_total', models.BigIntegerField(blank=True, null=True, verbose_name='total rows')),
                ('attempt', models.PositiveSmallIntegerField(default=0, verbose_name='attempts')),
                ('leased_until', models.DateTimeField(blank=True, help_text="End of the writer's lease.", null=True)),
                ('size', models.BigIntegerField(blank=True, help_text='Bytes.', null=True, verbose_name='size')),
                ('sha256', models.CharField(blank=True, max_length=64, verbose_name='SHA-256')),
                ('failure_code', models.CharField(blank=True, max_length=64)),
                ('failure_message', models.CharField(blank=True, max_length=250)),
                ('created_at', models.DateTimeField(default=core.clock.now, editable=False, verbose_name='created')),
                ('completed_at', models.DateTimeField(blank=True, null=True, verbose_name='completed at')),
                ('expires_at', models.DateTimeField(blank=True, null=True, verbose_name='file kept until')),
                ('removed_at', models.DateTimeField(blank=True, null=True, verbose_name='file removed')),
            ],
            options={
                'verbose_name': 'report',
                'verbose_name_plural': 'reports',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='ReportTransition',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('from_status', models.CharField(blank=True, max_length=32)),
                ('to_status', models.CharField(max_length=32)),
                ('cause', models.CharField(choices=[('api', 'API'), ('notice', 'provider notice'), ('staff', 'staff'), ('worker', 'worker')], max_length=16)),
                ('actor', models.CharField(help_text="Who: an API key's id, a staff user, a provider account.", max_length=100)),
                ('reference', models.CharField(blank=True, help_text='What: the id of the request or event.', max_length=100)),
                ('reason', models.CharField(blank=True, max_length=500)),
                ('created_at', models.DateTimeField(default=core.clock.now)),
            ],
            options={
                'verbose_name': 'report transition',
                'verbose_name_plural': 'report transitions',
                'ordering': ['id'],
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='ReviewCase',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', core.fields.IdentifierField(default=functools.partial(core.ids.new_id, *('review_case',), **{}), editable=False, max_length=40, unique=True, verbose_name='id')),
                ('livemode', models.BooleanField(verbose_name='live')),
                ('reason', models.CharField(choices=[('unknown_clabe', 'no payment has this CLABE'), ('unknown_order', 'no payment belongs to this order'), ('underpaid', "less than the payment's amount"), ('overpaid', "more than the payment's amount"), ('late', 'paid after the payment expired or was cancelled'), ('already_paid', 'the payment is already paid'), ('not_payable', 'the payment cannot receive money'), ('out_of_range', 'outside the amount limits of the CLABE'), ('clabe_closed', 'paid after the CLABE was closed'), ('returned_transfer', 'an outgoing transfer that was returned')], max_length=32, verbose_name='reason')),
                ('status', models.CharField(choices=[('open', 'to be decided'), ('credited', 'credited as sent'), ('assigned', 'assigned to another')], default='open', max_length=32, verbose_name='status')),
                ('due_at', models.DateTimeField(verbose_name='due')),
                ('resolved_at', models.DateTimeField(blank=True, null=True, verbose_name='resolved')),
                ('created_at', models.DateTimeField(default=core.clock.now, editable=False, verbose_name='created')),
            ],
            options={
                'verbose_name': 'review case',
                'verbose_name_plural': 'review cases',
                'ordering': ['-id'],
                'permissions': [('credit_reviewcase', 'Can credit a deposit under review'), ('assign_reviewcase', 'Can assign a deposit under review')],
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='ReviewCaseTransition',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('from_status', models.CharField(blank=True, max_length=32)),
                ('to_status', models.CharField(max_length=32)),
                ('cause', models.CharField(choices=[('api', 'API'), ('notice', 'provider notice'), ('staff', 'staff'), ('worker', 'worker')], max_length=16)),
                ('actor', models.CharField(help_text="Who: an API key's id, a staff user, a provider account.", max_length=100)),
                ('reference', models.CharField(blank=True, help_text='What: the id of the request or event.', max_length=100)),
                ('reason', models.CharField(blank=True, max_length=500)),
                ('created_at', models.DateTimeField(default=core.clock.now)),
            ],
            options={
                'verbose_name': 'review case transition',
                'verbose_name_plural': 'review case transitions',
                'ordering': ['id'],
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='Clabe',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', core.fields.IdentifierField(default=functools.partial(core.ids.new_id, *('clabe',), **{}), editable=False, max_length=40, unique=True, verbose_name='id')),
                ('livemode', models.BooleanField(verbose_name='live')),
                ('clabe', core.fields.IdentifierField(max_length=18, unique=True, verbose_name='CLABE')),
                ('status', models.CharField(choices=[('active', 'active'), ('closed', 'closed')], default='active', max_length=32, verbose_name='status')),
                ('label', models.CharField(blank=True, max_length=100, verbose_name='label')),
                ('customer_name', models.CharField(blank=True, max_length=100, verbose_name='customer')),
                ('customer_email', models.EmailField(blank=True, max_length=254, verbose_name='e-mail')),
                ('customer_phone', models.CharField(blank=True, max_length=20, verbose_name='phone')),
                ('metadata', models.JSONField(blank=True, default=dict)),
                ('min_amount', models.BigIntegerField(blank=True, help_text='Centavos.', null=True, verbose_name='minimum amount')),
                ('max_amount', models.BigIntegerField(blank=True, help_text='Centavos.', null=True, verbose_name='maximum amount')),
                ('closed_at', models.DateTimeField(blank=True, null=True, verbose_name='closed at')),
                ('created_at', models.DateTimeField(default=core.clock.now, editable=False, verbose_name='created')),
                ('merchant', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='clabes', to='merchants.merchant', verbose_name='merchant')),
            ],
            options={
                'verbose_name': 'CLABE',
                'verbose_name_plural': 'CLABEs',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='ClabeTransition',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('from_status', models.CharField(blank=True, max_length=32)),
                ('to_status', models.CharField(max_length=32)),
                ('cause', models.CharField(choices=[('api', 'API'), ('notice', 'provider notice'), ('staff', 'staff'), ('worker', 'worker')], max_length=16)),
                ('actor', models.CharField(help_text="Who: an API key's id, a staff user, a provider account.", max_length=100)),
                ('reference', models.CharField(blank=True, help_text='What: the id of the request or event.', max_length=100)),
                ('reason', models.CharField(blank=True, max_length=500)),
                ('created_at', models.DateTimeField(default=core.clock.now)),
                ('clabe', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='transitions', to='payments.clabe')),
            ],
            options={
                'verbose_name': 'CLABE transition',
                'verbose_name_plural': 'CLABE transitions',
                'ordering': ['id'],
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='Deposit',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', core.fields.IdentifierField(default=functools.partial(core.ids.new_id, *('deposit',), **{}), editable=False, max_length=40, unique=True, verbose_name='id')),
                ('livemode', models.BooleanField(verbose_name='live')),
                ('deposit_key', models.CharField(max_length=120, verbose_name="provider's key")),
                ('status', models.CharField(choices=[('received', 'received'), ('credited', 'credited'), ('suspended', 'in suspense')], default='received', max_length=32, verbose_name='status')),
                ('suspense_reason', models.CharField(blank=True, choices=[('unknown_clabe', 'no payment has this CLABE'), ('unknown_order', 'no payment belongs to this order'), ('underpaid', "less than the payment's amount"), ('overpaid', "more than the payment's amount"), ('late', 'paid after the payment expired or was cancelled'), ('already_paid', 'the payment is already paid'), ('not_payable', 'the payment cannot receive money'), ('out_of_range', 'outside the amount limits of the CLABE'), ('clabe_closed', 'paid after the CLABE was closed'), ('returned_transfer', 'an outgoing transfer that was returned')], max_length=32, verbose_name='why in suspense')),
                ('amount', models.BigIntegerField(help_text='Centavos.', verbose_name='amount')),
                ('fee', models.BigIntegerField(db_default=0, default=0, verbose_name='fee')),
                ('fee_tax', models.BigIntegerField(db_default=0, default=0, verbose_name='IVA on the fee')),
                ('currency', models.CharField(max_length=3, verbose_name='currency')),
                ('paid_at', models.DateTimeField(help_text='Time of payment according to the provider.', verbose_name='paid')),
                ('operating_date', models.DateField(verbose_name='operating date')),
                ('clabe', models.CharField(blank=True, max_length=20, verbose_name='CLABE')),
                ('tracking_key', models.CharField(blank=True, max_length=40, verbose_name='tracking key')),
                ('concept', models.CharField(blank=True, max_length=120, verbose_name='concept')),
                ('payer_name', models.CharField(blank=True, max_length=120, verbose_name='payer')),
                ('payer_account', models.CharField(blank=True, max_length=20, verbose_name="payer's account")),
                ('payer_institution', models.CharField(blank=True, max_length=5)),
                ('provider_event', models.CharField(help_text='Public id of the first notice that reported it, or of the order.', max_length=64, verbose_name='provider event')),
                ('created_at', models.DateTimeField(default=core.clock.now, editable=False, verbose_name='created')),
                ('reusable_clabe', models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='deposits', to='payments.clabe', verbose_name='reusable CLABE')),
            ],
            options={
                'verbose_name': 'deposit',
                'verbose_name_plural': 'deposits',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='DepositTransition',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('from_status', models.CharField(blank=True, max_length=32)),
                ('to_status', models.CharField(max_length=32)),
                ('cause', models.CharField(choices=[('api', 'API'), ('notice', 'provider notice'), ('staff', 'staff'), ('worker', 'worker')], max_length=16)),
                ('actor', models.CharField(help_text="Who: an API key's id, a staff user, a provider account.", max_length=100)),
                ('reference', models.CharField(blank=True, help_text='What: the id of the request or event.', max_length=100)),
                ('reason', models.CharField(blank=True, max_length=500)),
                ('created_at', models.DateTimeField(default=core.clock.now)),
                ('deposit', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='transitions', to='payments.deposit')),
            ],
            options={
                'verbose_name': 'deposit transition',
                'verbose_name_plural': 'deposit transitions',
                'ordering': ['id'],
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='Destination',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('livemode', models.BooleanField(verbose_name='live')),
                ('clabe', models.CharField(max_length=18, verbose_name='CLABE')),
                ('usable_at', models.DateTimeField(help_text='End of the cool-down of a new destination.', verbose_name='usable from')),
                ('created_at', models.DateTimeField(default=core.clock.now, editable=False, verbose_name='first used')),
                ('merchant', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='destinations', to='merchants.merchant', verbose_name='merchant')),
            ],
            options={
                'verbose_name': 'destination',
                'verbose_name_plural': 'destinations',
                'ordering': ['-id'],
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='FeeRule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('method', models.CharField(choices=[('spei', 'SPEI'), ('oxxo', 'OXXO'), ('payout', 'payout')], max_length=8, verbose_name='method')),
                ('percent', models.DecimalField(decimal_places=4, help_text='2.9 is 2.9 % of the amount.', max_digits=6, validators=[django.core.validators.MinValueValidator(0), django.core.validators.MaxValueValidator(50)], verbose_name='percent')),
                ('fixed', models.BigIntegerField(help_text='Centavos, before IVA.', validators=[django.core.validators.MinValueValidator(0)], verbose_name='fixed')),
                ('valid_from', models.DateField(db_default=datetime.date(2020, 1, 1), default=payments.models.fee_rule.today, help_text='First day, in Mexico City. Earlier payments keep their fee.', verbose_name='valid from')),
                ('valid_until', models.DateField(blank=True, help_text='Last day, inclusive. Empty: unlimited.', null=True, verbose_name='valid until')),
                ('merchant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='fee_rules', to='merchants.merchant')),
            ],
            options={
                'verbose_name': 'fee',
                'verbose_name_plural': 'fees',
            },
        ),
        migrations.CreateModel(
            name='Payment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', core.fields.IdentifierField(default=functools.partial(core.ids.new_id, *('payment',), **{}), editable=False, max_length=40, unique=True, verbose_name='id')),
                ('livemode', models.BooleanField(verbose_name='live')),
                ('method', models.CharField(choices=[('spei', 'SPEI'), ('oxxo', 'OXXO')], max_length=8, verbose_name='method')),
                ('made_by', models.CharField(choices=[('request', 'request'), ('clabe', 'deposit to a reusable CLABE'), ('staff', 'deposit assigned by staff')], db_default='request', default='request', max_length=8, verbose_name='made by')),
                ('status', models.CharField(choices=[('pending', 'pending'), ('processing', 'processing'), ('completed', 'completed'), ('failed', 'failed'), ('expired', 'expired'), ('cancelled', 'cancelled'), ('reversed', 'reversed')], default='pending', max_length=32, verbose_name='status')),
                ('amount', models.BigIntegerField(help_text='Centavos.', verbose_name='amount')),
                ('currency', models.CharField(max_length=3, verbose_name='currency')),
                ('amount_received', models.BigIntegerField(default=0, verbose_name='received')),
                ('amount_refunded', models.BigIntegerField(default=0, verbose_name='refunded')),
                ('fee_percent', models.DecimalField(decimal_places=4, default=Decimal('0'), max_digits=6)),
                ('fee_fixed', models.BigIntegerField(default=0)),
                ('fee_iva', models.DecimalField(db_default=Decimal('0.16'), decimal_places=4, default=Decimal('0.16'), max_digits=5)),
                ('fee', models.BigIntegerField(default=0, verbose_name='fee')),
                ('fee_tax', models.BigIntegerField(default=0, verbose_name='IVA on the fee')),
                ('description', models.CharField(blank=True, max_length=250, verbose_name='description')),
                ('external_id', models.CharField(blank=True, max_length=100, null=True, verbose_name="merchant's id")),
                ('customer_name', models.CharField(blank=True, max_length=100, verbose_name='customer')),
                ('customer_email', models.EmailField(blank=True, max_length=254, verbose_name='e-mail')),
                ('customer_phone', models.CharField(blank=True, max_length=20, verbose_name='phone')),
                ('metadata', models.JSONField(blank=True, default=dict)),
                ('failure_code', models.CharField(blank=True, max_length=64)),
                ('failure_message', models.CharField(blank=True, max_length=250)),
                ('clabe', models.CharField(blank=True, max_length=18, null=True, verbose_name='CLABE')),
                ('reference_number', models.CharField(blank=True, max_length=7, verbose_name='reference number')),
                ('tracking_key', models.CharField(blank=True, max_length=40, verbose_name='tracking key')),
                ('payer_name', models.CharField(blank=True, max_length=120, verbose_name='payer')),
                ('payer_account', models.CharField(blank=True, max_length=20, verbose_name="payer's account")),
                ('payer_institution', models.CharField(blank=True, max_length=5)),
                ('operating_date', models.DateField(blank=True, null=True, verbose_name='operating date')),
                ('order_id', models.CharField(blank=True, max_length=64, null=True, verbose_name='Conekta order')),
                ('voucher_reference', models.CharField(blank=True, max_length=32, verbose_name='OXXO reference')),
                ('voucher_barcode_url', models.URLField(blank=True, max_length=500)),
                ('voucher_asked_until', models.DateTimeField(blank=True, editable=False, help_text='End of the lease of the process that calls Conekta about this payment.', null=True)),
                ('voucher_store_name', models.CharField(blank=True, max_length=100)),
                ('expires_at', models.DateTimeField(verbose_name='expires')),
                ('cancelled_at', models.DateTimeField(blank=True, null=True, verbose_name='cancelled at')),
                ('completed_at', models.DateTimeField(blank=True, null=True, verbose_name='completed at')),
                ('created_at', models.DateTimeField(default=core.clock.now, editable=False, verbose_name='created')),
                ('merchant', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='payments', to='merchants.merchant', verbose_name='merchant')),
                ('reusable_clabe', models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='payments', to='payments.clabe', verbose_name='reusable CLABE')),
            ],
            options={
                'verbose_name': 'payment',
                'verbose_name_plural': 'payments',
                'ordering': ['-id'],
            },
        ),
        migrations.AddField(
            model_name='deposit',
            name='payment',
            field=models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='deposits', to='payments.payment', verbose_name='payment'),
        ),
        migrations.CreateModel(
            name='PaymentTransition',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('from_status', models.CharField(blank=True, max_length=32)),
                ('to_status', models.CharField(max_length=32)),
                ('cause', models.CharField(choices=[('api', 'API'), ('notice', 'provider notice'), ('staff', 'staff'), ('worker', 'worker')], max_length=16)),
                ('actor', models.CharField(help_text="Who: an API key's id, a staff user, a provider account.", max_length=100)),
                ('reference', models.CharField(blank=True, help_text='What: the id of the request or event.', max_length=100)),
                ('reason', models.CharField(blank=True, max_length=500)),
                ('created_at', models.DateTimeField(default=core.clock.now)),
                ('payment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='transitions', to='payments.payment')),
            ],
            options={
                'verbose_name': 'payment transition',
                'verbose_name_plural': 'payment transitions',
                'ordering': ['id'],
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='Payout',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', core.fields.IdentifierField(default=functools.partial(core.ids.new_id, *('payout',), **{}), editable=False, max_length=40, unique=True, verbose_name='id')),
                ('livemode', models.BooleanField(verbose_name='live')),
                ('kind', models.CharField(choices=[('merchant', 'payout of a merchant'), ('refund', 'refund'), ('payment_return', 'payment sent back'), ('suspense_return', 'money in suspense sent back'), ('settlement', 'settlement'), ('penny_test', 'penny test')], default='merchant', max_length=16, verbose_name='kind')),
                ('status', models.CharField(choices=[('pending_approval', 'waits for approval'), ('pending', 'pending'), ('processing', 'processing'), ('completed', 'completed'), ('failed', 'failed'), ('rejected', 'rejected'), ('cancelled', 'cancelled'), ('returned', 'returned')], default='pending', max_length=32, verbose_name='status')),
                ('waiting_for', models.CharField(blank=True, choices=[('', 'nothing'), ('approval', 'approval by a second person'), ('destination', 'cool-down of a new destination'), ('schedule', 'its scheduled time'), ('operating_day', 'the next operating day'), ('liquidity', 'money at the provider'), ('merchant', "the merchant's account or verification"), ('provider', 'the provider'), ('gate', 'a check of the books')], db_default='', default='', max_length=16, verbose_name='waiting for')),
                ('amount', models.BigIntegerField(help_text='Centavos that the beneficiary gets.', verbose_name='amount')),
                ('currency', models.CharField(max_length=3, verbose_name='currency')),
                ('fee', models.BigIntegerField(default=0, help_text='Charged when the payout completes.', verbose_name='fee')),
                ('fee_tax', models.BigIntegerField(default=0, verbose_name='IVA on the fee')),
                ('fee_percent', models.DecimalField(decimal_places=4, default=Decimal('0'), max_digits=6)),
                ('fee_fixed', models.BigIntegerField(default=0)),
                ('fee_iva', models.DecimalField(decimal_places=4, default=Decimal('0.16'), max_digits=5)),
                ('destination_clabe', models.CharField(max_length=18, verbose_name='destination')),
                ('destination_bank', models.CharField(max_length=5, verbose_name='bank')),
                ('destination_name', models.CharField(max_length=40, verbose_name='beneficiary')),
                ('destination_tax_id', models.CharField(blank=True, max_length=18, verbose_name="beneficiary's RFC or CURP")),
                ('concept', models.CharField(max_length=40, verbose_name='concept')),
                ('reference_number', models.PositiveIntegerField(verbose_name='reference number')),
                ('external_id', models.CharField(blank=True, max_length=100, null=True, verbose_name="merchant's id")),
                ('metadata', models.JSONField(blank=True, default=dict)),
                ('tracking_key', models.CharField(default=payments.models.payout.new_tracking_key, editable=False, max_length=30, verbose_name='tracking key')),
                ('operating_date', models.DateField(blank=True, null=True, verbose_name='operating date')),
                ('order_id', models.CharField(blank=True, max_length=32, null=True, verbose_name="provider's order")),
                ('scheduled_for', models.DateTimeField(blank=True, null=True, verbose_name='scheduled for')),
                ('send_started_at', models.DateTimeField(blank=True, null=True, verbose_name='sending began')),
                ('first_sent_at', models.DateTimeField(blank=True, null=True, verbose_name='first sent')),
                ('sends', models.PositiveIntegerField(db_default=0, default=0, verbose_name='times sent')),
                ('send_outcome', models.CharField(blank=True, choices=[('', 'not sent yet'), ('sending', 'being sent'), ('not_sent', 'did not reach the provider'), ('accepted', 'accepted by the provider'), ('refused', 'refused by the provider'), ('unknown', 'unknown')], db_default='', default='', max_length=8, verbose_name='outcome of sending')),
                ('send_detail', models.CharField(blank=True, db_default='', default='', max_length=300, verbose_name="the provider's words")),
                ('needs_staff', models.CharField(blank=True, db_default='', default='', help_text='Why, in one word.', max_length=64, verbose_name='staff must look')),
                ('delayed', models.BooleanField(db_default=False, default=False, verbose_name='delayed')),
                ('inquiries', models.PositiveIntegerField(db_default=0, default=0, verbose_name='times asked')),
                ('not_found_at', models.DateTimeField(blank=True, null=True, verbose_name='first answered: not found')),
                ('next_attempt_at', models.DateTimeField(blank=True, null=True, verbose_name='next step')),
                ('liquidated_at', models.DateTimeField(blank=True, null=True, verbose_name='settled')),
                ('returned_at', models.DateTimeField(blank=True, null=True, verbose_name='returned at')),
                ('return_cause', models.PositiveSmallIntegerField(blank=True, null=True, verbose_name='cause of return')),
                ('failure_code', models.CharField(blank=True, db_default='', default='', max_length=64, verbose_name='failure')),
                ('failure_message', models.CharField(blank=True, db_default='', default='', max_length=300)),
                ('completed_at', models.DateTimeField(blank=True, null=True, verbose_name='completed at')),
                ('cancelled_at', models.DateTimeField(blank=True, null=True, verbose_name='cancelled at')),
                ('created_at', models.DateTimeField(default=core.clock.now, editable=False, verbose_name='created')),
                ('merchant', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='payouts', to='merchants.merchant', verbose_name='merchant')),
            ],
            options={
                'verbose_name': 'payout',
                'verbose_name_plural': 'payouts',
                'ordering': ['-id'],
                'permissions': [('cancel_payout', 'Can cancel payouts'), ('approve_payout', 'Can approve payouts'), ('resolve_payout', 'Can resolve payouts whose outcome is unknown')],
                'default_permissions': ('view', 'add'),
            },
        ),
        migrations.CreateModel(
            name='PayoutTransition',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('from_status', models.CharField(blank=True, max_length=32)),
                ('to_status', models.CharField(max_length=32)),
                ('cause', models.CharField(choices=[('api', 'API'), ('notice', 'provider notice'), ('staff', 'staff'), ('worker', 'worker')], max_length=16)),
                ('actor', models.CharField(help_text="Who: an API key's id, a staff user, a provider account.", max_length=100)),
                ('reference', models.CharField(blank=True, help_text='What: the id of the request or event.', max_length=100)),
                ('reason', models.CharField(blank=True, max_length=500)),
                ('created_at', models.DateTimeField(default=core.clock.now)),
                ('payout', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='transitions', to='payments.payout')),
            ],
            options={
                'verbose_name': 'payout transition',
                'verbose_name_plural': 'payout transitions',
                'ordering': ['id'],
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='ProviderAccount',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', core.fields.IdentifierField(default=functools.partial(core.ids.new_id, *('provider_account',), **{}), editable=False, max_length=40, unique=True, verbose_name='id')),
                ('provider', models.CharField(choices=[('stp', 'STP'), ('conekta', 'Conekta')], max_length=16, verbose_name='provider')),
                ('livemode', models.BooleanField(verbose_name='live')),
                ('name', models.CharField(help_text='For STP the name of the company (empresa).', max_length=100, verbose_name='name')),
                ('takes_new', models.BooleanField(default=True, help_text='New payments and CLABEs are created here. Only one account per provider and mode.', verbose_name='takes new payments')),
                ('hears_notices', models.BooleanField(default=True, help_text='Its notices are accepted, and its provider is polled. Money may still arrive after the last use.', verbose_name='accepts notices')),
                ('base_url', models.URLField(blank=True, verbose_name='API address')),
                ('credentials', core.fields.EncryptedJSONField(default=dict)),
                ('webhook_username', core.fields.IdentifierField(blank=True, max_length=64, null=True, unique=True)),
                ('webhook_secret_sha256', models.CharField(blank=True, editable=False, max_length=64)),
                ('webhook_next_secret_sha256', models.CharField(blank=True, db_default='', default='', editable=False, max_length=64)),
                ('webhook_public_keys', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), blank=True, default=list, size=None)),
                ('webhook_networks', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=43), blank=True, help_text='Networks (CIDR) from which STP sends notices; empty: any.', null=True, size=None, verbose_name='allowed addresses')),
                ('clabe_prefix', core.fields.IdentifierField(blank=True, help_text='646180 and the four digits that STP assigned.', max_length=10, null=True, unique=True, validators=[django.core.validators.RegexValidator('^646180[0-9]{4}$')], verbose_name='CLABE prefix')),
                ('clabe_sequence', models.PositiveSmallIntegerField(blank=True, null=True, unique=True)),
                ('ordering_clabe', models.CharField(blank=True, db_default='', default='', help_text='Our own account from which orders are paid. Without it nothing can be sent.', max_length=18, verbose_name='ordering CLABE')),
                ('ordering_name', models.CharField(blank=True, db_default='', default='', help_text='What beneficiaries see as the sender, in plain ASCII.', max_length=40, verbose_name='ordering name')),
                ('ordering_tax_id', models.CharField(blank=True, db_default='', default='', max_length=18, verbose_name='ordering RFC')),
                ('created_at', models.DateTimeField(default=core.clock.now, editable=False, verbose_name='created')),
            ],
            options={
                'verbose_name': 'provider account',
                'verbose_name_plural': 'provider accounts',
                'ordering': ['provider', '-livemode'],
                'constraints': [models.UniqueConstraint(condition=models.Q(('takes_new', True)), fields=('provider', 'livemode'), name='provider_account_takes_new_one'), models.CheckConstraint(condition=models.Q(('takes_new', False), ('hears_notices', True), _connector='OR'), name='provider_account_takes_and_hears'), models.CheckConstraint(condition=models.Q(models.Q(('provider', 'stp'), _negated=True), models.Q(('clabe_prefix__isnull', False), ('clabe_prefix__regex', '^646180[0-9]{4}$'), ('clabe_sequence__isnull', False), ('clabe_sequence__range', (1, 16))), _connector='OR'), name='provider_account_stp_clabes')],
            },
        ),
        migrations.AddField(
            model_name='payout',
            name='provider_account',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='payouts', to='payments.provideraccount', verbose_name='provider account'),
        ),
        migrations.AddField(
            model_name='payment',
            name='provider_account',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='payments', to='payments.provideraccount'),
        ),
        migrations.AddField(
            model_name='deposit',
            name='provider_account',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='deposits', to='payments.provideraccount'),
        ),
        migrations.AddField(
            model_name='clabe',
            name='provider_account',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='clabes', to='payments.provideraccount'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='provideraccount',
            trigger=pgtrigger.compiler.Trigger(name='no_delete', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'payments_provideraccount keeps its rows: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='c95ec70b4381eae054e92ffa41da817290e656c6', level='STATEMENT', operation='DELETE OR TRUNCATE', pgid='pgtrigger_no_delete_3a04c', table='payments_provideraccount', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='provideraccount',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.public_id, NEW.provider, NEW.livemode, NEW.clabe_prefix, NEW.clabe_sequence, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.public_id, OLD.provider, OLD.livemode, OLD.clabe_prefix, OLD.clabe_sequence, OLD.created_at) THEN\n                RAISE EXCEPTION 'payments_provideraccount: id, public_id, provider, livemode, clabe_prefix, clabe_sequence, created_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='dd2e0956389aed3c2badf89a83993d5bfa76171a', operation='UPDATE OF "id", "public_id", "provider", "livemode", "clabe_prefix", "clabe_sequence", "created_at"', pgid='pgtrigger_frozen_02bcc', table='payments_provideraccount', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='provideraccount',
            trigger=pgtrigger.compiler.Trigger(name='frozen_once', sql=core.db.GuardSql(func="\n            IF (OLD.provider = 'stp' AND (EXISTS (SELECT FROM public.payments_deposit WHERE provider_account_id = OLD.id) OR EXISTS (SELECT FROM public.payments_clabe WHERE provider_account_id = OLD.id) OR EXISTS (SELECT FROM public.payments_payment WHERE provider_account_id = OLD.id))) AND (NEW.name) IS DISTINCT FROM (OLD.name) THEN\n                RAISE EXCEPTION 'payments_provideraccount: name cannot change any more'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='f9ad4c06ab2f17bbe28746805a411b9e26d4bdd5', operation='UPDATE OF "name"', pgid='pgtrigger_frozen_once_22315', table='payments_provideraccount', when='BEFORE')),
        ),
        migrations.AddField(
            model_name='providerbalance',
            name='account',
            field=models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='balance', to='payments.provideraccount', verbose_name='provider account'),
        ),
        migrations.AddField(
            model_name='providercall',
            name='account',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='calls', to='payments.provideraccount', verbose_name='provider account'),
        ),
        migrations.AddField(
            model_name='providerquota',
            name='account',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='payments.provideraccount'),
        ),
        migrations.AddField(
            model_name='report',
            name='merchant',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='merchants.merchant', verbose_name='merchant'),
        ),
        migrations.AddField(
            model_name='reporttransition',
            name='report',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='transitions', to='payments.report'),
        ),
        migrations.AddField(
            model_name='reviewcase',
            name='deposit',
            field=models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='review_case', to='payments.deposit', verbose_name='deposit'),
        ),
        migrations.AddField(
            model_name='reviewcase',
            name='merchant',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='review_cases', to='merchants.merchant', verbose_name='merchant'),
        ),
        migrations.AddField(
            model_name='reviewcase',
            name='payment',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='review_cases', to='payments.payment', verbose_name='payment'),
        ),
        migrations.AddField(
            model_name='reviewcasetransition',
            name='review_case',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='transitions', to='payments.reviewcase'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='clabetransition',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'payments_clabetransition is append-only: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='0f3d1e50f16b1a171a1ea6ff05dcfaac9a7c2f16', level='STATEMENT', operation='UPDATE OR DELETE OR TRUNCATE', pgid='pgtrigger_append_only_61a53', table='payments_clabetransition', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='deposittransition',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'payments_deposittransition is append-only: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='11b57a425262f52c02528b9ea7140b13abb3f778', level='STATEMENT', operation='UPDATE OR DELETE OR TRUNCATE', pgid='pgtrigger_append_only_dead0', table='payments_deposittransition', when='BEFORE')),
        ),
        migrations.AddConstraint(
            model_name='destination',
            constraint=models.UniqueConstraint(fields=('merchant', 'livemode', 'clabe'), name='destination_unique'),
        ),
        migrations.AddConstraint(
            model_name='destination',
            constraint=models.CheckConstraint(condition=models.Q(('clabe__regex', '^[0-9]{18}$')), name='destination_is_clabe'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='destination',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'payments_destination is append-only: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='33328ca6dabe580cb46f32cc65073bc4a8d388af', level='STATEMENT', operation='UPDATE OR DELETE OR TRUNCATE', pgid='pgtrigger_append_only_ccd43', table='payments_destination', when='BEFORE')),
        ),
        migrations.AddConstraint(
            model_name='feerule',
            constraint=django.contrib.postgres.constraints.ExclusionConstraint(expressions=[('merchant', '='), ('method', '='), (payments.models.fee_rule.DateRange(models.F('valid_from'), models.F('valid_until'), django.contrib.postgres.fields.ranges.RangeBoundary(inclusive_lower=True, inclusive_upper=True)), '&&')], name='fee_rule_periods_apart', violation_error_message='This merchant already has a fee for this method in that period.'),
        ),
        migrations.AddConstraint(
            model_name='feerule',
            constraint=models.CheckConstraint(condition=models.Q(('fixed__gte', 0), ('percent__gte', 0), ('percent__lte', 50)), name='fee_rule_sensible'),
        ),
        migrations.AddConstraint(
            model_name='feerule',
            constraint=models.CheckConstraint(condition=models.Q(('valid_until__isnull', True), ('valid_until__gte', models.F('valid_from')), _connector='OR'), name='fee_rule_period_not_empty', violation_error_message='The last day is before the first.'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='feerule',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id) IS DISTINCT FROM (OLD.id) THEN\n                RAISE EXCEPTION 'payments_feerule: id cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='04481c6318d769d1413c4b9908719da10407206e', operation='UPDATE OF "id"', pgid='pgtrigger_frozen_e2272', table='payments_feerule', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='feerule',
            trigger=pgtrigger.compiler.Trigger(name='ends_and_begins', sql=core.db.IndexGuardSql(declare="DECLARE today date := (pg_catalog.clock_timestamp() AT TIME ZONE 'America/Mexico_City')::date; begun boolean := true;", func="\n            IF TG_OP = 'INSERT' OR OLD.valid_from > today THEN\n                begun := TG_OP <> 'INSERT' AND (EXISTS (\n                    SELECT 1 FROM public.payments_payment WHERE merchant_id = OLD.merchant_id AND method = OLD.method\n                        AND created_at >= OLD.valid_from::timestamp AT TIME ZONE 'America/Mexico_City'\n                ) OR (OLD.method = 'payout' AND EXISTS (\n                    SELECT 1 FROM public.payments_payout WHERE merchant_id = OLD.merchant_id\n                        AND created_at >= OLD.valid_from::timestamp AT TIME ZONE 'America/Mexico_City'\n                )));\n            END IF;\n            IF TG_OP = 'DELETE' THEN\n                IF begun THEN\n                    RAISE EXCEPTION 'payments_feerule: a fee that has begun or was used cannot be deleted'\n                        USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                RETURN OLD;\n            END IF;\n            IF NOT begun THEN\n                IF NEW.valid_from < today THEN\n                    RAISE EXCEPTION 'payments_feerule: a fee must begin today or later'\n                        USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                RETURN NEW;\n            END IF;\n            IF (NEW.merchant_id, NEW.method, NEW.percent, NEW.fixed, NEW.valid_from)\n                    IS DISTINCT FROM (OLD.merchant_id, OLD.method, OLD.percent, OLD.fixed, OLD.valid_from) THEN\n                RAISE EXCEPTION 'payments_feerule: a fee that has begun or was used cannot change, only end'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            IF NEW.valid_until IS DISTINCT FROM OLD.valid_until AND (\n                OLD.valid_until < today OR NEW.valid_until < today OR EXISTS (\n                    SELECT 1 FROM public.payments_payment WHERE merchant_id = OLD.merchant_id AND method = OLD.method\n                        AND created_at >= (NEW.valid_until + 1)::timestamp AT TIME ZONE 'America/Mexico_City'\n                        AND created_at < (coalesce(OLD.valid_until, date '9999-01-01') + 1)::timestamp\n                            AT TIME ZONE 'America/Mexico_City'\n                ) OR (OLD.method = 'payout' AND EXISTS (\n                    SELECT 1 FROM public.payments_payout WHERE merchant_id = OLD.merchant_id\n                        AND created_at >= (NEW.valid_until + 1)::timestamp AT TIME ZONE 'America/Mexico_City'\n                        AND created_at < (coalesce(OLD.valid_until, date '9999-01-01') + 1)::timestamp\n                            AT TIME ZONE 'America/Mexico_City'\n                ))\n            ) THEN\n                RAISE EXCEPTION 'payments_feerule: a fee must end today or later, after its last payment, and only once'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='46b2c4dabd63727c984aa47c9d2ac5fcc6ccc4a3', operation='INSERT OR UPDATE OR DELETE', pgid='pgtrigger_ends_and_begins_1bb1a', table='payments_feerule', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='paymenttransition',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'payments_paymenttransition is append-only: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='fe4e69332392fba37c34ca759533aaebbb50349f', level='STATEMENT', operation='UPDATE OR DELETE OR TRUNCATE', pgid='pgtrigger_append_only_4d0b6', table='payments_paymenttransition', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payouttransition',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'payments_payouttransition is append-only: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='6f35a17581e287be3617d3dfa9166a7eed5ddc96', level='STATEMENT', operation='UPDATE OR DELETE OR TRUNCATE', pgid='pgtrigger_append_only_debd0', table='payments_payouttransition', when='BEFORE')),
        ),
        migrations.AddIndex(
            model_name='payout',
            index=models.Index(models.F('merchant'), models.F('livemode'), models.OrderBy(models.F('created_at'), descending=True, nulls_last=True), models.OrderBy(models.F('id'), descending=True), name='payout_newest'),
        ),
        migrations.AddIndex(
            model_name='payout',
            index=models.Index(models.F('merchant'), models.F('livemode'), models.F('status'), models.OrderBy(models.F('created_at'), descending=True, nulls_last=True), models.OrderBy(models.F('id'), descending=True), name='payout_by_status'),
        ),
        migrations.AddIndex(
            model_name='payout',
            index=models.Index(condition=models.Q(('next_attempt_at__isnull', False)), fields=['next_attempt_at'], name='payout_due'),
        ),
        migrations.AddIndex(
            model_name='payout',
            index=models.Index(condition=models.Q(('first_sent_at__isnull', False)), fields=['provider_account', 'first_sent_at'], name='payout_sent'),
        ),
        migrations.AddIndex(
            model_name='payout',
            index=django.contrib.postgres.indexes.GinIndex(django.contrib.postgres.indexes.OpClass(models.F('merchant'), name='int8_ops'), django.contrib.postgres.indexes.OpClass(core.search.SearchText(models.F('tracking_key'), models.F('external_id'), models.F('destination_clabe'), models.F('destination_name')), name='gin_trgm_ops'), name='payout_search'),
        ),
        migrations.AddConstraint(
            model_name='payout',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gt', 0), ('fee__gte', 0), ('fee_tax__gte', 0)), name='payout_amounts_sensible'),
        ),
        migrations.AddConstraint(
            model_name='payout',
            constraint=models.CheckConstraint(condition=models.Q(('currency', 'MXN')), name='payout_currency_known'),
        ),
        migrations.AddConstraint(
            model_name='payout',
            constraint=models.CheckConstraint(condition=models.Q(('destination_clabe__regex', '^[0-9]{18}$')), name='payout_destination_is_clabe'),
        ),
        migrations.AddConstraint(
            model_name='payout',
            constraint=models.CheckConstraint(condition=models.Q(('tracking_key__regex', '^[A-Za-z0-9]{1,30}$')), name='payout_tracking_key_sendable'),
        ),
        migrations.AddConstraint(
            model_name='payout',
            constraint=models.CheckConstraint(condition=models.Q(('reference_number__gte', 1), ('reference_number__lte', 9999999)), name='payout_reference_seven_digits'),
        ),
        migrations.AddConstraint(
            model_name='payout',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['pending_approval', 'pending', 'rejected', 'cancelled']), models.Q(('first_sent_at__isnull', False), ('operating_date__isnull', False)), _connector='OR'), name='payout_sent_has_operating_date'),
        ),
        migrations.AddConstraint(
            model_name='payout',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status__in', ['completed', 'returned']), _negated=True), models.Q(('completed_at__isnull', False), ('liquidated_at__isnull', False)), _connector='OR'), name='payout_completed_was_settled'),
        ),
        migrations.AddConstraint(
            model_name='payout',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'returned'), _negated=True), ('returned_at__isnull', False), _connector='OR'), name='payout_returned_has_moment'),
        ),
        migrations.AddConstraint(
            model_name='payout',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'failed'), _negated=True), models.Q(('failure_code', ''), _negated=True), _connector='OR'), name='payout_failed_has_code'),
        ),
        migrations.AddConstraint(
            model_name='payout',
            constraint=models.UniqueConstraint(fields=('provider_account', 'tracking_key'), name='payout_tracking_key_unique'),
        ),
        migrations.AddConstraint(
            model_name='payout',
            constraint=models.UniqueConstraint(condition=models.Q(('order_id__isnull', False)), fields=('provider_account', 'order_id'), name='payout_order_unique'),
        ),
        migrations.AddConstraint(
            model_name='payout',
            constraint=models.UniqueConstraint(condition=models.Q(('external_id__isnull', False)), fields=('merchant', 'livemode', 'external_id'), name='payout_external_id_unique', opclasses=['int8_ops', 'bool_ops', 'varchar_pattern_ops']),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payout',
            trigger=pgtrigger.compiler.Trigger(name='no_delete', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'payments_payout keeps its rows: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='9fadedb6d49e67b70011507a661e648dc86666c2', level='STATEMENT', operation='DELETE OR TRUNCATE', pgid='pgtrigger_no_delete_57efb', table='payments_payout', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payout',
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('pending_approval', 'pending') THEN\n                    RAISE EXCEPTION 'payments_payout: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('cancelled', 'completed'), ('completed', 'returned'), ('failed', 'completed'), ('pending', 'cancelled'), ('pending', 'processing'), ('pending_approval', 'cancelled'), ('pending_approval', 'pending'), ('pending_approval', 'rejected'), ('processing', 'completed'), ('processing', 'failed')) THEN\n                RAISE EXCEPTION 'payments_payout: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='036f2c68df9182f6a3bd16739beb8ae342a26010', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_status_guard_00ac7', table='payments_payout', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payout',
            trigger=pgtrigger.compiler.Trigger(name='transition_recorded', sql=core.db.IndexGuardSql(condition='WHEN (OLD.status <> NEW.status)', constraint='CONSTRAINT', func="\n            IF NOT EXISTS (\n                SELECT 1 FROM public.payments_payouttransition\n                WHERE payout_id = NEW.id AND from_status = OLD.status AND to_status = NEW.status\n            ) THEN\n                RAISE EXCEPTION 'payments_payout: from % to %, and no transition row says so',\n                    OLD.status, NEW.status USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='f59564faec0714bf70d776a17bc91ddc7f752f05', operation='UPDATE OF "status"', pgid='pgtrigger_transition_recorded_9bd75', table='payments_payout', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payout',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.public_id, NEW.merchant_id, NEW.livemode, NEW.provider_account_id, NEW.kind, NEW.amount, NEW.currency, NEW.fee, NEW.fee_tax, NEW.fee_percent, NEW.fee_fixed, NEW.fee_iva, NEW.destination_clabe, NEW.destination_bank, NEW.destination_name, NEW.destination_tax_id, NEW.concept, NEW.reference_number, NEW.external_id, NEW.metadata, NEW.tracking_key, NEW.scheduled_for, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.public_id, OLD.merchant_id, OLD.livemode, OLD.provider_account_id, OLD.kind, OLD.amount, OLD.currency, OLD.fee, OLD.fee_tax, OLD.fee_percent, OLD.fee_fixed, OLD.fee_iva, OLD.destination_clabe, OLD.destination_bank, OLD.destination_name, OLD.destination_tax_id, OLD.concept, OLD.reference_number, OLD.external_id, OLD.metadata, OLD.tracking_key, OLD.scheduled_for, OLD.created_at) THEN\n                RAISE EXCEPTION 'payments_payout: id, public_id, merchant_id, livemode, provider_account_id, kind, amount, currency, fee, fee_tax, fee_percent, fee_fixed, fee_iva, destination_clabe, destination_bank, destination_name, destination_tax_id, concept, reference_number, external_id, metadata, tracking_key, scheduled_for, created_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='17d84b2abfa060ec45287a70faf1e457c44ec930', operation='UPDATE OF "id", "public_id", "merchant_id", "livemode", "provider_account_id", "kind", "amount", "currency", "fee", "fee_tax", "fee_percent", "fee_fixed", "fee_iva", "destination_clabe", "destination_bank", "destination_name", "destination_tax_id", "concept", "reference_number", "external_id", "metadata", "tracking_key", "scheduled_for", "created_at"', pgid='pgtrigger_frozen_d20af', table='payments_payout', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payout',
            trigger=pgtrigger.compiler.Trigger(name='frozen_once', sql=core.db.GuardSql(func="\n            IF (OLD.order_id IS NOT NULL) AND (NEW.order_id, NEW.operating_date) IS DISTINCT FROM (OLD.order_id, OLD.operating_date) THEN\n                RAISE EXCEPTION 'payments_payout: order_id, operating_date cannot change any more'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='6b66a0b90425d55b307a7418295e70d41802ff5a', operation='UPDATE OF "order_id", "operating_date"', pgid='pgtrigger_frozen_once_43b88', table='payments_payout', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payout',
            trigger=pgtrigger.compiler.Trigger(name='liquidated_once', sql=core.db.GuardSql(func="\n            IF (OLD.liquidated_at IS NOT NULL) AND (NEW.liquidated_at) IS DISTINCT FROM (OLD.liquidated_at) THEN\n                RAISE EXCEPTION 'payments_payout: liquidated_at cannot change any more'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='0c25ab1fe00936e7780b1e157429d3ff3c66b01c', operation='UPDATE OF "liquidated_at"', pgid='pgtrigger_liquidated_once_745a1', table='payments_payout', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payout',
            trigger=pgtrigger.compiler.Trigger(name='returned_once', sql=core.db.GuardSql(func="\n            IF (OLD.returned_at IS NOT NULL) AND (NEW.returned_at, NEW.return_cause) IS DISTINCT FROM (OLD.returned_at, OLD.return_cause) THEN\n                RAISE EXCEPTION 'payments_payout: returned_at, return_cause cannot change any more'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='7da569745e2b1faa8de8328af7a03c719d43947e', operation='UPDATE OF "returned_at", "return_cause"', pgid='pgtrigger_returned_once_858f7', table='payments_payout', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payout',
            trigger=pgtrigger.compiler.Trigger(name='with_completed', sql=core.db.GuardSql(condition="WHEN ((NEW.completed_at) IS DISTINCT FROM (OLD.completed_at) AND (NEW.status IN ('completed') AND OLD.status <> NEW.status) IS NOT TRUE)", func="\n            RAISE EXCEPTION 'payments_payout: completed_at can only change in the step to completed'\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='3e2742b1f3d109d66948d1d53061850d1d338ed7', operation='UPDATE OF "completed_at"', pgid='pgtrigger_with_completed_07339', table='payments_payout', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payout',
            trigger=pgtrigger.compiler.Trigger(name='with_failed_rejected', sql=core.db.GuardSql(condition="WHEN ((NEW.failure_code, NEW.failure_message) IS DISTINCT FROM (OLD.failure_code, OLD.failure_message) AND (NEW.status IN ('failed', 'rejected') AND OLD.status <> NEW.status) IS NOT TRUE)", func="\n            RAISE EXCEPTION 'payments_payout: failure_code, failure_message can only change in the step to failed or rejected'\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='a22f4fcc544b4bd69cdd4b40504449e496ea6305', operation='UPDATE OF "failure_code", "failure_message"', pgid='pgtrigger_with_failed_rejected_19e4e', table='payments_payout', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payout',
            trigger=pgtrigger.compiler.Trigger(name='with_cancelled', sql=core.db.GuardSql(condition="WHEN ((NEW.cancelled_at) IS DISTINCT FROM (OLD.cancelled_at) AND (NEW.status IN ('cancelled') AND OLD.status <> NEW.status) IS NOT TRUE)", func="\n            RAISE EXCEPTION 'payments_payout: cancelled_at can only change in the step to cancelled'\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='e22dcf7727239c69c25b1e605c075c01ca566c72', operation='UPDATE OF "cancelled_at"', pgid='pgtrigger_with_cancelled_9ddd0', table='payments_payout', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payout',
            trigger=pgtrigger.compiler.Trigger(name='same_mode', sql=core.db.GuardSql(func="\n                IF NOT EXISTS (\n                    SELECT 1 FROM public.payments_provideraccount WHERE id = NEW.provider_account_id AND livemode = NEW.livemode\n                ) THEN\n                    PERFORM 1 FROM public.payments_provideraccount WHERE id = NEW.provider_account_id;\n                    IF NOT FOUND THEN\n                        RAISE EXCEPTION 'payments_payout: its provider_account is not there'\n                            USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RAISE EXCEPTION 'payments_payout: its provider_account is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                RETURN NEW;", hash='65b080ad66a3e0479b177f4b57121024f6ff4bac', operation='INSERT OR UPDATE OF "provider_account_id", "livemode"', pgid='pgtrigger_same_mode_5a6cb', table='payments_payout', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payout',
            trigger=pgtrigger.compiler.Trigger(name='approved', sql=core.db.IndexGuardSql(condition="WHEN (OLD.status = 'pending_approval' AND NEW.status = 'pending')", constraint='CONSTRAINT', func="\n            IF NOT EXISTS (\n                SELECT 1 FROM public.staff_approval a\n                WHERE a.subject = NEW.public_id AND a.kind = 'payments.payout' AND a.status = 'approved'\n                    AND public.staff_approved(a.id)\n            ) THEN\n                RAISE EXCEPTION 'payments_payout: % was not approved', NEW.public_id\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='4b952d90121efea6cf99a2bd848a8875493b0b21', operation='UPDATE OF "status"', pgid='pgtrigger_approved_a35b0', table='payments_payout', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payout',
            trigger=pgtrigger.compiler.Trigger(name='in_books', sql=core.db.IndexGuardSql(constraint='CONSTRAINT', declare='DECLARE p public.payments_payout; held record; late boolean;', func="\n            SELECT * INTO p FROM public.payments_payout WHERE id = NEW.id;  -- as it is when the transaction ends\n            SELECT status, amount, merchant_id INTO held FROM public.ledger_hold WHERE source = p.public_id;\n            late := EXISTS (\n                SELECT 1 FROM public.ledger_transaction WHERE source = p.public_id AND kind LIKE '%settled_late'\n            );\n            IF held IS NULL OR held.amount <> p.amount + p.fee + p.fee_tax OR held.merchant_id <> p.merchant_id\n                OR held.status <> (CASE\n                    WHEN p.status IN ('pending_approval', 'pending', 'processing') THEN 'open'\n                    WHEN p.status IN ('completed', 'returned') AND NOT late THEN 'captured'\n                    ELSE 'released'\n                END)\n                OR (late AND p.status NOT IN ('completed', 'returned'))\n                OR (p.status = 'returned' AND NOT EXISTS (\n                    SELECT 1 FROM public.ledger_transaction WHERE source = p.public_id AND kind LIKE '%\\_returned'\n                ))\n            THEN\n                RAISE EXCEPTION 'payments_payout: % is %, and the books do not say so', p.public_id, p.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='55f2ed277e7a00dc2bcea059400e33e4d40eb7c0', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_in_books_41fa3', table='payments_payout', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        migrations.AddIndex(
            model_name='payment',
            index=models.Index(models.F('merchant'), models.F('livemode'), models.OrderBy(models.F('created_at'), descending=True, nulls_last=True), models.OrderBy(models.F('id'), descending=True), name='payment_newest'),
        ),
        migrations.AddIndex(
            model_name='payment',
            index=models.Index(models.F('merchant'), models.F('livemode'), models.F('status'), models.OrderBy(models.F('created_at'), descending=True, nulls_last=True), models.OrderBy(models.F('id'), descending=True), name='payment_by_status'),
        ),
        migrations.AddIndex(
            model_name='payment',
            index=models.Index(models.F('merchant'), models.F('livemode'), models.F('method'), models.OrderBy(models.F('created_at'), descending=True, nulls_last=True), models.OrderBy(models.F('id'), descending=True), name='payment_by_method'),
        ),
        migrations.AddIndex(
            model_name='payment',
            index=models.Index(fields=['merchant', 'livemode', 'amount'], name='payment_by_amount'),
        ),
        migrations.AddIndex(
            model_name='payment',
            index=django.contrib.postgres.indexes.GinIndex(django.contrib.postgres.indexes.OpClass(models.F('merchant'), name='int8_ops'), django.contrib.postgres.indexes.OpClass(core.search.SearchText(models.F('clabe'), models.F('voucher_reference'), models.F('order_id'), models.F('external_id'), models.F('customer_name'), models.F('customer_email'), models.F('tracking_key'), models.F('payer_name')), name='gin_trgm_ops'), name='payment_search'),
        ),
        migrations.AddIndex(
            model_name='payment',
            index=models.Index(fields=['-created_at'], name='payment_created'),
        ),
        migrations.AddIndex(
            model_name='payment',
            index=models.Index(condition=models.Q(('status__in', ['pending', 'processing'])), fields=['expires_at'], name='payment_waiting'),
        ),
        migrations.AddConstraint(
            model_name='payment',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='payment_amount_positive'),
        ),
        migrations.AddConstraint(
            model_name='payment',
            constraint=models.CheckConstraint(condition=models.Q(('currency', 'MXN')), name='payment_currency_known'),
        ),
        migrations.AddConstraint(
            model_name='payment',
            constraint=models.CheckConstraint(condition=models.Q(('amount_received__gte', 0), ('fee__gte', 0), ('fee_tax__gte', 0), ('amount_received__gte', django.db.models.expressions.CombinedExpression(models.F('fee'), '+', models.F('fee_tax')))), name='payment_fee_within_received'),
        ),
        migrations.AddConstraint(
            model_name='payment',
            constraint=models.CheckConstraint(condition=models.Q(('amount_refunded__gte', 0), ('amount_refunded__lte', models.F('amount_received'))), name='payment_refunds_within_received'),
        ),
        migrations.AddConstraint(
            model_name='payment',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('method', 'spei'), _negated=True), ('clabe__isnull', False), ('made_by', 'staff'), _connector='OR'), name='payment_spei_has_clabe'),
        ),
        migrations.AddConstraint(
            model_name='payment',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('made_by', 'clabe'), ('reusable_clabe__isnull', False)), models.Q(models.Q(('made_by', 'clabe'), _negated=True), ('reusable_clabe__isnull', True)), _connector='OR'), name='payment_reusable_clabe_made_it'),
        ),
        migrations.AddConstraint(
            model_name='payment',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'cancelled'), _negated=True), ('cancelled_at__isnull', False), _connector='OR'), name='payment_cancelled_has_moment'),
        ),
        migrations.AddConstraint(
            model_name='payment',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['completed', 'reversed']), ('amount_received', 0), _connector='OR'), name='payment_unpaid_has_no_money'),
        ),
        migrations.AddConstraint(
            model_name='payment',
            constraint=models.UniqueConstraint(condition=models.Q(('clabe__isnull', False), ('made_by', 'request')), fields=('clabe',), name='payment_clabe_unique'),
        ),
        migrations.AddConstraint(
            model_name='payment',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'completed'), _negated=True), models.Q(('amount_received__gt', 0), ('completed_at__isnull', False)), _connector='OR'), name='payment_completed_has_money'),
        ),
        migrations.AddConstraint(
            model_name='payment',
            constraint=models.UniqueConstraint(condition=models.Q(('external_id__isnull', False)), fields=('merchant', 'livemode', 'external_id'), name='payment_external_id_unique', opclasses=['int8_ops', 'bool_ops', 'varchar_pattern_ops']),
        ),
        migrations.AddConstraint(
            model_name='payment',
            constraint=models.UniqueConstraint(condition=models.Q(('order_id__isnull', False)), fields=('provider_account', 'order_id'), name='payment_order_unique'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payment',
            trigger=pgtrigger.compiler.Trigger(name='no_delete', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'payments_payment keeps its rows: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='0e71e03147b20763d91483229570fdf60d760209', level='STATEMENT', operation='DELETE OR TRUNCATE', pgid='pgtrigger_no_delete_386bf', table='payments_payment', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payment',
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('pending') THEN\n                    RAISE EXCEPTION 'payments_payment: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('cancelled', 'completed'), ('completed', 'reversed'), ('expired', 'completed'), ('pending', 'cancelled'), ('pending', 'completed'), ('pending', 'expired'), ('pending', 'failed'), ('pending', 'processing'), ('processing', 'cancelled'), ('processing', 'completed'), ('processing', 'expired'), ('processing', 'failed')) THEN\n                RAISE EXCEPTION 'payments_payment: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='2457194abb6606f50b9cf66447fe4b2eb55947b9', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_status_guard_05abf', table='payments_payment', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payment',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.public_id, NEW.merchant_id, NEW.livemode, NEW.provider_account_id, NEW.method, NEW.amount, NEW.currency, NEW.clabe, NEW.reference_number, NEW.fee_percent, NEW.fee_fixed, NEW.fee_iva, NEW.made_by, NEW.reusable_clabe_id, NEW.description, NEW.external_id, NEW.customer_name, NEW.customer_email, NEW.customer_phone, NEW.metadata, NEW.expires_at, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.public_id, OLD.merchant_id, OLD.livemode, OLD.provider_account_id, OLD.method, OLD.amount, OLD.currency, OLD.clabe, OLD.reference_number, OLD.fee_percent, OLD.fee_fixed, OLD.fee_iva, OLD.made_by, OLD.reusable_clabe_id, OLD.description, OLD.external_id, OLD.customer_name, OLD.customer_email, OLD.customer_phone, OLD.metadata, OLD.expires_at, OLD.created_at) THEN\n                RAISE EXCEPTION 'payments_payment: id, public_id, merchant_id, livemode, provider_account_id, method, amount, currency, clabe, reference_number, fee_percent, fee_fixed, fee_iva, made_by, reusable_clabe_id, description, external_id, customer_name, customer_email, customer_phone, metadata, expires_at, created_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='56903b50f48d6bac01c294427b56a17f96f6fcbe', operation='UPDATE OF "id", "public_id", "merchant_id", "livemode", "provider_account_id", "method", "amount", "currency", "clabe", "reference_number", "fee_percent", "fee_fixed", "fee_iva", "made_by", "reusable_clabe_id", "description", "external_id", "customer_name", "customer_email", "customer_phone", "metadata", "expires_at", "created_at"', pgid='pgtrigger_frozen_d1f35', table='payments_payment', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payment',
            trigger=pgtrigger.compiler.Trigger(name='frozen_once', sql=core.db.GuardSql(func="\n            IF (OLD.method <> 'oxxo' OR OLD.order_id IS NOT NULL) AND (NEW.order_id, NEW.voucher_reference, NEW.voucher_barcode_url, NEW.voucher_store_name) IS DISTINCT FROM (OLD.order_id, OLD.voucher_reference, OLD.voucher_barcode_url, OLD.voucher_store_name) THEN\n                RAISE EXCEPTION 'payments_payment: order_id, voucher_reference, voucher_barcode_url, voucher_store_name cannot change any more'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='cbcd5893bd12f465bd9ad6839c53c4789413a77f', operation='UPDATE OF "order_id", "voucher_reference", "voucher_barcode_url", "voucher_store_name"', pgid='pgtrigger_frozen_once_ba065', table='payments_payment', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payment',
            trigger=pgtrigger.compiler.Trigger(name='with_cancelled', sql=core.db.GuardSql(condition="WHEN ((NEW.cancelled_at) IS DISTINCT FROM (OLD.cancelled_at) AND (NEW.status IN ('cancelled') AND OLD.status <> NEW.status) IS NOT TRUE)", func="\n            RAISE EXCEPTION 'payments_payment: cancelled_at can only change in the step to cancelled'\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='d68974fe57299b30b4de034fc073b773e7cd01b9', operation='UPDATE OF "cancelled_at"', pgid='pgtrigger_with_cancelled_57855', table='payments_payment', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payment',
            trigger=pgtrigger.compiler.Trigger(name='with_failed', sql=core.db.GuardSql(condition="WHEN ((NEW.failure_code, NEW.failure_message) IS DISTINCT FROM (OLD.failure_code, OLD.failure_message) AND (NEW.status IN ('failed') AND OLD.status <> NEW.status) IS NOT TRUE)", func="\n            RAISE EXCEPTION 'payments_payment: failure_code, failure_message can only change in the step to failed'\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='8f140446cd051fc37d3efad5520139b63b9725ab', operation='UPDATE OF "failure_code", "failure_message"', pgid='pgtrigger_with_failed_02d43', table='payments_payment', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payment',
            trigger=pgtrigger.compiler.Trigger(name='with_completed', sql=core.db.GuardSql(condition="WHEN ((NEW.completed_at, NEW.tracking_key, NEW.payer_name, NEW.payer_account, NEW.payer_institution, NEW.operating_date) IS DISTINCT FROM (OLD.completed_at, OLD.tracking_key, OLD.payer_name, OLD.payer_account, OLD.payer_institution, OLD.operating_date) AND (NEW.status IN ('completed') AND OLD.status <> NEW.status) IS NOT TRUE)", func="\n            RAISE EXCEPTION 'payments_payment: completed_at, tracking_key, payer_name, payer_account, payer_institution, operating_date can only change in the step to completed'\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='b62f0a4f6ba108afc4228cc935ba9bd9b439b6bd', operation='UPDATE OF "completed_at", "tracking_key", "payer_name", "payer_account", "payer_institution", "operating_date"', pgid='pgtrigger_with_completed_8c48a', table='payments_payment', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payment',
            trigger=pgtrigger.compiler.Trigger(name='same_mode', sql=core.db.GuardSql(func="\n                IF NOT EXISTS (\n                    SELECT 1 FROM public.payments_provideraccount WHERE id = NEW.provider_account_id AND livemode = NEW.livemode\n                ) THEN\n                    PERFORM 1 FROM public.payments_provideraccount WHERE id = NEW.provider_account_id;\n                    IF NOT FOUND THEN\n                        RAISE EXCEPTION 'payments_payment: its provider_account is not there'\n                            USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RAISE EXCEPTION 'payments_payment: its provider_account is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                IF NEW.reusable_clabe_id IS NOT NULL THEN \n                IF NOT EXISTS (\n                    SELECT 1 FROM public.payments_clabe WHERE id = NEW.reusable_clabe_id AND livemode = NEW.livemode\n                ) THEN\n                    PERFORM 1 FROM public.payments_clabe WHERE id = NEW.reusable_clabe_id;\n                    IF NOT FOUND THEN\n                        RAISE EXCEPTION 'payments_payment: its reusable_clabe is not there'\n                            USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RAISE EXCEPTION 'payments_payment: its reusable_clabe is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                 END IF;RETURN NEW;", hash='3de126606cf50dd35a19a117e3b72ef6983e1d93', operation='INSERT OR UPDATE OF "provider_account_id", "reusable_clabe_id", "livemode"', pgid='pgtrigger_same_mode_58d73', table='payments_payment', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payment',
            trigger=pgtrigger.compiler.Trigger(name='figures_match', sql=core.db.IndexGuardSql(condition='WHEN (OLD."amount_received" IS DISTINCT FROM (NEW."amount_received") OR OLD."fee" IS DISTINCT FROM (NEW."fee") OR OLD."fee_tax" IS DISTINCT FROM (NEW."fee_tax"))', constraint='CONSTRAINT', func="\n            IF EXISTS (\n                SELECT 1 FROM public.payments_payment p CROSS JOIN LATERAL (\n                    SELECT coalesce(sum(amount), 0) AS amount, coalesce(sum(fee), 0) AS fee,\n                        coalesce(sum(fee_tax), 0) AS fee_tax\n                    FROM public.payments_deposit WHERE payment_id = p.id AND status = 'credited'\n                ) d\n                WHERE p.id = NEW.id\n                    AND (p.amount_received, p.fee, p.fee_tax) IS DISTINCT FROM (d.amount, d.fee, d.fee_tax)\n            ) THEN\n                RAISE EXCEPTION 'payments_payment: amounts differ from those of its credited deposits'\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='07f6c21afd5ba5d2f4519a62c0a2fa52026c3dcd', operation='UPDATE', pgid='pgtrigger_figures_match_a3f6b', table='payments_payment', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payment',
            trigger=pgtrigger.compiler.Trigger(name='refunds_behind', sql=core.db.IndexGuardSql(condition="WHEN (NEW.amount_refunded <> OLD.amount_refunded OR (NEW.status = 'reversed' AND OLD.status <> NEW.status))", constraint='CONSTRAINT', func="\n            IF EXISTS (\n                SELECT 1 FROM public.payments_payment p WHERE p.id = NEW.id\n                    AND (p.amount_refunded <> (0) OR (p.status = 'reversed' AND NOT (false)))\n            ) THEN\n                RAISE EXCEPTION 'payments_payment: no refund for % refunded and status %',\n                    NEW.amount_refunded, NEW.status USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='831158f455e7792d125ceaf8e8f7c6b2238e8719', operation='UPDATE OF "amount_refunded", "status"', pgid='pgtrigger_refunds_behind_accbe', table='payments_payment', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        migrations.AddIndex(
            model_name='deposit',
            index=models.Index(fields=['-created_at'], name='deposit_created'),
        ),
        migrations.AddIndex(
            model_name='deposit',
            index=models.Index(condition=models.Q(('status', 'credited'), _negated=True), fields=['-created_at'], name='deposit_stray'),
        ),
        migrations.AddIndex(
            model_name='deposit',
            index=django.contrib.postgres.indexes.GinIndex(django.contrib.postgres.indexes.OpClass(core.search.SearchText(models.F('clabe'), models.F('tracking_key'), models.F('payer_name'), models.F('concept')), name='gin_trgm_ops'), condition=models.Q(('status', 'credited'), _negated=True), name='deposit_search'),
        ),
        migrations.AddConstraint(
            model_name='deposit',
            constraint=models.UniqueConstraint(fields=('provider_account', 'deposit_key'), name='deposit_key_unique'),
        ),
        migrations.AddConstraint(
            model_name='deposit',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='deposit_amount_positive'),
        ),
        migrations.AddConstraint(
            model_name='deposit',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'credited'), _negated=True), ('payment__isnull', False), _connector='OR'), name='deposit_credited_has_payment'),
        ),
        migrations.AddConstraint(
            model_name='deposit',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'suspended'), _negated=True), models.Q(('suspense_reason', ''), _negated=True), _connector='OR'), name='deposit_suspended_has_reason'),
        ),
        migrations.AddConstraint(
            model_name='deposit',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gte', django.db.models.expressions.CombinedExpression(models.F('fee'), '+', models.F('fee_tax'))), ('fee__gte', 0), ('fee_tax__gte', 0)), name='deposit_fee_within_amount'),
        ),
        migrations.AddConstraint(
            model_name='deposit',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'suspended'), _negated=True), models.Q(('fee', 0), ('fee_tax', 0)), _connector='OR'), name='deposit_suspended_has_no_fee'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='deposit',
            trigger=pgtrigger.compiler.Trigger(name='no_delete', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'payments_deposit keeps its rows: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='08c63694ddafc9a2115f325a2e90635512c6a79f', level='STATEMENT', operation='DELETE OR TRUNCATE', pgid='pgtrigger_no_delete_89d67', table='payments_deposit', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='deposit',
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('credited', 'suspended') THEN\n                    RAISE EXCEPTION 'payments_deposit: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('received', 'credited'), ('received', 'suspended'), ('suspended', 'credited')) THEN\n                RAISE EXCEPTION 'payments_deposit: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='98882bf870a7bf578b41885e95cf8a8e52076b10', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_status_guard_178db', table='payments_deposit', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='deposit',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.public_id, NEW.provider_account_id, NEW.livemode, NEW.deposit_key, NEW.amount, NEW.currency, NEW.paid_at, NEW.operating_date, NEW.clabe, NEW.tracking_key, NEW.concept, NEW.payer_name, NEW.payer_account, NEW.payer_institution, NEW.suspense_reason, NEW.provider_event, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.public_id, OLD.provider_account_id, OLD.livemode, OLD.deposit_key, OLD.amount, OLD.currency, OLD.paid_at, OLD.operating_date, OLD.clabe, OLD.tracking_key, OLD.concept, OLD.payer_name, OLD.payer_account, OLD.payer_institution, OLD.suspense_reason, OLD.provider_event, OLD.created_at) THEN\n                RAISE EXCEPTION 'payments_deposit: id, public_id, provider_account_id, livemode, deposit_key, amount, currency, paid_at, operating_date, clabe, tracking_key, concept, payer_name, payer_account, payer_institution, suspense_reason, provider_event, created_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='771b91573c854a1948f3e4146f990b03d0b2ceaf', operation='UPDATE OF "id", "public_id", "provider_account_id", "livemode", "deposit_key", "amount", "currency", "paid_at", "operating_date", "clabe", "tracking_key", "concept", "payer_name", "payer_account", "payer_institution", "suspense_reason", "provider_event", "created_at"', pgid='pgtrigger_frozen_188a0', table='payments_deposit', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='deposit',
            trigger=pgtrigger.compiler.Trigger(name='with_credited', sql=core.db.GuardSql(condition="WHEN ((NEW.payment_id, NEW.reusable_clabe_id, NEW.fee, NEW.fee_tax) IS DISTINCT FROM (OLD.payment_id, OLD.reusable_clabe_id, OLD.fee, OLD.fee_tax) AND (NEW.status IN ('credited') AND OLD.status <> NEW.status) IS NOT TRUE)", func="\n            RAISE EXCEPTION 'payments_deposit: payment_id, reusable_clabe_id, fee, fee_tax can only change in the step to credited'\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='b84bc803d462d473c2631ab095e31ea5168a00d9', operation='UPDATE OF "payment_id", "reusable_clabe_id", "fee", "fee_tax"', pgid='pgtrigger_with_credited_31035', table='payments_deposit', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='deposit',
            trigger=pgtrigger.compiler.Trigger(name='same_mode', sql=core.db.GuardSql(func="\n                IF NOT EXISTS (\n                    SELECT 1 FROM public.payments_provideraccount WHERE id = NEW.provider_account_id AND livemode = NEW.livemode\n                ) THEN\n                    PERFORM 1 FROM public.payments_provideraccount WHERE id = NEW.provider_account_id;\n                    IF NOT FOUND THEN\n                        RAISE EXCEPTION 'payments_deposit: its provider_account is not there'\n                            USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RAISE EXCEPTION 'payments_deposit: its provider_account is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                IF NEW.payment_id IS NOT NULL THEN \n                IF NOT EXISTS (\n                    SELECT 1 FROM public.payments_payment WHERE id = NEW.payment_id AND livemode = NEW.livemode\n                ) THEN\n                    PERFORM 1 FROM public.payments_payment WHERE id = NEW.payment_id;\n                    IF NOT FOUND THEN\n                        RAISE EXCEPTION 'payments_deposit: its payment is not there'\n                            USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RAISE EXCEPTION 'payments_deposit: its payment is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                 END IF;IF NEW.reusable_clabe_id IS NOT NULL THEN \n                IF NOT EXISTS (\n                    SELECT 1 FROM public.payments_clabe WHERE id = NEW.reusable_clabe_id AND livemode = NEW.livemode\n                ) THEN\n                    PERFORM 1 FROM public.payments_clabe WHERE id = NEW.reusable_clabe_id;\n                    IF NOT FOUND THEN\n                        RAISE EXCEPTION 'payments_deposit: its reusable_clabe is not there'\n                            USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RAISE EXCEPTION 'payments_deposit: its reusable_clabe is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                 END IF;RETURN NEW;", hash='5f25f2e369d098bb433db692c1c1a90d96298fb8', operation='INSERT OR UPDATE OF "provider_account_id", "payment_id", "reusable_clabe_id", "livemode"', pgid='pgtrigger_same_mode_84800', table='payments_deposit', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='deposit',
            trigger=pgtrigger.compiler.Trigger(name='figures_match', sql=core.db.IndexGuardSql(condition="WHEN (NEW.status = 'credited')", constraint='CONSTRAINT', func="\n            IF EXISTS (\n                SELECT 1 FROM public.payments_payment p CROSS JOIN LATERAL (\n                    SELECT coalesce(sum(amount), 0) AS amount, coalesce(sum(fee), 0) AS fee,\n                        coalesce(sum(fee_tax), 0) AS fee_tax\n                    FROM public.payments_deposit WHERE payment_id = p.id AND status = 'credited'\n                ) d\n                WHERE p.id = NEW.payment_id\n                    AND (p.amount_received, p.fee, p.fee_tax) IS DISTINCT FROM (d.amount, d.fee, d.fee_tax)\n            ) THEN\n                RAISE EXCEPTION 'payments_payment: amounts differ from those of its credited deposits'\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='3a69cffa07abbe3419e4966b41ae5cd89b44bf0c', operation='INSERT OR UPDATE', pgid='pgtrigger_figures_match_2a424', table='payments_deposit', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='deposit',
            trigger=pgtrigger.compiler.Trigger(name='in_books', sql=core.db.IndexGuardSql(constraint='CONSTRAINT', func="\n            IF NOT EXISTS (\n                SELECT 1 FROM public.ledger_transaction WHERE source = NEW.public_id AND kind IN (\n                    CASE WHEN TG_OP = 'UPDATE' THEN 'suspense_assigned'\n                        WHEN NEW.status = 'suspended' THEN 'deposit_suspended' ELSE 'spei_deposit' END,\n                    CASE WHEN TG_OP = 'INSERT' AND NEW.status = 'credited' THEN 'oxxo_paid' END\n                )\n            ) THEN\n                RAISE EXCEPTION 'payments_deposit: % is %, without its ledger posting', NEW.public_id, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='6e0ca77631b3a4ee044ad870a64cbb8c97f27fc7', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_in_books_43823', table='payments_deposit', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='deposit',
            trigger=pgtrigger.compiler.Trigger(name='has_case', sql=core.db.IndexGuardSql(condition="WHEN (NEW.status = 'suspended')", constraint='CONSTRAINT', func="\n            IF NOT EXISTS (SELECT 1 FROM public.payments_reviewcase WHERE deposit_id = NEW.id) THEN\n                RAISE EXCEPTION 'payments_deposit: money in suspense needs a review case'\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='d1e9b6d3f7c2b6ca41148393e64020f78f5b9462', operation='INSERT', pgid='pgtrigger_has_case_72ba0', table='payments_deposit', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        migrations.AddIndex(
            model_name='clabe',
            index=models.Index(fields=['merchant', 'livemode', '-id'], name='clabe_list'),
        ),
        migrations.AddConstraint(
            model_name='clabe',
            constraint=models.CheckConstraint(condition=models.Q(('clabe__regex', '^646180[0-9]{12}$')), name='clabe_is_one_of_ours'),
        ),
        migrations.AddConstraint(
            model_name='clabe',
            constraint=models.CheckConstraint(condition=models.Q(('min_amount__isnull', True), ('min_amount__gt', 0), _connector='OR'), name='clabe_least_positive'),
        ),
        migrations.AddConstraint(
            model_name='clabe',
            constraint=models.CheckConstraint(condition=models.Q(('max_amount__isnull', True), ('max_amount__gt', 0), _connector='OR'), name='clabe_most_positive'),
        ),
        migrations.AddConstraint(
            model_name='clabe',
            constraint=models.CheckConstraint(condition=models.Q(('min_amount__isnull', True), ('max_amount__isnull', True), ('min_amount__lte', models.F('max_amount')), _connector='OR'), name='clabe_range_not_empty'),
        ),
        migrations.AddConstraint(
            model_name='clabe',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('closed_at__isnull', False), ('status', 'closed')), models.Q(('closed_at__isnull', True), ('status', 'active')), _connector='OR'), name='clabe_closed_has_moment'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='clabe',
            trigger=pgtrigger.compiler.Trigger(name='no_delete', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'payments_clabe keeps its rows: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='fe3facddbb36a4d23b2fb4f14daaca1ee663f0b8', level='STATEMENT', operation='DELETE OR TRUNCATE', pgid='pgtrigger_no_delete_e99aa', table='payments_clabe', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='clabe',
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('active') THEN\n                    RAISE EXCEPTION 'payments_clabe: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('active', 'closed')) THEN\n                RAISE EXCEPTION 'payments_clabe: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='a39993b0a6721859d99e0bf7a047ea06f6c13d19', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_status_guard_3195e', table='payments_clabe', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='clabe',
            trigger=pgtrigger.compiler.Trigger(name='transition_recorded', sql=core.db.IndexGuardSql(condition='WHEN (OLD.status <> NEW.status)', constraint='CONSTRAINT', func="\n            IF NOT EXISTS (\n                SELECT 1 FROM public.payments_clabetransition\n                WHERE clabe_id = NEW.id AND from_status = OLD.status AND to_status = NEW.status\n            ) THEN\n                RAISE EXCEPTION 'payments_clabe: from % to %, and no transition row says so',\n                    OLD.status, NEW.status USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='43d2b19e9f7fd65d82079aaa8d754163868e3b4d', operation='UPDATE OF "status"', pgid='pgtrigger_transition_recorded_2a3f3', table='payments_clabe', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='clabe',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.public_id, NEW.merchant_id, NEW.livemode, NEW.provider_account_id, NEW.clabe, NEW.label, NEW.customer_name, NEW.customer_email, NEW.customer_phone, NEW.metadata, NEW.min_amount, NEW.max_amount, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.public_id, OLD.merchant_id, OLD.livemode, OLD.provider_account_id, OLD.clabe, OLD.label, OLD.customer_name, OLD.customer_email, OLD.customer_phone, OLD.metadata, OLD.min_amount, OLD.max_amount, OLD.created_at) THEN\n                RAISE EXCEPTION 'payments_clabe: id, public_id, merchant_id, livemode, provider_account_id, clabe, label, customer_name, customer_email, customer_phone, metadata, min_amount, max_amount, created_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='57ccbd3e133cbb580367d0e6a45b73d4578fa11f', operation='UPDATE OF "id", "public_id", "merchant_id", "livemode", "provider_account_id", "clabe", "label", "customer_name", "customer_email", "customer_phone", "metadata", "min_amount", "max_amount", "created_at"', pgid='pgtrigger_frozen_6ca11', table='payments_clabe', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='clabe',
            trigger=pgtrigger.compiler.Trigger(name='with_closed', sql=core.db.GuardSql(condition="WHEN ((NEW.closed_at) IS DISTINCT FROM (OLD.closed_at) AND (NEW.status IN ('closed') AND OLD.status <> NEW.status) IS NOT TRUE)", func="\n            RAISE EXCEPTION 'payments_clabe: closed_at can only change in the step to closed'\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='c91e0a3fc0ab0089a1e4440a85f256e71ec82338', operation='UPDATE OF "closed_at"', pgid='pgtrigger_with_closed_2ac3c', table='payments_clabe', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='clabe',
            trigger=pgtrigger.compiler.Trigger(name='same_mode', sql=core.db.GuardSql(func="\n                IF NOT EXISTS (\n                    SELECT 1 FROM public.payments_provideraccount WHERE id = NEW.provider_account_id AND livemode = NEW.livemode\n                ) THEN\n                    PERFORM 1 FROM public.payments_provideraccount WHERE id = NEW.provider_account_id;\n                    IF NOT FOUND THEN\n                        RAISE EXCEPTION 'payments_clabe: its provider_account is not there'\n                            USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RAISE EXCEPTION 'payments_clabe: its provider_account is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                RETURN NEW;", hash='f75616dd65dccea5da69d189d5ffcaea6c1f0776', operation='INSERT OR UPDATE OF "provider_account_id", "livemode"', pgid='pgtrigger_same_mode_4cb58', table='payments_clabe', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='providerbalance',
            trigger=pgtrigger.compiler.Trigger(name='no_delete', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'payments_providerbalance keeps its rows: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='df4632df2aa5991887610d9ab5045f3a5409a5f9', level='STATEMENT', operation='DELETE OR TRUNCATE', pgid='pgtrigger_no_delete_81cc5', table='payments_providerbalance', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='providerbalance',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.account_id) IS DISTINCT FROM (OLD.id, OLD.account_id) THEN\n                RAISE EXCEPTION 'payments_providerbalance: id, account_id cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='4b26533291b239b442e3669a6d8180b7a9be3337', operation='UPDATE OF "id", "account_id"', pgid='pgtrigger_frozen_f3987', table='payments_providerbalance', when='BEFORE')),
        ),
        migrations.AddIndex(
            model_name='providercall',
            index=models.Index(condition=models.Q(('object_id', ''), _negated=True), fields=['object_id', 'id'], name='provider_call_about'),
        ),
        migrations.AddConstraint(
            model_name='providercall',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('answer', ''), ('duration_ms__isnull', True), ('outcome', ''), ('status__isnull', True)), models.Q(('duration_ms__isnull', False), ('outcome__in', ['accepted', 'refused', 'not_sent', 'unknown'])), _connector='OR'), name='provider_call_filled_at_once'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='providercall',
            trigger=pgtrigger.compiler.Trigger(name='no_delete', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'payments_providercall keeps its rows: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='f1c2d7c564e0f5f788375db389a5775ed8e2d266', level='STATEMENT', operation='DELETE OR TRUNCATE', pgid='pgtrigger_no_delete_0aebb', table='payments_providercall', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='providercall',
            trigger=pgtrigger.compiler.Trigger(name='filled_once', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.outcome <> '' THEN\n                    RAISE EXCEPTION 'payments_providercall: outcome must be empty in a new row'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF OLD.outcome <> '' OR NEW.outcome = '' OR (NEW.id, NEW.account_id, NEW.livemode, NEW.operation, NEW.object_id, NEW.request, NEW.began_at) IS DISTINCT FROM (OLD.id, OLD.account_id, OLD.livemode, OLD.operation, OLD.object_id, OLD.request, OLD.began_at) THEN\n                RAISE EXCEPTION 'payments_providercall: outcome is filled in once, and no other column changes'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='abed9797f348e701103ad9bc83035634554cb417', operation='INSERT OR UPDATE', pgid='pgtrigger_filled_once_10ef9', table='payments_providercall', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='providercall',
            trigger=pgtrigger.compiler.Trigger(name='same_mode', sql=core.db.GuardSql(func="\n                IF NOT EXISTS (\n                    SELECT 1 FROM public.payments_provideraccount WHERE id = NEW.account_id AND livemode = NEW.livemode\n                ) THEN\n                    PERFORM 1 FROM public.payments_provideraccount WHERE id = NEW.account_id;\n                    IF NOT FOUND THEN\n                        RAISE EXCEPTION 'payments_providercall: its account is not there'\n                            USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RAISE EXCEPTION 'payments_providercall: its account is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                RETURN NEW;", hash='9fbee27164c918458f73e44960a25c6125d4a16d', operation='INSERT OR UPDATE OF "account_id", "livemode"', pgid='pgtrigger_same_mode_1596c', table='payments_providercall', when='BEFORE')),
        ),
        migrations.AddConstraint(
            model_name='providerquota',
            constraint=models.UniqueConstraint(fields=('account', 'name', 'hour'), name='provider_quota_unique'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='providerquota',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.account_id, NEW.name, NEW.hour) IS DISTINCT FROM (OLD.id, OLD.account_id, OLD.name, OLD.hour) THEN\n                RAISE EXCEPTION 'payments_providerquota: id, account_id, name, hour cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='09cdf0c579ce59eafd58082990aea5e89f5d3166', operation='UPDATE OF "id", "account_id", "name", "hour"', pgid='pgtrigger_frozen_a52e8', table='payments_providerquota', when='BEFORE')),
        ),
        migrations.AddIndex(
            model_name='report',
            index=models.Index(fields=['merchant', 'livemode', '-id'], name='report_list'),
        ),
        migrations.AddIndex(
            model_name='report',
            index=models.Index(condition=models.Q(('status__in', ['pending', 'processing'])), fields=['id'], name='report_unfinished'),
        ),
        migrations.AddIndex(
            model_name='report',
            index=models.Index(condition=models.Q(('removed_at', None), ('status', 'completed')), fields=['expires_at'], name='report_kept'),
        ),
        migrations.AddConstraint(
            model_name='report',
            constraint=models.CheckConstraint(condition=models.Q(('end_date__gte', models.F('start_date'))), name='report_days_in_order'),
        ),
        migrations.AddConstraint(
            model_name='report',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'completed'), _negated=True), models.Q(('completed_at__isnull', False), ('expires_at__isnull', False), ('size__isnull', False)), _connector='OR'), name='report_completed_has_file'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='report',
            trigger=pgtrigger.compiler.Trigger(name='no_delete', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'payments_report keeps its rows: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='052b340c498571908e39f43542b448e8c32b3766', level='STATEMENT', operation='DELETE OR TRUNCATE', pgid='pgtrigger_no_delete_4d762', table='payments_report', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='report',
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('pending') THEN\n                    RAISE EXCEPTION 'payments_report: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('pending', 'failed'), ('pending', 'processing'), ('processing', 'completed'), ('processing', 'failed')) THEN\n                RAISE EXCEPTION 'payments_report: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='99e0b2a840f3ddbd6615180043228cee7da21ef0', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_status_guard_69fed', table='payments_report', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='report',
            trigger=pgtrigger.compiler.Trigger(name='transition_recorded', sql=core.db.IndexGuardSql(condition='WHEN (OLD.status <> NEW.status)', constraint='CONSTRAINT', func="\n            IF NOT EXISTS (\n                SELECT 1 FROM public.payments_reporttransition\n                WHERE report_id = NEW.id AND from_status = OLD.status AND to_status = NEW.status\n            ) THEN\n                RAISE EXCEPTION 'payments_report: from % to %, and no transition row says so',\n                    OLD.status, NEW.status USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='000928bc99108296c7d72e247ff6ac60fbf13a4b', operation='UPDATE OF "status"', pgid='pgtrigger_transition_recorded_b2d4c', table='payments_report', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='report',
            trigger=pgtrigger.compiler.Trigger(name='with_file', sql=core.db.GuardSql(condition="WHEN ((NEW.status) IS DISTINCT FROM (OLD.status) AND (NEW.status IS DISTINCT FROM 'completed' OR (OLD.leased_until IS NOT NULL AND OLD.attempt > 0 AND NEW.attempt = OLD.attempt AND NEW.size > 0 AND NEW.sha256 ~ '^[0-9a-f]{64}$' AND NEW.rows_done = NEW.rows_total AND NEW.expires_at > NEW.completed_at)) IS NOT TRUE)", func="\n            RAISE EXCEPTION 'payments_report: status can become completed only by the writer that holds the lease, with the size and hash of its file'\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='636808023264105b0cfbcbeeeb198d03be113035', operation='UPDATE OF "status"', pgid='pgtrigger_with_file_88f9c', table='payments_report', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='report',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.public_id, NEW.merchant_id, NEW.livemode, NEW.type, NEW.format, NEW.start_date, NEW.end_date, NEW.metadata, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.public_id, OLD.merchant_id, OLD.livemode, OLD.type, OLD.format, OLD.start_date, OLD.end_date, OLD.metadata, OLD.created_at) THEN\n                RAISE EXCEPTION 'payments_report: id, public_id, merchant_id, livemode, type, format, start_date, end_date, metadata, created_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='6e425e922024f1a3f95124dac543370accea39b3', operation='UPDATE OF "id", "public_id", "merchant_id", "livemode", "type", "format", "start_date", "end_date", "metadata", "created_at"', pgid='pgtrigger_frozen_56f16', table='payments_report', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='report',
            trigger=pgtrigger.compiler.Trigger(name='frozen_once', sql=core.db.GuardSql(func="\n            IF (OLD.status IN ('completed', 'failed')) AND (NEW.rows_done, NEW.rows_total, NEW.attempt, NEW.leased_until) IS DISTINCT FROM (OLD.rows_done, OLD.rows_total, OLD.attempt, OLD.leased_until) THEN\n                RAISE EXCEPTION 'payments_report: rows_done, rows_total, attempt, leased_until cannot change any more'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='7f2c17a44cd54263c5ce45871c0385bd7f152557', operation='UPDATE OF "rows_done", "rows_total", "attempt", "leased_until"', pgid='pgtrigger_frozen_once_6122f', table='payments_report', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='report',
            trigger=pgtrigger.compiler.Trigger(name='with_completed', sql=core.db.GuardSql(condition="WHEN ((NEW.size, NEW.sha256, NEW.expires_at) IS DISTINCT FROM (OLD.size, OLD.sha256, OLD.expires_at) AND (NEW.status IN ('completed') AND OLD.status <> NEW.status) IS NOT TRUE)", func="\n            RAISE EXCEPTION 'payments_report: size, sha256, expires_at can only change in the step to completed'\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='6a51de4a3145301f28390e27e6dda5ecdfb40fe7', operation='UPDATE OF "size", "sha256", "expires_at"', pgid='pgtrigger_with_completed_cb864', table='payments_report', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='report',
            trigger=pgtrigger.compiler.Trigger(name='with_failed', sql=core.db.GuardSql(condition="WHEN ((NEW.failure_code, NEW.failure_message) IS DISTINCT FROM (OLD.failure_code, OLD.failure_message) AND (NEW.status IN ('failed') AND OLD.status <> NEW.status) IS NOT TRUE)", func="\n            RAISE EXCEPTION 'payments_report: failure_code, failure_message can only change in the step to failed'\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='abff05c539cf5b82b37f5eddaafea774d5737560', operation='UPDATE OF "failure_code", "failure_message"', pgid='pgtrigger_with_failed_899db', table='payments_report', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='report',
            trigger=pgtrigger.compiler.Trigger(name='with_completed_failed', sql=core.db.GuardSql(condition="WHEN ((NEW.completed_at) IS DISTINCT FROM (OLD.completed_at) AND (NEW.status IN ('completed', 'failed') AND OLD.status <> NEW.status) IS NOT TRUE)", func="\n            RAISE EXCEPTION 'payments_report: completed_at can only change in the step to completed or failed'\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='bf4ce60b9f7f21b8d8b577518a7449863c884203', operation='UPDATE OF "completed_at"', pgid='pgtrigger_with_completed_failed_341a8', table='payments_report', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='report',
            trigger=pgtrigger.compiler.Trigger(name='removed_late', sql=core.db.GuardSql(condition='WHEN ((NEW.removed_at) IS DISTINCT FROM (OLD.removed_at) AND (OLD.removed_at IS NULL AND NEW.removed_at >= OLD.expires_at) IS NOT TRUE)', func="\n            RAISE EXCEPTION 'payments_report: removed_at can only be set once, after the file has expired'\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='56de52ef7f1c992e7f0712dd587e0393afd1c22a', operation='UPDATE OF "removed_at"', pgid='pgtrigger_removed_late_1b65c', table='payments_report', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reporttransition',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'payments_reporttransition is append-only: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='c353d5d2da4a54bd03516dcd20dc074b3146b752', level='STATEMENT', operation='UPDATE OR DELETE OR TRUNCATE', pgid='pgtrigger_append_only_d5f74', table='payments_reporttransition', when='BEFORE')),
        ),
        migrations.AddIndex(
            model_name='reviewcase',
            index=models.Index(condition=models.Q(('status', 'open')), fields=['due_at'], name='review_case_open'),
        ),
        migrations.AddConstraint(
            model_name='reviewcase',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('resolved_at__isnull', True), ('status', 'open')), models.Q(models.Q(('status', 'open'), _negated=True), ('resolved_at__isnull', False)), _connector='OR'), name='review_case_resolved_has_moment'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reviewcase',
            trigger=pgtrigger.compiler.Trigger(name='no_delete', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'payments_reviewcase keeps its rows: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='3b9f4ee0239bd9fb951923c62ef53a4d1ed3d21d', level='STATEMENT', operation='DELETE OR TRUNCATE', pgid='pgtrigger_no_delete_8b03e', table='payments_reviewcase', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reviewcase',
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('open') THEN\n                    RAISE EXCEPTION 'payments_reviewcase: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('open', 'assigned'), ('open', 'credited')) THEN\n                RAISE EXCEPTION 'payments_reviewcase: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='24f10f90797ad84bd9b4bca43e23397ff620100c', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_status_guard_2be27', table='payments_reviewcase', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reviewcase',
            trigger=pgtrigger.compiler.Trigger(name='transition_recorded', sql=core.db.IndexGuardSql(condition='WHEN (OLD.status <> NEW.status)', constraint='CONSTRAINT', func="\n            IF NOT EXISTS (\n                SELECT 1 FROM public.payments_reviewcasetransition\n                WHERE review_case_id = NEW.id AND from_status = OLD.status AND to_status = NEW.status\n            ) THEN\n                RAISE EXCEPTION 'payments_reviewcase: from % to %, and no transition row says so',\n                    OLD.status, NEW.status USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='e45eb3978e87a9737d34d28c7da12f71c1e7e133', operation='UPDATE OF "status"', pgid='pgtrigger_transition_recorded_cfdb8', table='payments_reviewcase', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reviewcase',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.public_id, NEW.livemode, NEW.deposit_id, NEW.merchant_id, NEW.payment_id, NEW.reason, NEW.due_at, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.public_id, OLD.livemode, OLD.deposit_id, OLD.merchant_id, OLD.payment_id, OLD.reason, OLD.due_at, OLD.created_at) THEN\n                RAISE EXCEPTION 'payments_reviewcase: id, public_id, livemode, deposit_id, merchant_id, payment_id, reason, due_at, created_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='f0cf8f789cbb09304f9bcc8b98ea0ccbd1793132', operation='UPDATE OF "id", "public_id", "livemode", "deposit_id", "merchant_id", "payment_id", "reason", "due_at", "created_at"', pgid='pgtrigger_frozen_f8870', table='payments_reviewcase', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reviewcase',
            trigger=pgtrigger.compiler.Trigger(name='with_credited_assigned', sql=core.db.GuardSql(condition="WHEN ((NEW.resolved_at) IS DISTINCT FROM (OLD.resolved_at) AND (NEW.status IN ('credited', 'assigned') AND OLD.status <> NEW.status) IS NOT TRUE)", func="\n            RAISE EXCEPTION 'payments_reviewcase: resolved_at can only change in the step to credited or assigned'\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='38c7c3a0242030fb73714cdc154c0765b92758ca', operation='UPDATE OF "resolved_at"', pgid='pgtrigger_with_credited_assigned_c29a1', table='payments_reviewcase', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reviewcase',
            trigger=pgtrigger.compiler.Trigger(name='same_mode', sql=core.db.GuardSql(func="\n                IF NOT EXISTS (\n                    SELECT 1 FROM public.payments_deposit WHERE id = NEW.deposit_id AND livemode = NEW.livemode\n                ) THEN\n                    PERFORM 1 FROM public.payments_deposit WHERE id = NEW.deposit_id;\n                    IF NOT FOUND THEN\n                        RAISE EXCEPTION 'payments_reviewcase: its deposit is not there'\n                            USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RAISE EXCEPTION 'payments_reviewcase: its deposit is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                RETURN NEW;", hash='855f8050df940e471b1ede20658034ebe5d1aa03', operation='INSERT OR UPDATE OF "deposit_id", "livemode"', pgid='pgtrigger_same_mode_726ac', table='payments_reviewcase', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reviewcase',
            trigger=pgtrigger.compiler.Trigger(name='resolved_is_credited', sql=core.db.IndexGuardSql(constraint='CONSTRAINT', func="\n            IF EXISTS (\n                SELECT 1 FROM public.payments_reviewcase c JOIN public.payments_deposit d ON d.id = c.deposit_id\n                WHERE c.id = NEW.id AND (c.status = 'open') <> (d.status = 'suspended')\n            ) THEN\n                RAISE EXCEPTION 'payments_reviewcase: it is open if and only if its deposit is in suspense'\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='e347ebdc07e90a94b5574eaf5ade1447d1c58041', operation='INSERT OR UPDATE', pgid='pgtrigger_resolved_is_credited_e0bed', table='payments_reviewcase', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reviewcasetransition',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'payments_reviewcasetransition is append-only: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='1fb9cddd7a7b0e1c5389a23bbebd1f2ec1bf88c0', level='STATEMENT', operation='UPDATE OR DELETE OR TRUNCATE', pgid='pgtrigger_append_only_fa941', table='payments_reviewcasetransition', when='BEFORE')),
        ),
    ]
