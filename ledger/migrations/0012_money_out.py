"""For outgoing money: floors of ``debt`` and ``suspense_reserved``, scoped breaches, holds of batches.

Existing ``debt`` and ``suspense_reserved`` accounts get their floor too. Existing breaches of a merchant have no mode:
they count as live.
"""

import core.db
import django.db.models.deletion
import django.db.models.expressions
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

FLOORS = """
ALTER TABLE ledger_account DISABLE TRIGGER pgtrigger_frozen_54fe4;
UPDATE ledger_account SET floor = 0 WHERE purpose IN ('debt', 'suspense_reserved') AND floor IS NULL;
ALTER TABLE ledger_account ENABLE ALWAYS TRIGGER pgtrigger_frozen_54fe4;
"""
MODES = "UPDATE ledger_breach SET livemode = true WHERE merchant_id IS NOT NULL"


class Migration(migrations.Migration):

    dependencies = [
        ('ledger', '0011_columns_decided'),
        ('merchants', '0010_columns_decided'),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name='breach',
            name='frozen',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='hold',
            name='frozen',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='hold',
            name='reserved',
        ),
        migrations.RemoveConstraint(
            model_name='account',
            name='account_floor_by_purpose',
        ),
        migrations.RemoveConstraint(
            model_name='hold',
            name='hold_captured_within_amount',
        ),
        migrations.AddField(
            model_name='breach',
            name='livemode',
            field=models.BooleanField(blank=True, help_text='Empty: both modes.', null=True, verbose_name='live'),
        ),
        migrations.AddField(
            model_name='breach',
            name='provider_account',
            field=models.CharField(blank=True, db_default='', default='', help_text='Public id. Empty: every account.', max_length=40, verbose_name='provider account'),
        ),
        migrations.AddField(
            model_name='hold',
            name='parent',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='parts', to='ledger.hold', verbose_name='part of'),
        ),
        migrations.AddField(
            model_name='hold',
            name='split',
            field=models.BigIntegerField(db_default=0, default=0, editable=False, verbose_name='split'),
        ),
        migrations.AlterField(
            model_name='hold',
            name='purpose',
            field=models.CharField(choices=[('payout', 'payout'), ('refund', 'refund'), ('return', 'return of a payment'), ('batch', 'batch of payouts')], max_length=8, verbose_name='purpose'),
        ),
        migrations.AlterField(
            model_name='hold',
            name='source',
            field=models.CharField(help_text='Public id of the payout, which is one attempt, or of the batch.', max_length=40, unique=True, verbose_name='source'),
        ),
        migrations.RunSQL(FLOORS, migrations.RunSQL.noop),
        migrations.RunSQL(MODES, migrations.RunSQL.noop),
        pgtrigger.migrations.AddTrigger(
            model_name='breach',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.invariant, NEW.merchant_id, NEW.livemode, NEW.provider_account, NEW.message, NEW.found_at) IS DISTINCT FROM (OLD.id, OLD.invariant, OLD.merchant_id, OLD.livemode, OLD.provider_account, OLD.message, OLD.found_at) THEN\n                RAISE EXCEPTION 'ledger_breach: id, invariant, merchant_id, livemode, provider_account, message, found_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='252c8ac50b0a3a51d75ff9ef2353cb7585f45e82', operation='UPDATE OF "id", "invariant", "merchant_id", "livemode", "provider_account", "message", "found_at"', pgid='pgtrigger_frozen_0bfde', table='ledger_breach', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='hold',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.public_id, NEW.merchant_id, NEW.livemode, NEW.purpose, NEW.source, NEW.parent_id, NEW.amount, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.public_id, OLD.merchant_id, OLD.livemode, OLD.purpose, OLD.source, OLD.parent_id, OLD.amount, OLD.created_at) THEN\n                RAISE EXCEPTION 'ledger_hold: id, public_id, merchant_id, livemode, purpose, source, parent_id, amount, created_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='714867b26e3967bbe13634fcb678f694a210c274', operation='UPDATE OF "id", "public_id", "merchant_id", "livemode", "purpose", "source", "parent_id", "amount", "created_at"', pgid='pgtrigger_frozen_0fe0a', table='ledger_hold', when='BEFORE')),
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
            trigger=pgtrigger.compiler.Trigger(name='reserved', sql=core.db.IndexGuardSql(constraint='CONSTRAINT', declare='DECLARE held bigint;', func="\n                    SELECT coalesce(-sum(e.amount), 0) INTO held\n                    FROM public.ledger_transaction t\n                    JOIN public.ledger_entry e ON e.transaction_id = t.id\n                    JOIN public.ledger_account a ON a.id = e.account_id\n                    WHERE t.source = NEW.source AND a.purpose = 'reserved'\n                        AND a.merchant_id = NEW.merchant_id AND a.livemode = NEW.livemode;\n                    -- A part was booked for its batch, and stays booked there after the batch's hold is resolved.\n                    IF held <> (\n                        SELECT CASE status WHEN 'open' THEN amount ELSE split END\n                            - CASE WHEN parent_id IS NULL THEN 0 ELSE amount END\n                        FROM public.ledger_hold WHERE id = NEW.id\n                    ) THEN\n                        RAISE EXCEPTION 'ledger_hold: % is not what the books have reserved for it', NEW.public_id\n                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RETURN NULL;\n                ", hash='3d7b2ab51c0218aaee509297b4cf7239fe2c1d4d', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_reserved_98260', table='ledger_hold', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        migrations.AddConstraint(
            model_name='account',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('purpose__in', ('available', 'pending', 'reserved', 'blocked', 'debt', 'suspense', 'suspense_reserved')), _negated=True), models.Q(('floor', 0), ('floor__isnull', False), ('normal_side', 'debit'), ('purpose', 'debt')), models.Q(models.Q(('purpose', 'debt'), _negated=True), ('floor', 0), ('floor__isnull', False), ('normal_side', 'credit')), _connector='OR'), name='account_floor_by_purpose'),
        ),
        migrations.AddConstraint(
            model_name='breach',
            constraint=models.CheckConstraint(condition=models.Q(('livemode__isnull', False), models.Q(('merchant', None), ('provider_account', '')), _connector='OR'), name='breach_scope_has_mode'),
        ),
        migrations.AddConstraint(
            model_name='hold',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('captured__gt', 0), ('captured__lte', django.db.models.expressions.CombinedExpression(models.F('amount'), '-', models.F('split'))), ('status', 'captured')), models.Q(models.Q(('status', 'captured'), _negated=True), ('captured', 0)), _connector='OR'), name='hold_captured_within_amount'),
        ),
        migrations.AddConstraint(
            model_name='hold',
            constraint=models.CheckConstraint(condition=models.Q(('split__gte', 0), ('split__lte', models.F('amount'))), name='hold_split_within_amount'),
        ),
    ]
