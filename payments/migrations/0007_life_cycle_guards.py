"""What the new columns must say, and the triggers that hold it.

A notice that the code of the release before cannot book under them meanwhile is answered 5xx, kept in ``retry`` and
booked by the new code.
"""

import django.contrib.postgres.constraints
import django.contrib.postgres.fields.ranges
import django.db.models.expressions
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

import core.db
import payments.models.fee_rule


class Migration(migrations.Migration):

    dependencies = [
        ("payments", "0006_life_cycle_backfill"),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name='deposit',
            name='status_guard',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='deposit',
            name='frozen_once',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='deposit',
            name='same_mode',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='payment',
            name='frozen',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='payment',
            name='frozen_once',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='payment',
            name='same_mode',
        ),
        migrations.RemoveConstraint(
            model_name='feerule',
            name='fee_rule_unique',
        ),
        migrations.RemoveConstraint(
            model_name='payment',
            name='payment_spei_has_clabe',
        ),
        migrations.AddConstraint(
            model_name='feerule',
            constraint=django.contrib.postgres.constraints.ExclusionConstraint(expressions=[('merchant', '='), ('method', '='), (payments.models.fee_rule.DateRange(models.F('valid_from'), models.F('valid_until'), django.contrib.postgres.fields.ranges.RangeBoundary(inclusive_lower=True, inclusive_upper=True)), '&&')], name='fee_rule_periods_apart', violation_error_message='This merchant already has a fee for this method in that period.'),
        ),
        migrations.AddConstraint(
            model_name='feerule',
            constraint=models.CheckConstraint(condition=models.Q(('valid_until__isnull', True), ('valid_until__gte', models.F('valid_from')), _connector='OR'), name='fee_rule_period_not_empty', violation_error_message='The last day is before the first.'),
        ),
        migrations.AddConstraint(
            model_name='deposit',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gte', django.db.models.expressions.CombinedExpression(models.F('fee'), '+', models.F('fee_tax'))), ('fee__gte', 0), ('fee_tax__gte', 0)), name='deposit_fee_within_amount'),
        ),
        migrations.AddConstraint(
            model_name='deposit',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'suspended'), _negated=True), models.Q(('fee', 0), ('fee_tax', 0)), _connector='OR'), name='deposit_suspended_has_no_fee'),
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
        pgtrigger.migrations.AddTrigger(
            model_name='deposit',
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('credited', 'suspended') THEN\n                    RAISE EXCEPTION 'payments_deposit: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('received', 'credited'), ('received', 'suspended'), ('suspended', 'credited')) THEN\n                RAISE EXCEPTION 'payments_deposit: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='6d1805e153bbcda34a0cce8cef27a522bd198b3d', operation='INSERT OR UPDATE', pgid='pgtrigger_status_guard_178db', table='payments_deposit', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='deposit',
            trigger=pgtrigger.compiler.Trigger(name='frozen_once', sql=core.db.GuardSql(func="\n            IF (OLD.status = 'credited') AND (NEW.payment_id, NEW.reusable_clabe_id, NEW.suspense_reason, NEW.fee, NEW.fee_tax) IS DISTINCT FROM (OLD.payment_id, OLD.reusable_clabe_id, OLD.suspense_reason, OLD.fee, OLD.fee_tax) THEN\n                RAISE EXCEPTION 'payments_deposit: payment_id, reusable_clabe_id, suspense_reason, fee, fee_tax cannot change any more'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='4ceb55f40651adc1580eaf78737981564df0e964', operation='UPDATE', pgid='pgtrigger_frozen_once_4702d', table='payments_deposit', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='deposit',
            trigger=pgtrigger.compiler.Trigger(name='same_mode', sql=core.db.GuardSql(func="\n                IF EXISTS (\n                    SELECT 1 FROM public.payments_provideraccount WHERE id = NEW.provider_account_id AND livemode <> NEW.livemode\n                ) THEN\n                    RAISE EXCEPTION 'payments_deposit: its provider_account is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                IF NEW.payment_id IS NOT NULL THEN \n                IF EXISTS (\n                    SELECT 1 FROM public.payments_payment WHERE id = NEW.payment_id AND livemode <> NEW.livemode\n                ) THEN\n                    RAISE EXCEPTION 'payments_deposit: its payment is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                 END IF;IF NEW.reusable_clabe_id IS NOT NULL THEN \n                IF EXISTS (\n                    SELECT 1 FROM public.payments_clabe WHERE id = NEW.reusable_clabe_id AND livemode <> NEW.livemode\n                ) THEN\n                    RAISE EXCEPTION 'payments_deposit: its reusable_clabe is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                 END IF;RETURN NEW;", hash='178c822bc51ce4c680b12469dc5579ace8fa4600', operation='INSERT OR UPDATE', pgid='pgtrigger_same_mode_84800', table='payments_deposit', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='deposit',
            trigger=pgtrigger.compiler.Trigger(name='figures_match', sql=core.db.IndexGuardSql(condition="WHEN (NEW.status = 'credited')", constraint='CONSTRAINT', func="\n            IF EXISTS (\n                SELECT 1 FROM public.payments_payment p CROSS JOIN LATERAL (\n                    SELECT coalesce(sum(amount), 0) AS amount, coalesce(sum(fee), 0) AS fee,\n                        coalesce(sum(fee_tax), 0) AS fee_tax\n                    FROM public.payments_deposit WHERE payment_id = p.id AND status = 'credited'\n                ) d\n                WHERE p.id = NEW.payment_id\n                    AND (p.amount_received, p.fee, p.fee_tax) IS DISTINCT FROM (d.amount, d.fee, d.fee_tax)\n            ) THEN\n                RAISE EXCEPTION 'payments_payment: its figures are not those of its credited deposits'\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='ba62f7d163fb1a4c5bed3afc2a0acac0afca6689', operation='INSERT OR UPDATE', pgid='pgtrigger_figures_match_2a424', table='payments_deposit', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='deposit',
            trigger=pgtrigger.compiler.Trigger(name='has_case', sql=core.db.IndexGuardSql(condition="WHEN (NEW.status = 'suspended')", constraint='CONSTRAINT', func="\n            IF NOT EXISTS (SELECT 1 FROM public.payments_reviewcase WHERE deposit_id = NEW.id) THEN\n                RAISE EXCEPTION 'payments_deposit: money in suspense needs a review case'\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='d1e9b6d3f7c2b6ca41148393e64020f78f5b9462', operation='INSERT', pgid='pgtrigger_has_case_72ba0', table='payments_deposit', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payment',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.public_id, NEW.merchant_id, NEW.livemode, NEW.provider_account_id, NEW.method, NEW.amount, NEW.currency, NEW.clabe, NEW.reference_number, NEW.fee_percent, NEW.fee_fixed, NEW.fee_iva, NEW.made_by, NEW.reusable_clabe_id) IS DISTINCT FROM (OLD.public_id, OLD.merchant_id, OLD.livemode, OLD.provider_account_id, OLD.method, OLD.amount, OLD.currency, OLD.clabe, OLD.reference_number, OLD.fee_percent, OLD.fee_fixed, OLD.fee_iva, OLD.made_by, OLD.reusable_clabe_id) THEN\n                RAISE EXCEPTION 'payments_payment: public_id, merchant_id, livemode, provider_account_id, method, amount, currency, clabe, reference_number, fee_percent, fee_fixed, fee_iva, made_by, reusable_clabe_id cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='331ec61506068cb218b7a656622ed6b24bc0895a', operation='UPDATE', pgid='pgtrigger_frozen_d1f35', table='payments_payment', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payment',
            trigger=pgtrigger.compiler.Trigger(name='frozen_once', sql=core.db.GuardSql(func="\n            IF (OLD.status IN ('completed', 'reversed')) AND (NEW.completed_at, NEW.tracking_key, NEW.payer_name, NEW.payer_account, NEW.payer_institution, NEW.operating_date) IS DISTINCT FROM (OLD.completed_at, OLD.tracking_key, OLD.payer_name, OLD.payer_account, OLD.payer_institution, OLD.operating_date) THEN\n                RAISE EXCEPTION 'payments_payment: completed_at, tracking_key, payer_name, payer_account, payer_institution, operating_date cannot change any more'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='c7984529edd634cd0b01996c603174aa12acd111', operation='UPDATE', pgid='pgtrigger_frozen_once_ba065', table='payments_payment', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payment',
            trigger=pgtrigger.compiler.Trigger(name='same_mode', sql=core.db.GuardSql(func="\n                IF EXISTS (\n                    SELECT 1 FROM public.payments_provideraccount WHERE id = NEW.provider_account_id AND livemode <> NEW.livemode\n                ) THEN\n                    RAISE EXCEPTION 'payments_payment: its provider_account is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                IF NEW.reusable_clabe_id IS NOT NULL THEN \n                IF EXISTS (\n                    SELECT 1 FROM public.payments_clabe WHERE id = NEW.reusable_clabe_id AND livemode <> NEW.livemode\n                ) THEN\n                    RAISE EXCEPTION 'payments_payment: its reusable_clabe is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                 END IF;RETURN NEW;", hash='426e58f658b0e90635b9e740b4a3bc58421ff87c', operation='INSERT OR UPDATE', pgid='pgtrigger_same_mode_58d73', table='payments_payment', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payment',
            trigger=pgtrigger.compiler.Trigger(name='figures_match', sql=core.db.IndexGuardSql(condition='WHEN (OLD."amount_received" IS DISTINCT FROM (NEW."amount_received") OR OLD."fee" IS DISTINCT FROM (NEW."fee") OR OLD."fee_tax" IS DISTINCT FROM (NEW."fee_tax"))', constraint='CONSTRAINT', func="\n            IF EXISTS (\n                SELECT 1 FROM public.payments_payment p CROSS JOIN LATERAL (\n                    SELECT coalesce(sum(amount), 0) AS amount, coalesce(sum(fee), 0) AS fee,\n                        coalesce(sum(fee_tax), 0) AS fee_tax\n                    FROM public.payments_deposit WHERE payment_id = p.id AND status = 'credited'\n                ) d\n                WHERE p.id = NEW.id\n                    AND (p.amount_received, p.fee, p.fee_tax) IS DISTINCT FROM (d.amount, d.fee, d.fee_tax)\n            ) THEN\n                RAISE EXCEPTION 'payments_payment: its figures are not those of its credited deposits'\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='cd4dc367c2d5b61569dd00907260563b4edb6a85', operation='UPDATE', pgid='pgtrigger_figures_match_a3f6b', table='payments_payment', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
    ]
