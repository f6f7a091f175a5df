"""The tables of ledger, with their indexes, constraints and guards."""

import core.clock
import core.db
import core.fields
import core.ids
import django.db.models.deletion
import django.db.models.expressions
import functools
import ledger.models.adjustment
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('merchants', '0001_tables'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Account',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code', models.CharField(max_length=80, verbose_name='code')),
                ('purpose', models.CharField(help_text='Its line in the chart of accounts.', max_length=32, verbose_name='purpose')),
                ('livemode', models.BooleanField(verbose_name='live')),
                ('currency', models.CharField(max_length=3, verbose_name='currency')),
                ('normal_side', models.CharField(choices=[('debit', 'debit'), ('credit', 'credit')], max_length=8, verbose_name='normal side')),
                ('floor', models.BigIntegerField(blank=True, help_text='Least balance on its normal side, in centavos; no money may be taken below it. Empty: no floor.', null=True, verbose_name='floor')),
                ('created_at', models.DateTimeField(default=core.clock.now, editable=False, verbose_name='created')),
                ('merchant', models.ForeignKey(blank=True, help_text="Empty for the platform's own accounts.", null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='merchants.merchant', verbose_name='merchant')),
            ],
            options={
                'verbose_name': 'account',
                'verbose_name_plural': 'accounts',
                'ordering': ['code'],
            },
        ),
        migrations.CreateModel(
            name='Breach',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('invariant', models.CharField(max_length=64, verbose_name='invariant')),
                ('livemode', models.BooleanField(blank=True, help_text='Empty: both modes.', null=True, verbose_name='live')),
                ('provider_account', models.CharField(blank=True, db_default='', default='', help_text='Public id. Empty: every account.', max_length=40, verbose_name='provider account')),
                ('message', models.CharField(max_length=500, verbose_name='what was found')),
                ('found_at', models.DateTimeField(default=core.clock.now, verbose_name='found')),
                ('cleared_at', models.DateTimeField(blank=True, null=True, verbose_name='cleared')),
                ('merchant', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='merchants.merchant', verbose_name='merchant')),
            ],
            options={
                'verbose_name': 'breach',
                'verbose_name_plural': 'breaches',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='Hold',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', core.fields.IdentifierField(default=functools.partial(core.ids.new_id, *('hold',), **{}), editable=False, max_length=40, unique=True, verbose_name='id')),
                ('livemode', models.BooleanField(verbose_name='live')),
                ('purpose', models.CharField(choices=[('payout', 'payout'), ('refund', 'refund'), ('return', 'return of a payment'), ('batch', 'batch of payouts')], max_length=8, verbose_name='purpose')),
                ('source', core.fields.IdentifierField(help_text='Public id of the payout, which is one attempt, or of the batch.', max_length=40, unique=True, verbose_name='source')),
                ('amount', models.BigIntegerField(help_text='Centavos.', verbose_name='amount')),
                ('split', models.BigIntegerField(db_default=0, default=0, editable=False, verbose_name='split')),
                ('captured', models.BigIntegerField(default=0, verbose_name='captured')),
                ('status', models.CharField(choices=[('open', 'open'), ('captured', 'captured'), ('released', 'released')], default='open', max_length=32, verbose_name='status')),
                ('created_at', models.DateTimeField(default=core.clock.now, editable=False, verbose_name='created')),
                ('resolved_at', models.DateTimeField(blank=True, null=True, verbose_name='resolved')),
                ('merchant', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='merchants.merchant', verbose_name='merchant')),
                ('parent', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='parts', to='ledger.hold', verbose_name='part of')),
            ],
            options={
                'verbose_name': 'hold',
                'verbose_name_plural': 'holds',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='Transaction',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', core.fields.IdentifierField(default=functools.partial(core.ids.new_id, *('transaction',), **{}), max_length=40, unique=True, verbose_name='id')),
                ('kind', models.CharField(max_length=40, verbose_name='kind')),
                ('source', models.CharField(help_text='Public id of the object that caused it.', max_length=40, verbose_name='source')),
                ('livemode', models.BooleanField(verbose_name='live')),
                ('description', models.CharField(max_length=200, verbose_name='description')),
                ('effective_at', models.DateTimeField(verbose_name='effective')),
                ('operating_date', models.DateField(verbose_name='operating date')),
                ('recorded_at', models.DateTimeField(default=core.clock.now, verbose_name='recorded')),
                ('position', models.BigIntegerField(default=0, editable=False)),
                ('reverses', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='reversals', to='ledger.transaction')),
            ],
            options={
                'verbose_name': 'transaction',
                'verbose_name_plural': 'transactions',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='Seal',
            fields=[
                ('seq', models.BigIntegerField(primary_key=True, serialize=False, verbose_name='number')),
                ('hash', models.CharField(max_length=64, verbose_name='SHA-256')),
                ('sealed_at', models.DateTimeField(default=core.clock.now, verbose_name='sealed')),
                ('transaction', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='seal', to='ledger.transaction')),
            ],
            options={
                'verbose_name': 'seal',
                'verbose_name_plural': 'seals',
                'ordering': ['-seq'],
            },
        ),
        migrations.CreateModel(
            name='Entry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('amount', models.BigIntegerField(help_text='Centavos; debits are positive, credits negative.', verbose_name='amount')),
                ('currency', models.CharField(max_length=3, verbose_name='currency')),
                ('position', models.BigIntegerField(editable=False)),
                ('effective_at', models.DateTimeField(verbose_name='effective')),
                ('account', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='entries', to='ledger.account')),
                ('transaction', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='entries', to='ledger.transaction')),
            ],
            options={
                'verbose_name': 'entry',
                'verbose_name_plural': 'entries',
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='Adjustment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', core.fields.IdentifierField(default=functools.partial(core.ids.new_id, *('adjustment',), **{}), editable=False, max_length=40, unique=True, verbose_name='id')),
                ('livemode', models.BooleanField(verbose_name='live')),
                ('description', models.CharField(max_length=200, verbose_name='description')),
                ('reason', models.CharField(max_length=500, verbose_name='reason')),
                ('legs', models.JSONField(verbose_name='legs')),
                ('effective_at', models.DateTimeField(blank=True, null=True, verbose_name='effective')),
                ('operating_date', models.DateField(blank=True, null=True, verbose_name='operating date')),
                ('evidence', models.FileField(upload_to=ledger.models.adjustment.evidence_path, verbose_name='evidence')),
                ('evidence_name', models.CharField(max_length=150, verbose_name='file name')),
                ('evidence_type', models.CharField(max_length=32, verbose_name='content')),
                ('evidence_sha256', models.CharField(max_length=64, verbose_name='SHA-256')),
                ('status', models.CharField(choices=[('proposed', 'proposed'), ('posted', 'posted'), ('rejected', 'rejected')], default='proposed', max_length=32, verbose_name='status')),
                ('created_at', models.DateTimeField(default=core.clock.now, editable=False, verbose_name='proposed')),
                ('resolved_at', models.DateTimeField(blank=True, null=True, verbose_name='decided')),
                ('maker', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='proposed by')),
                ('reverses', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='adjustments', to='ledger.transaction', verbose_name='reverses')),
            ],
            options={
                'verbose_name': 'adjustment',
                'verbose_name_plural': 'adjustments',
                'ordering': ['-id'],
                'default_permissions': ('add', 'view'),
            },
        ),
        migrations.CreateModel(
            name='Snapshot',
            fields=[
                ('account', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='snapshot', serialize=False, to='ledger.account')),
                ('position', models.BigIntegerField()),
                ('total', models.BigIntegerField(help_text='Centavos; debits are positive, credits negative.')),
                ('taken_at', models.DateTimeField()),
                ('checked_position', models.BigIntegerField(db_default=0, default=0)),
                ('checked_total', models.BigIntegerField(db_default=0, default=0)),
            ],
            options={
                'verbose_name': 'balance snapshot',
                'verbose_name_plural': 'balance snapshots',
                'indexes': [models.Index(fields=['position'], name='snapshot_position')],
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='snapshot',
            trigger=pgtrigger.compiler.Trigger(name='no_delete', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'ledger_snapshot keeps its rows: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='711bd98e04b66f29ced3767ad65bb3a355eff620', level='STATEMENT', operation='DELETE OR TRUNCATE', pgid='pgtrigger_no_delete_d2b40', table='ledger_snapshot', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='snapshot',
            trigger=pgtrigger.compiler.Trigger(name='computed', sql=core.db.IndexGuardSql(declare='DECLARE since bigint := 0; known bigint := 0;', func="\n                    IF TG_OP = 'UPDATE' THEN\n                        since := OLD.position;\n                        known := OLD.total;\n                        IF NEW.account_id <> OLD.account_id OR NEW.position < since\n                                OR (NEW.position = since AND NEW.total <> known) THEN\n                            RAISE EXCEPTION 'ledger_snapshot: position only moves forward, nothing else changes'\n                                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n                        END IF;\n                        IF NEW.position = since THEN\n                            RETURN NEW;\n                        END IF;\n                    ELSIF EXISTS (SELECT 1 FROM public.ledger_snapshot WHERE account_id = NEW.account_id) THEN\n                        RETURN NEW;  -- it conflicts with the existing row: refused, or turned into its update\n                    END IF;\n                    IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN\n                        RAISE EXCEPTION 'ledger_snapshot: taken at an isolation level that hides other entries'\n                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    -- Horizon and sum are separate statements, so that the sum sees everything below the horizon.\n                    NEW.position := least(NEW.position, public.horizon('public.ledger_position_counter'::regclass, 473702));\n                    IF NEW.position <= since THEN\n                        NEW.position := since;\n                        NEW.total := known;\n                        RETURN NEW;\n                    END IF;\n                    NEW.total := known + coalesce((\n                        SELECT sum(amount) FROM public.ledger_entry\n                        WHERE account_id = NEW.account_id AND position >= since AND position < NEW.position\n                    ), 0);\n                    RETURN NEW;\n                ", hash='d4c61ac64efa0aeaa448d0aca2b3e6be99e5adea', operation='INSERT OR UPDATE', pgid='pgtrigger_computed_0361c', table='ledger_snapshot', when='BEFORE')),
        ),
        migrations.AddConstraint(
            model_name='account',
            constraint=models.UniqueConstraint(fields=('code', 'livemode', 'currency'), name='account_code_unique'),
        ),
        migrations.AddConstraint(
            model_name='account',
            constraint=models.CheckConstraint(condition=models.Q(('currency', 'MXN')), name='account_currency_known'),
        ),
        migrations.AddConstraint(
            model_name='account',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('purpose__in', ('available', 'pending', 'reserved', 'blocked', 'debt', 'suspense', 'suspense_reserved')), _negated=True), models.Q(('floor', 0), ('floor__isnull', False), ('normal_side', 'debit'), ('purpose', 'debt')), models.Q(models.Q(('purpose', 'debt'), _negated=True), ('floor', 0), ('floor__isnull', False), ('normal_side', 'credit')), _connector='OR'), name='account_floor_by_purpose'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='account',
            trigger=pgtrigger.compiler.Trigger(name='no_delete', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'ledger_account keeps its rows: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='ef8d0463989b1ecc36e6e624c194c32cf79afe36', level='STATEMENT', operation='DELETE OR TRUNCATE', pgid='pgtrigger_no_delete_cc148', table='ledger_account', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='account',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.code, NEW.purpose, NEW.merchant_id, NEW.livemode, NEW.currency, NEW.normal_side, NEW.floor, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.code, OLD.purpose, OLD.merchant_id, OLD.livemode, OLD.currency, OLD.normal_side, OLD.floor, OLD.created_at) THEN\n                RAISE EXCEPTION 'ledger_account: id, code, purpose, merchant_id, livemode, currency, normal_side, floor, created_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='9abd33ecc8593d232857bdf62daf4541b93fc1bc', operation='UPDATE OF "id", "code", "purpose", "merchant_id", "livemode", "currency", "normal_side", "floor", "created_at"', pgid='pgtrigger_frozen_54fe4', table='ledger_account', when='BEFORE')),
        ),
        migrations.AddConstraint(
            model_name='breach',
            constraint=models.UniqueConstraint(condition=models.Q(('cleared_at', None)), fields=('invariant', 'merchant', 'livemode', 'provider_account'), name='breach_open_once', nulls_distinct=False),
        ),
        migrations.AddConstraint(
            model_name='breach',
            constraint=models.CheckConstraint(condition=models.Q(('livemode__isnull', False), models.Q(('merchant', None), ('provider_account', '')), _connector='OR'), name='breach_scope_has_mode'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='breach',
            trigger=pgtrigger.compiler.Trigger(name='no_delete', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'ledger_breach keeps its rows: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='4e100e78b94b91ac68b38130926fdd1f528c5094', level='STATEMENT', operation='DELETE OR TRUNCATE', pgid='pgtrigger_no_delete_02fcc', table='ledger_breach', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='breach',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.invariant, NEW.merchant_id, NEW.livemode, NEW.provider_account, NEW.message, NEW.found_at) IS DISTINCT FROM (OLD.id, OLD.invariant, OLD.merchant_id, OLD.livemode, OLD.provider_account, OLD.message, OLD.found_at) THEN\n                RAISE EXCEPTION 'ledger_breach: id, invariant, merchant_id, livemode, provider_account, message, found_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='252c8ac50b0a3a51d75ff9ef2353cb7585f45e82', operation='UPDATE OF "id", "invariant", "merchant_id", "livemode", "provider_account", "message", "found_at"', pgid='pgtrigger_frozen_0bfde', table='ledger_breach', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='breach',
            trigger=pgtrigger.compiler.Trigger(name='frozen_once', sql=core.db.GuardSql(func="\n            IF (OLD.cleared_at IS NOT NULL) AND (NEW.cleared_at) IS DISTINCT FROM (OLD.cleared_at) THEN\n                RAISE EXCEPTION 'ledger_breach: cleared_at cannot change any more'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='9e68b92eec1916b826bedc519b4494441a9027c1', operation='UPDATE OF "cleared_at"', pgid='pgtrigger_frozen_once_f2064', table='ledger_breach', when='BEFORE')),
        ),
        migrations.AddIndex(
            model_name='hold',
            index=models.Index(condition=models.Q(('parent__isnull', False)), fields=['parent'], name='hold_parent'),
        ),
        migrations.AddIndex(
            model_name='hold',
            index=models.Index(condition=models.Q(('status', 'open')), fields=['merchant', 'livemode'], include=('amount',), name='hold_open'),
        ),
        migrations.AddConstraint(
            model_name='hold',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='hold_amount_positive'),
        ),
        migrations.AddConstraint(
            model_name='hold',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('captured__gt', 0), ('captured__lte', django.db.models.expressions.CombinedExpression(models.F('amount'), '-', models.F('split'))), ('status', 'captured')), models.Q(models.Q(('status', 'captured'), _negated=True), ('captured', 0)), _connector='OR'), name='hold_captured_within_amount'),
        ),
        migrations.AddConstraint(
            model_name='hold',
            constraint=models.CheckConstraint(condition=models.Q(('split__gte', 0), ('split__lte', models.F('amount'))), name='hold_split_within_amount'),
        ),
        migrations.AddConstraint(
            model_name='hold',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('resolved_at__isnull', True), ('status', 'open')), models.Q(models.Q(('status', 'open'), _negated=True), ('resolved_at__isnull', False)), _connector='OR'), name='hold_resolved_has_moment'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='hold',
            trigger=pgtrigger.compiler.Trigger(name='no_delete', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'ledger_hold keeps its rows: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='b27c4ff1cb0d4a74a9bad8a6b431099dd11539b8', level='STATEMENT', operation='DELETE OR TRUNCATE', pgid='pgtrigger_no_delete_7152b', table='ledger_hold', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='hold',
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('open') THEN\n                    RAISE EXCEPTION 'ledger_hold: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('open', 'captured'), ('open', 'released')) THEN\n                RAISE EXCEPTION 'ledger_hold: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='f86f72b057197437191abca01b9834216c1f930f', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_status_guard_91b14', table='ledger_hold', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='hold',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.public_id, NEW.merchant_id, NEW.livemode, NEW.purpose, NEW.source, NEW.parent_id, NEW.amount, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.public_id, OLD.merchant_id, OLD.livemode, OLD.purpose, OLD.source, OLD.parent_id, OLD.amount, OLD.created_at) THEN\n                RAISE EXCEPTION 'ledger_hold: id, public_id, merchant_id, livemode, purpose, source, parent_id, amount, created_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='714867b26e3967bbe13634fcb678f694a210c274', operation='UPDATE OF "id", "public_id", "merchant_id", "livemode", "purpose", "source", "parent_id", "amount", "created_at"', pgid='pgtrigger_frozen_0fe0a', table='ledger_hold', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='hold',
            trigger=pgtrigger.compiler.Trigger(name='with_captured_released', sql=core.db.GuardSql(condition="WHEN ((NEW.captured, NEW.resolved_at) IS DISTINCT FROM (OLD.captured, OLD.resolved_at) AND (NEW.status IN ('captured', 'released') AND OLD.status <> NEW.status) IS NOT TRUE)", func="\n            RAISE EXCEPTION 'ledger_hold: captured, resolved_at can only change in the step to captured or released'\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='de852a20c7ab993e068139e6c3673c1c093b79ae', operation='UPDATE OF "captured", "resolved_at"', pgid='pgtrigger_with_captured_released_35f3a', table='ledger_hold', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='hold',
            trigger=pgtrigger.compiler.Trigger(name='add_to_parent', sql=core.db.GuardSql(condition='WHEN (NEW.parent_id IS NOT NULL)', func="\n                    UPDATE public.ledger_hold SET split = split + NEW.amount\n                    WHERE id = NEW.parent_id AND status = 'open' AND purpose = 'batch' AND NEW.purpose <> 'batch'\n                        AND merchant_id = NEW.merchant_id AND livemode = NEW.livemode;\n                    IF NOT FOUND THEN\n                        RAISE EXCEPTION 'ledger_hold: the parent of % is not an open batch of its merchant', NEW.source\n                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RETURN NULL;\n                ", hash='1aabfe53ba2dff4900ee99752bfb7ad0ed5ba16c', operation='INSERT', pgid='pgtrigger_add_to_parent_5cac5', table='ledger_hold', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='hold',
            trigger=pgtrigger.compiler.Trigger(name='split_computed', sql=core.db.GuardSql(declare='DECLARE given boolean;', func="\n                    IF TG_OP = 'INSERT' THEN\n                        given := NEW.split <> 0;\n                    ELSE\n                        given := NEW.split <> OLD.split AND pg_trigger_depth() = 1;  -- 2: by add_to_parent\n                    END IF;\n                    IF given THEN\n                        RAISE EXCEPTION 'ledger_hold: split is computed from the parts'\n                            USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RETURN NEW;\n                ", hash='3d0bffc9fd0e87277fb31c820fade62aa8d80203', operation='INSERT OR UPDATE OF "split"', pgid='pgtrigger_split_computed_972b9', table='ledger_hold', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='hold',
            trigger=pgtrigger.compiler.Trigger(name='reserved', sql=core.db.IndexGuardSql(constraint='CONSTRAINT', declare='DECLARE held bigint;', func="\n                    SELECT coalesce(-sum(e.amount), 0) INTO held\n                    FROM public.ledger_transaction t\n                    JOIN public.ledger_entry e ON e.transaction_id = t.id\n                    JOIN public.ledger_account a ON a.id = e.account_id\n                    WHERE t.source = NEW.source AND a.purpose = 'reserved'\n                        AND a.merchant_id = NEW.merchant_id AND a.livemode = NEW.livemode;\n                    -- A part was booked for its batch, and stays booked there after the batch's hold is resolved.\n                    IF held <> (\n                        SELECT CASE status WHEN 'open' THEN amount ELSE split END\n                            - CASE WHEN parent_id IS NULL THEN 0 ELSE amount END\n                        FROM public.ledger_hold WHERE id = NEW.id\n                    ) THEN\n                        RAISE EXCEPTION 'ledger_hold: % differs from the amount reserved for it', NEW.public_id\n                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RETURN NULL;\n                ", hash='9538f844a6cab660ad1d4087af529864e4220d92', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_reserved_98260', table='ledger_hold', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        migrations.AddIndex(
            model_name='transaction',
            index=models.Index(condition=models.Q(('reverses__isnull', False)), fields=['reverses'], name='transaction_reverses'),
        ),
        migrations.AddIndex(
            model_name='transaction',
            index=models.Index(fields=['position', 'id'], name='transaction_position'),
        ),
        migrations.AddIndex(
            model_name='transaction',
            index=models.Index(fields=['-recorded_at'], name='transaction_recorded'),
        ),
        migrations.AddConstraint(
            model_name='transaction',
            constraint=models.UniqueConstraint(fields=('source', 'kind'), name='transaction_kind_source_unique'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='transaction',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'ledger_transaction is append-only: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='0e9165f4a12488698c622d79e1799910308e34f8', level='STATEMENT', operation='UPDATE OR DELETE OR TRUNCATE', pgid='pgtrigger_append_only_d75d5', table='ledger_transaction', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='transaction',
            trigger=pgtrigger.compiler.Trigger(name='stamp', sql=core.db.GuardSql(declare="DECLARE given bigint := pg_sequence_last_value('public.ledger_position_counter'::regclass); marker bigint := nullif(current_setting('payments.ledger_position_counter', true), '')::bigint; kept text;", func="\n            IF marker IS NULL OR marker > given OR marker < given - 536870912 THEN\n                marker := given;\n                kept := set_config('payments.ledger_position_counter', marker::text, true);\n            END IF;\n            IF NOT pg_try_advisory_xact_lock_shared(473702, (marker & 2147483647)::integer) THEN\n                RAISE EXCEPTION 'ledger_position_counter: another session locks the marker of this transaction'\n                    USING ERRCODE = 'lock_not_available', TABLE = TG_TABLE_NAME;\n            END IF;\n            NEW.position := nextval('public.ledger_position_counter'::regclass);\n         RETURN NEW;", hash='10cad2f972a9fcef7af7b51887dcfafaa407bd35', operation='INSERT', pgid='pgtrigger_stamp_3b639', table='ledger_transaction', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='transaction',
            trigger=pgtrigger.compiler.Trigger(name='complete', sql=core.db.IndexGuardSql(constraint='CONSTRAINT', declare='DECLARE legs bigint; debited bigint[]; account record; found bigint;', func="\n                    SELECT count(*), array_agg(a.id) FILTER (\n                        WHERE a.floor IS NOT NULL AND (e.amount > 0) = (a.normal_side = 'credit')\n                    ) INTO legs, debited\n                    FROM public.ledger_entry e LEFT JOIN public.ledger_account a ON a.id = e.account_id\n                    WHERE e.transaction_id = NEW.id;\n                    IF legs = 0 THEN\n                        RAISE EXCEPTION 'ledger: transaction % has no entries', NEW.public_id\n                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    IF debited IS NULL THEN\n                        RETURN NULL;\n                    END IF;\n                    FOR account IN\n                        SELECT id, code, floor, normal_side FROM public.ledger_account\n                        WHERE id = ANY (debited) ORDER BY id\n                    LOOP\n                        IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN\n                            RAISE EXCEPTION 'ledger: % is debited at an isolation level that hides other debits',\n                                account.code USING ERRCODE = 'check_violation', TABLE = 'ledger_account';\n                        END IF;\n                        PERFORM 1 FROM public.ledger_account WHERE id = account.id FOR NO KEY UPDATE;\n                        found := public.ledger_total(account.id);\n                        IF account.normal_side = 'credit' THEN\n                            found := -found;\n                        END IF;\n                        IF found < account.floor THEN\n                            RAISE EXCEPTION 'ledger: % would fall to %, below its floor', account.code, found\n                                USING ERRCODE = 'check_violation', TABLE = 'ledger_account',\n                                    CONSTRAINT = 'account_floor';\n                        END IF;\n                    END LOOP;\n                    RETURN NULL;\n                ", hash='345e751718cce19fdf277bb75f2a68ab94869b6d', operation='INSERT', pgid='pgtrigger_complete_f25ac', table='ledger_transaction', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='transaction',
            trigger=pgtrigger.compiler.Trigger(name='approved', sql=core.db.IndexGuardSql(condition="WHEN (NEW.kind = 'adjustment' OR NEW.source LIKE 'adj%')", constraint='CONSTRAINT', func='\n                    PERFORM 1 FROM public.ledger_transaction t WHERE t.id = NEW.id AND \n    EXISTS (\n        SELECT 1 FROM public.ledger_adjustment j\n        JOIN public.staff_approval a\n            ON a.subject = j.public_id AND a.kind = \'ledger.adjustment\' AND a.maker_id = j.maker_id\n        WHERE j.public_id = t.source AND j.status = \'posted\' AND j.livemode = t.livemode\n            AND public.staff_approved(a.id)\n            AND t.kind = CASE WHEN j.reverses_id IS NULL THEN \'adjustment\' ELSE \'reversal\' END\n            AND j.reverses_id IS NOT DISTINCT FROM t.reverses_id\n            AND j.legs = (\n                SELECT jsonb_agg(\n                    jsonb_build_object(\'account\', c.code, \'amount\', e.amount) ORDER BY e.amount < 0, c.code COLLATE "C"\n                )\n                FROM public.ledger_entry e JOIN public.ledger_account c ON c.id = e.account_id\n                WHERE e.transaction_id = t.id\n            )\n    )\n;\n                    IF NOT FOUND THEN\n                        RAISE EXCEPTION \'ledger: % is not what a second person approved\', NEW.public_id\n                            USING ERRCODE = \'check_violation\', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RETURN NULL;\n                ', hash='d24aa6addd7126617383f5cf287c0836ef2262fc', operation='INSERT', pgid='pgtrigger_approved_94fca', table='ledger_transaction', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='seal',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'ledger_seal is append-only: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='c4585eb0057842e4bfebfe57347d3f6d6127065d', level='STATEMENT', operation='UPDATE OR DELETE OR TRUNCATE', pgid='pgtrigger_append_only_addd1', table='ledger_seal', when='BEFORE')),
        ),
        migrations.AddIndex(
            model_name='entry',
            index=models.Index(fields=['account', 'position'], include=('amount',), name='entry_account_position'),
        ),
        migrations.AddIndex(
            model_name='entry',
            index=models.Index(fields=['account', 'effective_at'], include=('amount',), name='entry_account_effective'),
        ),
        migrations.AddConstraint(
            model_name='entry',
            constraint=models.CheckConstraint(condition=models.Q(('amount', 0), _negated=True), name='entry_amount_not_zero'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='entry',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'ledger_entry is append-only: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='1dce374d2487cd16a0b8d42bdb6481209f104925', level='STATEMENT', operation='UPDATE OR DELETE OR TRUNCATE', pgid='pgtrigger_append_only_af900', table='ledger_entry', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='entry',
            trigger=pgtrigger.compiler.Trigger(name='balanced', sql=core.db.IndexGuardSql(declare='DECLARE fault text;', func="\n                    SELECT judged.fault INTO fault FROM (\n                        SELECT CASE\n                            WHEN t.id IS NULL THEN 'an entry needs its transaction'\n                            WHEN legs.count <> stored.count THEN\n                                'all entries are inserted at once: an entry cannot join an earlier transaction'\n                            WHEN t.position < (SELECT max(position) FROM public.ledger_snapshot) THEN\n                                'positions fell behind the snapshots of another cluster: run manage.py release'\n                            WHEN legs.lowest <> t.position OR legs.highest <> t.position\n                                    OR legs.earliest <> t.effective_at OR legs.latest <> t.effective_at THEN\n                                'an entry and its transaction differ in position or time'\n                            WHEN stored.of_its_account < stored.count THEN\n                                'an entry and its account differ in mode or currency'\n                            WHEN legs.count < 2 THEN 'a transaction needs two or more entries'\n                            WHEN legs.total <> 0 OR legs.a_currency <> legs.z_currency THEN\n                                'entries do not sum to zero in one currency'\n                        END AS fault\n                        FROM (\n                            SELECT transaction_id, count(*) AS count, sum(amount) AS total,\n                                min(position) AS lowest, max(position) AS highest,\n                                min(effective_at) AS earliest, max(effective_at) AS latest,\n                                min(currency) AS a_currency, max(currency) AS z_currency\n                            FROM added GROUP BY transaction_id\n                        ) legs\n                        LEFT JOIN public.ledger_transaction t ON t.id = legs.transaction_id\n                        CROSS JOIN LATERAL (\n                            SELECT count(*) AS count,\n                                count(*) FILTER (WHERE a.livemode = t.livemode AND a.currency = e.currency)\n                                    AS of_its_account\n                            FROM public.ledger_entry e LEFT JOIN public.ledger_account a ON a.id = e.account_id\n                            WHERE e.transaction_id = legs.transaction_id\n                        ) stored\n                    ) judged\n                    WHERE judged.fault IS NOT NULL LIMIT 1;\n                    IF fault IS NOT NULL THEN\n                        RAISE EXCEPTION 'ledger: %', fault USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RETURN NULL;\n                ", hash='3990890422c3dd1ef8c6ad529eba5e041a424ffd', level='STATEMENT', operation='INSERT', pgid='pgtrigger_balanced_ea973', referencing='REFERENCING NEW TABLE AS added ', table='ledger_entry', when='AFTER')),
        ),
        migrations.AddConstraint(
            model_name='adjustment',
            constraint=models.CheckConstraint(condition=models.Q(('reason', ''), _negated=True), name='adjustment_has_reason'),
        ),
        migrations.AddConstraint(
            model_name='adjustment',
            constraint=models.CheckConstraint(condition=models.Q(('evidence', ''), _negated=True), name='adjustment_has_evidence'),
        ),
        migrations.AddConstraint(
            model_name='adjustment',
            constraint=models.CheckConstraint(condition=models.Q(('evidence_type__in', ['image/jpeg', 'image/png', 'application/pdf'])), name='adjustment_evidence_allowed'),
        ),
        migrations.AddConstraint(
            model_name='adjustment',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('effective_at__isnull', False), ('operating_date__isnull', False), ('reverses', None)), models.Q(('effective_at', None), ('operating_date', None), ('reverses__isnull', False)), _connector='OR'), name='adjustment_moment_unless_reversal'),
        ),
        migrations.AddConstraint(
            model_name='adjustment',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('resolved_at__isnull', True), ('status', 'proposed')), models.Q(models.Q(('status', 'proposed'), _negated=True), ('resolved_at__isnull', False)), _connector='OR'), name='adjustment_resolved_has_moment'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='adjustment',
            trigger=pgtrigger.compiler.Trigger(name='no_delete', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'ledger_adjustment keeps its rows: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='5bf37387b964b9d9613b08d7a39b16e990814bfb', level='STATEMENT', operation='DELETE OR TRUNCATE', pgid='pgtrigger_no_delete_6d7b4', table='ledger_adjustment', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='adjustment',
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('proposed') THEN\n                    RAISE EXCEPTION 'ledger_adjustment: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('proposed', 'posted'), ('proposed', 'rejected')) THEN\n                RAISE EXCEPTION 'ledger_adjustment: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='1b8401827a88f37c40d0c27ade4e87c6fac2fee0', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_status_guard_e51c5', table='ledger_adjustment', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='adjustment',
            trigger=pgtrigger.compiler.Trigger(name='with_posted_rejected', sql=core.db.GuardSql(condition="WHEN ((NEW.resolved_at) IS DISTINCT FROM (OLD.resolved_at) AND (NEW.status IN ('posted', 'rejected') AND OLD.status <> NEW.status) IS NOT TRUE)", func="\n            RAISE EXCEPTION 'ledger_adjustment: resolved_at can only change in the step to posted or rejected'\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='002bff2b8dabb2ee14c6c2e2e45a6c4179e509d4', operation='UPDATE OF "resolved_at"', pgid='pgtrigger_with_posted_rejected_da28d', table='ledger_adjustment', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='adjustment',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.public_id, NEW.livemode, NEW.description, NEW.reason, NEW.legs, NEW.reverses_id, NEW.effective_at, NEW.operating_date, NEW.evidence, NEW.evidence_name, NEW.evidence_type, NEW.evidence_sha256, NEW.maker_id, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.public_id, OLD.livemode, OLD.description, OLD.reason, OLD.legs, OLD.reverses_id, OLD.effective_at, OLD.operating_date, OLD.evidence, OLD.evidence_name, OLD.evidence_type, OLD.evidence_sha256, OLD.maker_id, OLD.created_at) THEN\n                RAISE EXCEPTION 'ledger_adjustment: id, public_id, livemode, description, reason, legs, reverses_id, effective_at, operating_date, evidence, evidence_name, evidence_type, evidence_sha256, maker_id, created_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='8525fa6a8a517c24e66742f10e96fe17531d1789', operation='UPDATE OF "id", "public_id", "livemode", "description", "reason", "legs", "reverses_id", "effective_at", "operating_date", "evidence", "evidence_name", "evidence_type", "evidence_sha256", "maker_id", "created_at"', pgid='pgtrigger_frozen_79629', table='ledger_adjustment', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='adjustment',
            trigger=pgtrigger.compiler.Trigger(name='approved_and_booked', sql=core.db.GuardSql(func="\n                    IF NEW.status = 'posted' AND OLD.status <> 'posted' THEN\n                        IF NOT EXISTS (\n                            SELECT 1 FROM public.staff_approval a\n                            WHERE a.subject = NEW.public_id AND a.kind = 'ledger.adjustment'\n                                AND a.status = 'approved' AND a.maker_id = NEW.maker_id\n                        ) THEN\n                            RAISE EXCEPTION 'ledger: adjustment % was not approved', NEW.public_id\n                                USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                        END IF;\n                        IF NOT EXISTS (SELECT 1 FROM public.ledger_transaction t WHERE t.source = NEW.public_id) THEN\n                            RAISE EXCEPTION 'ledger: adjustment % is not in the books', NEW.public_id\n                                USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                        END IF;\n                    END IF;\n                    RETURN NEW;\n                ", hash='e51f2d4ce518e9fdf9810fd49c46a7309ffc0a8c', operation='UPDATE', pgid='pgtrigger_approved_and_booked_ffa6d', table='ledger_adjustment', when='BEFORE')),
        ),
    ]
