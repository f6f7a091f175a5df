"""Messages of triggers, labels and help texts in plain English. No column changes."""

import core.clock
import core.db
import datetime
import django.contrib.postgres.fields
import payments.models.fee_rule
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('payments', '0021_provider_calls'),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name='deposit',
            name='figures_match',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='deposit',
            name='in_books',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='feerule',
            name='ends_and_begins',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='payment',
            name='figures_match',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='payment',
            name='refunds_behind',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='providercall',
            name='filled_once',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='report',
            name='removed_late',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='reviewcase',
            name='resolved_is_credited',
        ),
        migrations.AlterField(
            model_name='clabe',
            name='max_amount',
            field=models.BigIntegerField(blank=True, help_text='Centavos.', null=True, verbose_name='maximum amount'),
        ),
        migrations.AlterField(
            model_name='clabe',
            name='min_amount',
            field=models.BigIntegerField(blank=True, help_text='Centavos.', null=True, verbose_name='minimum amount'),
        ),
        migrations.AlterField(
            model_name='deposit',
            name='paid_at',
            field=models.DateTimeField(help_text='Time of payment according to the provider.', verbose_name='paid'),
        ),
        migrations.AlterField(
            model_name='deposit',
            name='provider_event',
            field=models.CharField(help_text='Public id of the first notice that reported it, or of the order.', max_length=64, verbose_name='provider event'),
        ),
        migrations.AlterField(
            model_name='deposit',
            name='suspense_reason',
            field=models.CharField(blank=True, choices=[('unknown_clabe', 'no payment has this CLABE'), ('unknown_order', 'no payment belongs to this order'), ('underpaid', "less than the payment's amount"), ('overpaid', "more than the payment's amount"), ('late', 'paid after the payment expired or was cancelled'), ('already_paid', 'the payment is already paid'), ('not_payable', 'the payment cannot receive money'), ('out_of_range', 'outside the amount limits of the CLABE'), ('clabe_closed', 'paid after the CLABE was closed'), ('returned_transfer', 'an outgoing transfer that was returned')], max_length=32, verbose_name='why in suspense'),
        ),
        migrations.AlterField(
            model_name='feerule',
            name='valid_from',
            field=models.DateField(db_default=datetime.date(2020, 1, 1), default=payments.models.fee_rule.today, help_text='First day, in Mexico City. Earlier payments keep their fee.', verbose_name='valid from'),
        ),
        migrations.AlterField(
            model_name='feerule',
            name='valid_until',
            field=models.DateField(blank=True, help_text='Last day, inclusive. Empty: unlimited.', null=True, verbose_name='valid until'),
        ),
        migrations.AlterField(
            model_name='payment',
            name='voucher_asked_until',
            field=models.DateTimeField(blank=True, editable=False, help_text='End of the lease of the process that calls Conekta about this payment.', null=True),
        ),
        migrations.AlterField(
            model_name='provideraccount',
            name='hears_notices',
            field=models.BooleanField(default=True, help_text='Its notices are accepted, and its provider is polled. Money may still arrive after the last use.', verbose_name='accepts notices'),
        ),
        migrations.AlterField(
            model_name='provideraccount',
            name='takes_new',
            field=models.BooleanField(default=True, help_text='New payments and CLABEs are created here. Only one account per provider and mode.', verbose_name='takes new payments'),
        ),
        migrations.AlterField(
            model_name='provideraccount',
            name='webhook_networks',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=43), blank=True, help_text='Networks (CIDR) from which STP sends notices; empty: any.', null=True, size=None, verbose_name='allowed addresses'),
        ),
        migrations.AlterField(
            model_name='providercall',
            name='answer',
            field=models.TextField(blank=True, default='', verbose_name='response'),
        ),
        migrations.AlterField(
            model_name='providercall',
            name='began_at',
            field=models.DateTimeField(default=core.clock.now, verbose_name='started'),
        ),
        migrations.AlterField(
            model_name='report',
            name='end_date',
            field=models.DateField(help_text='Inclusive.', verbose_name='last day'),
        ),
        migrations.AlterField(
            model_name='report',
            name='leased_until',
            field=models.DateTimeField(blank=True, help_text="End of the writer's lease.", null=True),
        ),
        migrations.AlterField(
            model_name='report',
            name='rows_total',
            field=models.BigIntegerField(blank=True, null=True, verbose_name='total rows'),
        ),
        migrations.AlterField(
            model_name='report',
            name='start_date',
            field=models.DateField(help_text='In Mexico City.', verbose_name='first day'),
        ),
        migrations.AlterField(
            model_name='reviewcase',
            name='reason',
            field=models.CharField(choices=[('unknown_clabe', 'no payment has this CLABE'), ('unknown_order', 'no payment belongs to this order'), ('underpaid', "less than the payment's amount"), ('overpaid', "more than the payment's amount"), ('late', 'paid after the payment expired or was cancelled'), ('already_paid', 'the payment is already paid'), ('not_payable', 'the payment cannot receive money'), ('out_of_range', 'outside the amount limits of the CLABE'), ('clabe_closed', 'paid after the CLABE was closed'), ('returned_transfer', 'an outgoing transfer that was returned')], max_length=32, verbose_name='reason'),
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
            model_name='feerule',
            trigger=pgtrigger.compiler.Trigger(name='ends_and_begins', sql=core.db.IndexGuardSql(declare="DECLARE today date := (pg_catalog.clock_timestamp() AT TIME ZONE 'America/Mexico_City')::date; begun boolean := true;", func="\n            IF TG_OP = 'INSERT' OR OLD.valid_from > today THEN\n                begun := TG_OP <> 'INSERT' AND EXISTS (\n                    SELECT 1 FROM public.payments_payment WHERE merchant_id = OLD.merchant_id AND method = OLD.method\n                        AND created_at >= OLD.valid_from::timestamp AT TIME ZONE 'America/Mexico_City'\n                );\n            END IF;\n            IF TG_OP = 'DELETE' THEN\n                IF begun THEN\n                    RAISE EXCEPTION 'payments_feerule: a fee that has begun or was used cannot be deleted'\n                        USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                RETURN OLD;\n            END IF;\n            IF NOT begun THEN\n                IF NEW.valid_from < today THEN\n                    RAISE EXCEPTION 'payments_feerule: a fee must begin today or later'\n                        USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                RETURN NEW;\n            END IF;\n            IF (NEW.merchant_id, NEW.method, NEW.percent, NEW.fixed, NEW.valid_from)\n                    IS DISTINCT FROM (OLD.merchant_id, OLD.method, OLD.percent, OLD.fixed, OLD.valid_from) THEN\n                RAISE EXCEPTION 'payments_feerule: a fee that has begun or was used cannot change, only end'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            IF NEW.valid_until IS DISTINCT FROM OLD.valid_until AND (\n                OLD.valid_until < today OR NEW.valid_until < today OR EXISTS (\n                    SELECT 1 FROM public.payments_payment WHERE merchant_id = OLD.merchant_id AND method = OLD.method\n                        AND created_at >= (NEW.valid_until + 1)::timestamp AT TIME ZONE 'America/Mexico_City'\n                        AND created_at < (coalesce(OLD.valid_until, date '9999-01-01') + 1)::timestamp\n                            AT TIME ZONE 'America/Mexico_City'\n                )\n            ) THEN\n                RAISE EXCEPTION 'payments_feerule: a fee must end today or later, after its last payment, and only once'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='33898d3d31dcb7f98baa65c358d807d3eaba11cd', operation='INSERT OR UPDATE OR DELETE', pgid='pgtrigger_ends_and_begins_1bb1a', table='payments_feerule', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payment',
            trigger=pgtrigger.compiler.Trigger(name='figures_match', sql=core.db.IndexGuardSql(condition='WHEN (OLD."amount_received" IS DISTINCT FROM (NEW."amount_received") OR OLD."fee" IS DISTINCT FROM (NEW."fee") OR OLD."fee_tax" IS DISTINCT FROM (NEW."fee_tax"))', constraint='CONSTRAINT', func="\n            IF EXISTS (\n                SELECT 1 FROM public.payments_payment p CROSS JOIN LATERAL (\n                    SELECT coalesce(sum(amount), 0) AS amount, coalesce(sum(fee), 0) AS fee,\n                        coalesce(sum(fee_tax), 0) AS fee_tax\n                    FROM public.payments_deposit WHERE payment_id = p.id AND status = 'credited'\n                ) d\n                WHERE p.id = NEW.id\n                    AND (p.amount_received, p.fee, p.fee_tax) IS DISTINCT FROM (d.amount, d.fee, d.fee_tax)\n            ) THEN\n                RAISE EXCEPTION 'payments_payment: amounts differ from those of its credited deposits'\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='07f6c21afd5ba5d2f4519a62c0a2fa52026c3dcd', operation='UPDATE', pgid='pgtrigger_figures_match_a3f6b', table='payments_payment', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payment',
            trigger=pgtrigger.compiler.Trigger(name='refunds_behind', sql=core.db.IndexGuardSql(condition="WHEN (NEW.amount_refunded <> OLD.amount_refunded OR (NEW.status = 'reversed' AND OLD.status <> NEW.status))", constraint='CONSTRAINT', func="\n            IF EXISTS (\n                SELECT 1 FROM public.payments_payment p WHERE p.id = NEW.id\n                    AND (p.amount_refunded <> (0) OR (p.status = 'reversed' AND NOT (false)))\n            ) THEN\n                RAISE EXCEPTION 'payments_payment: no refund for % refunded and status %',\n                    NEW.amount_refunded, NEW.status USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='831158f455e7792d125ceaf8e8f7c6b2238e8719', operation='UPDATE OF "amount_refunded", "status"', pgid='pgtrigger_refunds_behind_accbe', table='payments_payment', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='providercall',
            trigger=pgtrigger.compiler.Trigger(name='filled_once', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.outcome <> '' THEN\n                    RAISE EXCEPTION 'payments_providercall: outcome must be empty in a new row'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF OLD.outcome <> '' OR NEW.outcome = '' OR (NEW.id, NEW.account_id, NEW.livemode, NEW.operation, NEW.object_id, NEW.request, NEW.began_at) IS DISTINCT FROM (OLD.id, OLD.account_id, OLD.livemode, OLD.operation, OLD.object_id, OLD.request, OLD.began_at) THEN\n                RAISE EXCEPTION 'payments_providercall: outcome is filled in once, and no other column changes'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='abed9797f348e701103ad9bc83035634554cb417', operation='INSERT OR UPDATE', pgid='pgtrigger_filled_once_10ef9', table='payments_providercall', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='report',
            trigger=pgtrigger.compiler.Trigger(name='removed_late', sql=core.db.GuardSql(condition='WHEN ((NEW.removed_at) IS DISTINCT FROM (OLD.removed_at) AND (OLD.removed_at IS NULL AND NEW.removed_at >= OLD.expires_at) IS NOT TRUE)', func="\n            RAISE EXCEPTION 'payments_report: removed_at can only be set once, after the file has expired'\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='56de52ef7f1c992e7f0712dd587e0393afd1c22a', operation='UPDATE OF "removed_at"', pgid='pgtrigger_removed_late_1b65c', table='payments_report', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reviewcase',
            trigger=pgtrigger.compiler.Trigger(name='resolved_is_credited', sql=core.db.IndexGuardSql(constraint='CONSTRAINT', func="\n            IF EXISTS (\n                SELECT 1 FROM public.payments_reviewcase c JOIN public.payments_deposit d ON d.id = c.deposit_id\n                WHERE c.id = NEW.id AND (c.status = 'open') <> (d.status = 'suspended')\n            ) THEN\n                RAISE EXCEPTION 'payments_reviewcase: it is open if and only if its deposit is in suspense'\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='e347ebdc07e90a94b5574eaf5ade1447d1c58041', operation='INSERT OR UPDATE', pgid='pgtrigger_resolved_is_credited_e0bed', table='payments_reviewcase', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
    ]
