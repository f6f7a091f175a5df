"""Reusable CLABEs, review cases, fees by period, and what payments and deposits must know for them."""

import datetime
import functools
from decimal import Decimal

import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.contrib.postgres.operations import BtreeGistExtension
from django.db import migrations, models

import core.clock
import core.db
import core.ids
import payments.models.fee_rule


class Migration(migrations.Migration):

    dependencies = [
        ("merchants", "0005_deposit_policy"),
        ("payments", "0004_lists"),
    ]

    operations = [
        BtreeGistExtension(),
        migrations.CreateModel(
            name='Clabe',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.CharField(default=functools.partial(core.ids.new_id, *('clabe',), **{}), editable=False, max_length=40, unique=True, verbose_name='id')),
                ('livemode', models.BooleanField(verbose_name='live')),
                ('clabe', models.CharField(max_length=18, unique=True, verbose_name='CLABE')),
                ('status', models.CharField(choices=[('active', 'active'), ('closed', 'closed')], default='active', max_length=32, verbose_name='status')),
                ('label', models.CharField(blank=True, max_length=100, verbose_name='label')),
                ('customer_name', models.CharField(blank=True, max_length=100, verbose_name='customer')),
                ('customer_email', models.EmailField(blank=True, max_length=254, verbose_name='e-mail')),
                ('customer_phone', models.CharField(blank=True, max_length=20, verbose_name='phone')),
                ('metadata', models.JSONField(blank=True, default=dict)),
                ('min_amount', models.BigIntegerField(blank=True, help_text='Centavos.', null=True, verbose_name='least amount')),
                ('max_amount', models.BigIntegerField(blank=True, help_text='Centavos.', null=True, verbose_name='greatest amount')),
                ('closed_at', models.DateTimeField(blank=True, null=True, verbose_name='closed at')),
                ('created_at', models.DateTimeField(default=core.clock.now, editable=False, verbose_name='created')),
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
            ],
            options={
                'verbose_name': 'CLABE transition',
                'verbose_name_plural': 'CLABE transitions',
                'ordering': ['id'],
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='ReviewCase',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.CharField(default=functools.partial(core.ids.new_id, *('review_case',), **{}), editable=False, max_length=40, unique=True, verbose_name='id')),
                ('livemode', models.BooleanField(verbose_name='live')),
                ('reason', models.CharField(choices=[('unknown_clabe', 'no payment has this CLABE'), ('unknown_order', 'no payment belongs to this order'), ('underpaid', "less than the payment's amount"), ('overpaid', "more than the payment's amount"), ('late', 'paid after the payment expired or was cancelled'), ('already_paid', 'the payment is already paid'), ('not_payable', "the payment's state takes no money"), ('out_of_range', 'outside the amounts that the CLABE takes'), ('clabe_closed', 'paid after the CLABE was closed'), ('returned_transfer', 'a transfer of ours that came back')], max_length=32, verbose_name='reason')),
                ('status', models.CharField(choices=[('open', 'open'), ('credited', 'credited as sent'), ('assigned', 'assigned to another')], default='open', max_length=32, verbose_name='status')),
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
        migrations.AddField(
            model_name='deposit',
            name='fee',
            field=models.BigIntegerField(db_default=0, default=0, verbose_name='fee'),
        ),
        migrations.AddField(
            model_name='deposit',
            name='fee_tax',
            field=models.BigIntegerField(db_default=0, default=0, verbose_name='IVA on the fee'),
        ),
        migrations.AddField(
            model_name='feerule',
            name='valid_from',
            field=models.DateField(db_default=datetime.date(2020, 1, 1), default=payments.models.fee_rule.today, help_text='First day, Mexico City. Payments made before keep the fee they were made with.', verbose_name='valid from'),
        ),
        migrations.AddField(
            model_name='feerule',
            name='valid_until',
            field=models.DateField(blank=True, help_text='Last day, included. Empty: until further notice.', null=True, verbose_name='valid until'),
        ),
        migrations.AddField(
            model_name='payment',
            name='cancelled_at',
            field=models.DateTimeField(blank=True, null=True, verbose_name='cancelled at'),
        ),
        migrations.AddField(
            model_name='payment',
            name='fee_iva',
            field=models.DecimalField(db_default=Decimal('0.16'), decimal_places=4, default=Decimal('0.16'), max_digits=5),
        ),
        migrations.AddField(
            model_name='payment',
            name='made_by',
            field=models.CharField(choices=[('request', 'request'), ('clabe', 'deposit to a reusable CLABE'), ('staff', 'deposit assigned by staff')], db_default='request', default='request', max_length=8, verbose_name='made by'),
        ),
        migrations.AlterField(
            model_name='deposit',
            name='provider_event',
            field=models.CharField(help_text='Public id of the notice that reported it first, or the order.', max_length=40, verbose_name='provider event'),
        ),
        migrations.AlterField(
            model_name='deposit',
            name='suspense_reason',
            field=models.CharField(blank=True, choices=[('unknown_clabe', 'no payment has this CLABE'), ('unknown_order', 'no payment belongs to this order'), ('underpaid', "less than the payment's amount"), ('overpaid', "more than the payment's amount"), ('late', 'paid after the payment expired or was cancelled'), ('already_paid', 'the payment is already paid'), ('not_payable', "the payment's state takes no money"), ('out_of_range', 'outside the amounts that the CLABE takes'), ('clabe_closed', 'paid after the CLABE was closed'), ('returned_transfer', 'a transfer of ours that came back')], max_length=32, verbose_name='why in suspense'),
        ),
        migrations.AlterField(
            model_name='payment',
            name='voucher_asked_until',
            field=models.DateTimeField(blank=True, editable=False, help_text='Until when one process may ask Conekta about this payment.', null=True),
        ),
        migrations.AddField(
            model_name='clabe',
            name='merchant',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='clabes', to='merchants.merchant', verbose_name='merchant'),
        ),
        migrations.AddField(
            model_name='clabe',
            name='provider_account',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='clabes', to='payments.provideraccount'),
        ),
        migrations.AddField(
            model_name='deposit',
            name='reusable_clabe',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='deposits', to='payments.clabe', verbose_name='reusable CLABE'),
        ),
        migrations.AddField(
            model_name='payment',
            name='reusable_clabe',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='payments', to='payments.clabe', verbose_name='reusable CLABE'),
        ),
        migrations.AddField(
            model_name='clabetransition',
            name='clabe',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='transitions', to='payments.clabe'),
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
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='review_cases', to='payments.payment', verbose_name='payment'),
        ),
        migrations.AddField(
            model_name='reviewcasetransition',
            name='review_case',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='transitions', to='payments.reviewcase'),
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
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('active') THEN\n                    RAISE EXCEPTION 'payments_clabe: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('active', 'closed')) THEN\n                RAISE EXCEPTION 'payments_clabe: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='163a5d156975ebf23108b2e06a411f9c01003a74', operation='INSERT OR UPDATE', pgid='pgtrigger_status_guard_3195e', table='payments_clabe', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='clabe',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.public_id, NEW.merchant_id, NEW.livemode, NEW.provider_account_id, NEW.clabe, NEW.min_amount, NEW.max_amount) IS DISTINCT FROM (OLD.public_id, OLD.merchant_id, OLD.livemode, OLD.provider_account_id, OLD.clabe, OLD.min_amount, OLD.max_amount) THEN\n                RAISE EXCEPTION 'payments_clabe: public_id, merchant_id, livemode, provider_account_id, clabe, min_amount, max_amount cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='d45b35bf7fddc62d4dcc51d92835b0ba8f30ee36', operation='UPDATE', pgid='pgtrigger_frozen_6ca11', table='payments_clabe', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='clabe',
            trigger=pgtrigger.compiler.Trigger(name='frozen_once', sql=core.db.GuardSql(func="\n            IF (OLD.status = 'closed') AND (NEW.closed_at) IS DISTINCT FROM (OLD.closed_at) THEN\n                RAISE EXCEPTION 'payments_clabe: closed_at cannot change any more'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='18e7b70e729f0eca49b749daea0acf5bf19977a3', operation='UPDATE', pgid='pgtrigger_frozen_once_8d361', table='payments_clabe', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='clabe',
            trigger=pgtrigger.compiler.Trigger(name='same_mode', sql=core.db.GuardSql(func="\n                IF EXISTS (\n                    SELECT 1 FROM public.payments_provideraccount WHERE id = NEW.provider_account_id AND livemode <> NEW.livemode\n                ) THEN\n                    RAISE EXCEPTION 'payments_clabe: its provider_account is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                RETURN NEW;", hash='d56be42670a39f4e0ce0f00e2b7391057668a087', operation='INSERT OR UPDATE', pgid='pgtrigger_same_mode_4cb58', table='payments_clabe', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='clabetransition',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'payments_clabetransition is append-only: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='0f3d1e50f16b1a171a1ea6ff05dcfaac9a7c2f16', level='STATEMENT', operation='UPDATE OR DELETE OR TRUNCATE', pgid='pgtrigger_append_only_61a53', table='payments_clabetransition', when='BEFORE')),
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
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('open') THEN\n                    RAISE EXCEPTION 'payments_reviewcase: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('open', 'assigned'), ('open', 'credited')) THEN\n                RAISE EXCEPTION 'payments_reviewcase: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='55cd14b909d50b682ffedc5820591ce5744d751a', operation='INSERT OR UPDATE', pgid='pgtrigger_status_guard_2be27', table='payments_reviewcase', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reviewcase',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.public_id, NEW.livemode, NEW.deposit_id, NEW.merchant_id, NEW.payment_id, NEW.reason, NEW.created_at) IS DISTINCT FROM (OLD.public_id, OLD.livemode, OLD.deposit_id, OLD.merchant_id, OLD.payment_id, OLD.reason, OLD.created_at) THEN\n                RAISE EXCEPTION 'payments_reviewcase: public_id, livemode, deposit_id, merchant_id, payment_id, reason, created_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='cd1dec3bf2aaeab71f6c9ad983178510fc026f5d', operation='UPDATE', pgid='pgtrigger_frozen_f8870', table='payments_reviewcase', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reviewcase',
            trigger=pgtrigger.compiler.Trigger(name='frozen_once', sql=core.db.GuardSql(func="\n            IF (OLD.status <> 'open') AND (NEW.resolved_at, NEW.due_at) IS DISTINCT FROM (OLD.resolved_at, OLD.due_at) THEN\n                RAISE EXCEPTION 'payments_reviewcase: resolved_at, due_at cannot change any more'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='d64224acdc7fd60c5cfd6499c9a727df3ff0dce7', operation='UPDATE', pgid='pgtrigger_frozen_once_c1e56', table='payments_reviewcase', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reviewcase',
            trigger=pgtrigger.compiler.Trigger(name='same_mode', sql=core.db.GuardSql(func="\n                IF EXISTS (\n                    SELECT 1 FROM public.payments_deposit WHERE id = NEW.deposit_id AND livemode <> NEW.livemode\n                ) THEN\n                    RAISE EXCEPTION 'payments_reviewcase: its deposit is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                RETURN NEW;", hash='47a8486faffbae64de8587d18bac54abfe319f61', operation='INSERT OR UPDATE', pgid='pgtrigger_same_mode_726ac', table='payments_reviewcase', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reviewcase',
            trigger=pgtrigger.compiler.Trigger(name='resolved_is_credited', sql=core.db.IndexGuardSql(constraint='CONSTRAINT', func="\n            IF EXISTS (\n                SELECT 1 FROM public.payments_reviewcase c JOIN public.payments_deposit d ON d.id = c.deposit_id\n                WHERE c.id = NEW.id AND (c.status = 'open') <> (d.status = 'suspended')\n            ) THEN\n                RAISE EXCEPTION 'payments_reviewcase: it is open exactly as long as its deposit is in suspense'\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='9fe196ba689dac39ebe892e85768d9a8715d759a', operation='INSERT OR UPDATE', pgid='pgtrigger_resolved_is_credited_e0bed', table='payments_reviewcase', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reviewcasetransition',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'payments_reviewcasetransition is append-only: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='1fb9cddd7a7b0e1c5389a23bbebd1f2ec1bf88c0', level='STATEMENT', operation='UPDATE OR DELETE OR TRUNCATE', pgid='pgtrigger_append_only_fa941', table='payments_reviewcasetransition', when='BEFORE')),
        ),
    ]
