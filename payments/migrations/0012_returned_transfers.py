"""Returned transfers are matched to their payouts; what a notice claims about a payout is kept until it is confirmed."""

import core.db
import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('merchants', '0004_merchant_registration_data'),
        ('payments', '0011_payout_last_sent'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='reviewcase',
            options={'default_permissions': ('view',), 'ordering': ['-id'], 'permissions': [('credit_reviewcase', 'Can credit a deposit under review'), ('assign_reviewcase', 'Can assign a deposit under review'), ('match_reviewcase', 'Can match a returned transfer to its payout')], 'verbose_name': 'review case', 'verbose_name_plural': 'review cases'},
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='deposit',
            name='status_guard',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='deposit',
            name='in_books',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='payout',
            name='returned_once',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='reviewcase',
            name='status_guard',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='reviewcase',
            name='frozen',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='reviewcase',
            name='with_credited_assigned',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='reviewcase',
            name='same_mode',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='reviewcase',
            name='resolved_is_credited',
        ),
        migrations.RemoveConstraint(
            model_name='reviewcase',
            name='review_case_resolved_has_moment',
        ),
        migrations.AddField(
            model_name='payout',
            name='claim',
            field=models.CharField(blank=True, db_default='', default='', max_length=9, verbose_name='reported, not confirmed'),
        ),
        migrations.AddField(
            model_name='payout',
            name='claimed_at',
            field=models.DateTimeField(blank=True, null=True, verbose_name='reported'),
        ),
        migrations.AddField(
            model_name='payout',
            name='return_tracking_key',
            field=models.CharField(blank=True, db_default='', default='', max_length=40, verbose_name='tracking key of the return'),
        ),
        migrations.AddField(
            model_name='reviewcase',
            name='listed_at',
            field=models.DateTimeField(blank=True, null=True, verbose_name="confirmed by the provider's list"),
        ),
        migrations.AddField(
            model_name='reviewcase',
            name='payout',
            field=models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='return_cases', to='payments.payout', verbose_name='returned payout'),
        ),
        migrations.AddField(
            model_name='reviewcase',
            name='return_of',
            field=models.CharField(blank=True, db_default='', default='', max_length=40, verbose_name='tracking key of the payout'),
        ),
        migrations.AlterField(
            model_name='deposit',
            name='status',
            field=models.CharField(choices=[('received', 'received'), ('credited', 'credited'), ('suspended', 'in suspense'), ('matched', 'matched')], default='received', max_length=32, verbose_name='status'),
        ),
        migrations.AlterField(
            model_name='reviewcase',
            name='status',
            field=models.CharField(choices=[('to_match', 'to be matched'), ('open', 'to be decided'), ('credited', 'credited as sent'), ('assigned', 'assigned to another'), ('matched', 'matched')], default='open', max_length=32, verbose_name='status'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='deposit',
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('credited', 'suspended') THEN\n                    RAISE EXCEPTION 'payments_deposit: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('received', 'credited'), ('received', 'suspended'), ('suspended', 'credited'), ('suspended', 'matched')) THEN\n                RAISE EXCEPTION 'payments_deposit: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='ae4d84232e587339aacaffd0cb7d286c3d8b7e5a', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_status_guard_178db', table='payments_deposit', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='deposit',
            trigger=pgtrigger.compiler.Trigger(name='in_books', sql=core.db.IndexGuardSql(constraint='CONSTRAINT', func="\n            IF NEW.status = 'matched' THEN\n                IF NOT EXISTS (\n                    SELECT 1 FROM public.payments_reviewcase c\n                    JOIN public.payments_payout p ON p.id = c.payout_id\n                    JOIN public.ledger_transaction t ON (t.source = NEW.public_id AND t.kind = 'return_cleared')\n                        OR (t.source = p.public_id AND t.kind LIKE '%\\_returned')\n                    JOIN public.ledger_entry e ON e.transaction_id = t.id AND e.amount = NEW.amount\n                    JOIN public.ledger_account a ON a.id = e.account_id AND a.purpose = 'suspense'\n                    WHERE c.deposit_id = NEW.id AND c.status = 'matched' AND p.amount = NEW.amount\n                        AND p.returned_at IS NOT NULL\n                ) THEN\n                    RAISE EXCEPTION 'payments_deposit: % is matched, without a returned payout and its posting',\n                        NEW.public_id USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NOT EXISTS (\n                SELECT 1 FROM public.ledger_transaction WHERE source = NEW.public_id AND kind IN (\n                    CASE WHEN TG_OP = 'UPDATE' THEN 'suspense_assigned'\n                        WHEN NEW.status = 'suspended' THEN 'deposit_suspended'\n                        WHEN NEW.purpose = 'funding' THEN 'merchant_top_up' ELSE 'spei_deposit' END,\n                    CASE WHEN TG_OP = 'INSERT' AND NEW.status = 'credited' AND NEW.purpose = 'payment'\n                        THEN 'oxxo_paid' END\n                )\n            ) THEN\n                RAISE EXCEPTION 'payments_deposit: % is %, without its ledger posting', NEW.public_id, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='5ebab2bbf498e0e449a74c17a9d0b069082ec025', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_in_books_43823', table='payments_deposit', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payout',
            trigger=pgtrigger.compiler.Trigger(name='returned_once', sql=core.db.GuardSql(func="\n            IF (OLD.returned_at IS NOT NULL) AND (NEW.returned_at, NEW.return_cause, NEW.return_tracking_key) IS DISTINCT FROM (OLD.returned_at, OLD.return_cause, OLD.return_tracking_key) THEN\n                RAISE EXCEPTION 'payments_payout: returned_at, return_cause, return_tracking_key cannot change any more'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='3562f720358858f7da742febb35422e3f5efe69d', operation='UPDATE OF "returned_at", "return_cause", "return_tracking_key"', pgid='pgtrigger_returned_once_858f7', table='payments_payout', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reviewcase',
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('to_match', 'open') THEN\n                    RAISE EXCEPTION 'payments_reviewcase: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('open', 'assigned'), ('open', 'credited'), ('open', 'matched'), ('to_match', 'matched'), ('to_match', 'open')) THEN\n                RAISE EXCEPTION 'payments_reviewcase: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='c12a59a896c0fb7fbb8b76c00039274d1c1ee404', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_status_guard_2be27', table='payments_reviewcase', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reviewcase',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.public_id, NEW.livemode, NEW.deposit_id, NEW.merchant_id, NEW.payment_id, NEW.reason, NEW.return_of, NEW.due_at, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.public_id, OLD.livemode, OLD.deposit_id, OLD.merchant_id, OLD.payment_id, OLD.reason, OLD.return_of, OLD.due_at, OLD.created_at) THEN\n                RAISE EXCEPTION 'payments_reviewcase: id, public_id, livemode, deposit_id, merchant_id, payment_id, reason, return_of, due_at, created_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='be7565a7f91e59b78280f5d9b37af9ca8e812bed', operation='UPDATE OF "id", "public_id", "livemode", "deposit_id", "merchant_id", "payment_id", "reason", "return_of", "due_at", "created_at"', pgid='pgtrigger_frozen_f8870', table='payments_reviewcase', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reviewcase',
            trigger=pgtrigger.compiler.Trigger(name='frozen_once', sql=core.db.GuardSql(func="\n            IF (OLD.listed_at IS NOT NULL) AND (NEW.listed_at) IS DISTINCT FROM (OLD.listed_at) THEN\n                RAISE EXCEPTION 'payments_reviewcase: listed_at cannot change any more'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='915d8e66b190b5b43bbd9d1f677db56f814da32b', operation='UPDATE OF "listed_at"', pgid='pgtrigger_frozen_once_c1e56', table='payments_reviewcase', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reviewcase',
            trigger=pgtrigger.compiler.Trigger(name='with_credited_assigned_matched', sql=core.db.GuardSql(condition="WHEN ((NEW.resolved_at) IS DISTINCT FROM (OLD.resolved_at) AND (NEW.status IN ('credited', 'assigned', 'matched') AND OLD.status <> NEW.status) IS NOT TRUE)", func="\n            RAISE EXCEPTION 'payments_reviewcase: resolved_at can only change in the step to credited or assigned or matched'\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='61cfd4167977ee26d288504eda4d1ec0736db295', operation='UPDATE OF "resolved_at"', pgid='pgtrigger_with_credited_assigned_matched_890b7', table='payments_reviewcase', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reviewcase',
            trigger=pgtrigger.compiler.Trigger(name='with_matched', sql=core.db.GuardSql(condition="WHEN ((NEW.payout_id) IS DISTINCT FROM (OLD.payout_id) AND (NEW.status IN ('matched') AND OLD.status <> NEW.status) IS NOT TRUE)", func="\n            RAISE EXCEPTION 'payments_reviewcase: payout_id can only change in the step to matched'\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='59dd7540be0dc4614a657f19032d47dc69d2c6a6', operation='UPDATE OF "payout_id"', pgid='pgtrigger_with_matched_cc3a7', table='payments_reviewcase', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reviewcase',
            trigger=pgtrigger.compiler.Trigger(name='same_mode', sql=core.db.GuardSql(func="\n                IF NOT EXISTS (\n                    SELECT 1 FROM public.payments_deposit WHERE id = NEW.deposit_id AND livemode = NEW.livemode\n                ) THEN\n                    PERFORM 1 FROM public.payments_deposit WHERE id = NEW.deposit_id;\n                    IF NOT FOUND THEN\n                        RAISE EXCEPTION 'payments_reviewcase: its deposit is not there'\n                            USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RAISE EXCEPTION 'payments_reviewcase: its deposit is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                IF NEW.payout_id IS NOT NULL THEN \n                IF NOT EXISTS (\n                    SELECT 1 FROM public.payments_payout WHERE id = NEW.payout_id AND livemode = NEW.livemode\n                ) THEN\n                    PERFORM 1 FROM public.payments_payout WHERE id = NEW.payout_id;\n                    IF NOT FOUND THEN\n                        RAISE EXCEPTION 'payments_reviewcase: its payout is not there'\n                            USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RAISE EXCEPTION 'payments_reviewcase: its payout is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                 END IF;RETURN NEW;", hash='138fc88c3640248605106a325a04522a7b22c6ea', operation='INSERT OR UPDATE OF "deposit_id", "payout_id", "livemode"', pgid='pgtrigger_same_mode_726ac', table='payments_reviewcase', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reviewcase',
            trigger=pgtrigger.compiler.Trigger(name='resolved_is_credited', sql=core.db.IndexGuardSql(constraint='CONSTRAINT', func="\n            IF EXISTS (\n                SELECT 1 FROM public.payments_reviewcase c JOIN public.payments_deposit d ON d.id = c.deposit_id\n                WHERE c.id = NEW.id AND (\n                    (c.status IN ('to_match', 'open')) <> (d.status = 'suspended')\n                    OR (c.status = 'matched') <> (d.status = 'matched')\n                )\n            ) THEN\n                RAISE EXCEPTION 'payments_reviewcase: it is open if and only if its deposit is in suspense'\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='446787633a44bd51aaeef710efc60e4028a2da45', operation='INSERT OR UPDATE', pgid='pgtrigger_resolved_is_credited_e0bed', table='payments_reviewcase', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        AddConstraintNotValid(
            model_name='reviewcase',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('resolved_at__isnull', True), ('status__in', ['to_match', 'open'])), models.Q(models.Q(('status__in', ['to_match', 'open']), _negated=True), ('resolved_at__isnull', False)), _connector='OR'), name='review_case_resolved_has_moment'),
        ),
        AddConstraintNotValid(
            model_name='reviewcase',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('payout__isnull', False), ('status', 'matched')), models.Q(models.Q(('status', 'matched'), _negated=True), ('payout__isnull', True)), _connector='OR'), name='review_case_matched_has_payout'),
        ),
    ]
