"""Guards fire for the columns they judge, and for no other UPDATE. ``same_mode`` also refuses what is not there.

So the foreign keys that it names need no constraint: what they point to keeps its rows and its id.
"""

import core.db
import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('payments', '0015_deposit_provider_event'),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name='clabe',
            name='status_guard',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='clabe',
            name='frozen',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='clabe',
            name='frozen_once',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='clabe',
            name='same_mode',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='deposit',
            name='frozen',
        ),
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
            name='status_guard',
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
        pgtrigger.migrations.RemoveTrigger(
            model_name='provideraccount',
            name='frozen',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='report',
            name='status_guard',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='report',
            name='frozen',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='report',
            name='frozen_once',
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
            name='frozen_once',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='reviewcase',
            name='same_mode',
        ),
        migrations.AlterField(
            model_name='deposit',
            name='payment',
            field=models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='deposits', to='payments.payment', verbose_name='payment'),
        ),
        migrations.AlterField(
            model_name='deposit',
            name='provider_account',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='deposits', to='payments.provideraccount'),
        ),
        migrations.AlterField(
            model_name='deposit',
            name='reusable_clabe',
            field=models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='deposits', to='payments.clabe', verbose_name='reusable CLABE'),
        ),
        migrations.AlterField(
            model_name='payment',
            name='provider_account',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='payments', to='payments.provideraccount'),
        ),
        migrations.AlterField(
            model_name='payment',
            name='reusable_clabe',
            field=models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='payments', to='payments.clabe', verbose_name='reusable CLABE'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='clabe',
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('active') THEN\n                    RAISE EXCEPTION 'payments_clabe: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('active', 'closed')) THEN\n                RAISE EXCEPTION 'payments_clabe: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='a39993b0a6721859d99e0bf7a047ea06f6c13d19', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_status_guard_3195e', table='payments_clabe', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='clabe',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.public_id, NEW.merchant_id, NEW.livemode, NEW.provider_account_id, NEW.clabe, NEW.min_amount, NEW.max_amount) IS DISTINCT FROM (OLD.id, OLD.public_id, OLD.merchant_id, OLD.livemode, OLD.provider_account_id, OLD.clabe, OLD.min_amount, OLD.max_amount) THEN\n                RAISE EXCEPTION 'payments_clabe: id, public_id, merchant_id, livemode, provider_account_id, clabe, min_amount, max_amount cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='ff81c095349ff3b2c6b07b1e9feb15e3135019cb', operation='UPDATE OF "id", "public_id", "merchant_id", "livemode", "provider_account_id", "clabe", "min_amount", "max_amount"', pgid='pgtrigger_frozen_6ca11', table='payments_clabe', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='clabe',
            trigger=pgtrigger.compiler.Trigger(name='frozen_once', sql=core.db.GuardSql(func="\n            IF (OLD.status = 'closed') AND (NEW.closed_at) IS DISTINCT FROM (OLD.closed_at) THEN\n                RAISE EXCEPTION 'payments_clabe: closed_at cannot change any more'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='403204dd6e2384237beca61dbc53ef0e7fe71464', operation='UPDATE OF "closed_at"', pgid='pgtrigger_frozen_once_8d361', table='payments_clabe', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='clabe',
            trigger=pgtrigger.compiler.Trigger(name='same_mode', sql=core.db.GuardSql(func="\n                IF NOT EXISTS (\n                    SELECT 1 FROM public.payments_provideraccount WHERE id = NEW.provider_account_id AND livemode = NEW.livemode\n                ) THEN\n                    PERFORM 1 FROM public.payments_provideraccount WHERE id = NEW.provider_account_id;\n                    IF NOT FOUND THEN\n                        RAISE EXCEPTION 'payments_clabe: its provider_account is not there'\n                            USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RAISE EXCEPTION 'payments_clabe: its provider_account is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                RETURN NEW;", hash='f75616dd65dccea5da69d189d5ffcaea6c1f0776', operation='INSERT OR UPDATE OF "provider_account_id", "livemode"', pgid='pgtrigger_same_mode_4cb58', table='payments_clabe', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='deposit',
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('credited', 'suspended') THEN\n                    RAISE EXCEPTION 'payments_deposit: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('received', 'credited'), ('received', 'suspended'), ('suspended', 'credited')) THEN\n                RAISE EXCEPTION 'payments_deposit: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='98882bf870a7bf578b41885e95cf8a8e52076b10', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_status_guard_178db', table='payments_deposit', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='deposit',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.public_id, NEW.provider_account_id, NEW.livemode, NEW.deposit_key, NEW.amount, NEW.currency, NEW.paid_at, NEW.operating_date, NEW.clabe, NEW.tracking_key, NEW.payer_account, NEW.provider_event) IS DISTINCT FROM (OLD.public_id, OLD.provider_account_id, OLD.livemode, OLD.deposit_key, OLD.amount, OLD.currency, OLD.paid_at, OLD.operating_date, OLD.clabe, OLD.tracking_key, OLD.payer_account, OLD.provider_event) THEN\n                RAISE EXCEPTION 'payments_deposit: public_id, provider_account_id, livemode, deposit_key, amount, currency, paid_at, operating_date, clabe, tracking_key, payer_account, provider_event cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='e32a3cff15dfbf285e9c70a36c5b31b10971be90', operation='UPDATE OF "public_id", "provider_account_id", "livemode", "deposit_key", "amount", "currency", "paid_at", "operating_date", "clabe", "tracking_key", "payer_account", "provider_event"', pgid='pgtrigger_frozen_188a0', table='payments_deposit', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='deposit',
            trigger=pgtrigger.compiler.Trigger(name='frozen_once', sql=core.db.GuardSql(func="\n            IF (OLD.status = 'credited') AND (NEW.payment_id, NEW.reusable_clabe_id, NEW.suspense_reason, NEW.fee, NEW.fee_tax) IS DISTINCT FROM (OLD.payment_id, OLD.reusable_clabe_id, OLD.suspense_reason, OLD.fee, OLD.fee_tax) THEN\n                RAISE EXCEPTION 'payments_deposit: payment_id, reusable_clabe_id, suspense_reason, fee, fee_tax cannot change any more'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='364c96e06017e3e9feb0df5c463f45fc8e3dca26', operation='UPDATE OF "payment_id", "reusable_clabe_id", "suspense_reason", "fee", "fee_tax"', pgid='pgtrigger_frozen_once_4702d', table='payments_deposit', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='deposit',
            trigger=pgtrigger.compiler.Trigger(name='same_mode', sql=core.db.GuardSql(func="\n                IF NOT EXISTS (\n                    SELECT 1 FROM public.payments_provideraccount WHERE id = NEW.provider_account_id AND livemode = NEW.livemode\n                ) THEN\n                    PERFORM 1 FROM public.payments_provideraccount WHERE id = NEW.provider_account_id;\n                    IF NOT FOUND THEN\n                        RAISE EXCEPTION 'payments_deposit: its provider_account is not there'\n                            USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RAISE EXCEPTION 'payments_deposit: its provider_account is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                IF NEW.payment_id IS NOT NULL THEN \n                IF NOT EXISTS (\n                    SELECT 1 FROM public.payments_payment WHERE id = NEW.payment_id AND livemode = NEW.livemode\n                ) THEN\n                    PERFORM 1 FROM public.payments_payment WHERE id = NEW.payment_id;\n                    IF NOT FOUND THEN\n                        RAISE EXCEPTION 'payments_deposit: its payment is not there'\n                            USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RAISE EXCEPTION 'payments_deposit: its payment is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                 END IF;IF NEW.reusable_clabe_id IS NOT NULL THEN \n                IF NOT EXISTS (\n                    SELECT 1 FROM public.payments_clabe WHERE id = NEW.reusable_clabe_id AND livemode = NEW.livemode\n                ) THEN\n                    PERFORM 1 FROM public.payments_clabe WHERE id = NEW.reusable_clabe_id;\n                    IF NOT FOUND THEN\n                        RAISE EXCEPTION 'payments_deposit: its reusable_clabe is not there'\n                            USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RAISE EXCEPTION 'payments_deposit: its reusable_clabe is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                 END IF;RETURN NEW;", hash='5f25f2e369d098bb433db692c1c1a90d96298fb8', operation='INSERT OR UPDATE OF "provider_account_id", "payment_id", "reusable_clabe_id", "livemode"', pgid='pgtrigger_same_mode_84800', table='payments_deposit', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payment',
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('pending') THEN\n                    RAISE EXCEPTION 'payments_payment: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('cancelled', 'completed'), ('completed', 'reversed'), ('expired', 'completed'), ('pending', 'cancelled'), ('pending', 'completed'), ('pending', 'expired'), ('pending', 'failed'), ('pending', 'processing'), ('processing', 'cancelled'), ('processing', 'completed'), ('processing', 'expired'), ('processing', 'failed')) THEN\n                RAISE EXCEPTION 'payments_payment: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='2457194abb6606f50b9cf66447fe4b2eb55947b9', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_status_guard_05abf', table='payments_payment', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payment',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.public_id, NEW.merchant_id, NEW.livemode, NEW.provider_account_id, NEW.method, NEW.amount, NEW.currency, NEW.clabe, NEW.reference_number, NEW.fee_percent, NEW.fee_fixed, NEW.fee_iva, NEW.made_by, NEW.reusable_clabe_id) IS DISTINCT FROM (OLD.id, OLD.public_id, OLD.merchant_id, OLD.livemode, OLD.provider_account_id, OLD.method, OLD.amount, OLD.currency, OLD.clabe, OLD.reference_number, OLD.fee_percent, OLD.fee_fixed, OLD.fee_iva, OLD.made_by, OLD.reusable_clabe_id) THEN\n                RAISE EXCEPTION 'payments_payment: id, public_id, merchant_id, livemode, provider_account_id, method, amount, currency, clabe, reference_number, fee_percent, fee_fixed, fee_iva, made_by, reusable_clabe_id cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='cae5d3e284547ba8a2c25644debb904f898be101', operation='UPDATE OF "id", "public_id", "merchant_id", "livemode", "provider_account_id", "method", "amount", "currency", "clabe", "reference_number", "fee_percent", "fee_fixed", "fee_iva", "made_by", "reusable_clabe_id"', pgid='pgtrigger_frozen_d1f35', table='payments_payment', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payment',
            trigger=pgtrigger.compiler.Trigger(name='frozen_once', sql=core.db.GuardSql(func="\n            IF (OLD.status IN ('completed', 'reversed')) AND (NEW.completed_at, NEW.tracking_key, NEW.payer_name, NEW.payer_account, NEW.payer_institution, NEW.operating_date) IS DISTINCT FROM (OLD.completed_at, OLD.tracking_key, OLD.payer_name, OLD.payer_account, OLD.payer_institution, OLD.operating_date) THEN\n                RAISE EXCEPTION 'payments_payment: completed_at, tracking_key, payer_name, payer_account, payer_institution, operating_date cannot change any more'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='c0f819802945097a552d48d1138ab792aabd82df', operation='UPDATE OF "completed_at", "tracking_key", "payer_name", "payer_account", "payer_institution", "operating_date"', pgid='pgtrigger_frozen_once_ba065', table='payments_payment', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payment',
            trigger=pgtrigger.compiler.Trigger(name='same_mode', sql=core.db.GuardSql(func="\n                IF NOT EXISTS (\n                    SELECT 1 FROM public.payments_provideraccount WHERE id = NEW.provider_account_id AND livemode = NEW.livemode\n                ) THEN\n                    PERFORM 1 FROM public.payments_provideraccount WHERE id = NEW.provider_account_id;\n                    IF NOT FOUND THEN\n                        RAISE EXCEPTION 'payments_payment: its provider_account is not there'\n                            USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RAISE EXCEPTION 'payments_payment: its provider_account is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                IF NEW.reusable_clabe_id IS NOT NULL THEN \n                IF NOT EXISTS (\n                    SELECT 1 FROM public.payments_clabe WHERE id = NEW.reusable_clabe_id AND livemode = NEW.livemode\n                ) THEN\n                    PERFORM 1 FROM public.payments_clabe WHERE id = NEW.reusable_clabe_id;\n                    IF NOT FOUND THEN\n                        RAISE EXCEPTION 'payments_payment: its reusable_clabe is not there'\n                            USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RAISE EXCEPTION 'payments_payment: its reusable_clabe is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                 END IF;RETURN NEW;", hash='3de126606cf50dd35a19a117e3b72ef6983e1d93', operation='INSERT OR UPDATE OF "provider_account_id", "reusable_clabe_id", "livemode"', pgid='pgtrigger_same_mode_58d73', table='payments_payment', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='provideraccount',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.provider, NEW.livemode, NEW.clabe_prefix, NEW.clabe_sequence) IS DISTINCT FROM (OLD.id, OLD.provider, OLD.livemode, OLD.clabe_prefix, OLD.clabe_sequence) THEN\n                RAISE EXCEPTION 'payments_provideraccount: id, provider, livemode, clabe_prefix, clabe_sequence cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='38d1e1dddce2b39f7a1a5a14e416c3a5f1b2109f', operation='UPDATE OF "id", "provider", "livemode", "clabe_prefix", "clabe_sequence"', pgid='pgtrigger_frozen_02bcc', table='payments_provideraccount', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='report',
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('pending') THEN\n                    RAISE EXCEPTION 'payments_report: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('pending', 'failed'), ('pending', 'processing'), ('processing', 'completed'), ('processing', 'failed')) THEN\n                RAISE EXCEPTION 'payments_report: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='99e0b2a840f3ddbd6615180043228cee7da21ef0', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_status_guard_69fed', table='payments_report', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='report',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.public_id, NEW.merchant_id, NEW.livemode, NEW.type, NEW.start_date, NEW.end_date) IS DISTINCT FROM (OLD.public_id, OLD.merchant_id, OLD.livemode, OLD.type, OLD.start_date, OLD.end_date) THEN\n                RAISE EXCEPTION 'payments_report: public_id, merchant_id, livemode, type, start_date, end_date cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='572ba0e4a64d536df6090128292d23a29de9eb28', operation='UPDATE OF "public_id", "merchant_id", "livemode", "type", "start_date", "end_date"', pgid='pgtrigger_frozen_56f16', table='payments_report', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='report',
            trigger=pgtrigger.compiler.Trigger(name='frozen_once', sql=core.db.GuardSql(func="\n            IF (OLD.status IN ('completed', 'failed')) AND (NEW.rows_done, NEW.rows_total, NEW.size, NEW.sha256, NEW.completed_at) IS DISTINCT FROM (OLD.rows_done, OLD.rows_total, OLD.size, OLD.sha256, OLD.completed_at) THEN\n                RAISE EXCEPTION 'payments_report: rows_done, rows_total, size, sha256, completed_at cannot change any more'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='cf8269853d974e8449055161deac4f70b8054e1f', operation='UPDATE OF "rows_done", "rows_total", "size", "sha256", "completed_at"', pgid='pgtrigger_frozen_once_6122f', table='payments_report', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reviewcase',
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('open') THEN\n                    RAISE EXCEPTION 'payments_reviewcase: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('open', 'assigned'), ('open', 'credited')) THEN\n                RAISE EXCEPTION 'payments_reviewcase: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='24f10f90797ad84bd9b4bca43e23397ff620100c', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_status_guard_2be27', table='payments_reviewcase', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reviewcase',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.public_id, NEW.livemode, NEW.deposit_id, NEW.merchant_id, NEW.payment_id, NEW.reason, NEW.created_at) IS DISTINCT FROM (OLD.public_id, OLD.livemode, OLD.deposit_id, OLD.merchant_id, OLD.payment_id, OLD.reason, OLD.created_at) THEN\n                RAISE EXCEPTION 'payments_reviewcase: public_id, livemode, deposit_id, merchant_id, payment_id, reason, created_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='508247cc82ebeb9be3c009ba5489039a078cb812', operation='UPDATE OF "public_id", "livemode", "deposit_id", "merchant_id", "payment_id", "reason", "created_at"', pgid='pgtrigger_frozen_f8870', table='payments_reviewcase', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reviewcase',
            trigger=pgtrigger.compiler.Trigger(name='frozen_once', sql=core.db.GuardSql(func="\n            IF (OLD.status <> 'open') AND (NEW.resolved_at, NEW.due_at) IS DISTINCT FROM (OLD.resolved_at, OLD.due_at) THEN\n                RAISE EXCEPTION 'payments_reviewcase: resolved_at, due_at cannot change any more'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='8af3fdb31a43c7df0ea9be60a7b8f4723611746f', operation='UPDATE OF "resolved_at", "due_at"', pgid='pgtrigger_frozen_once_c1e56', table='payments_reviewcase', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reviewcase',
            trigger=pgtrigger.compiler.Trigger(name='same_mode', sql=core.db.GuardSql(func="\n                IF NOT EXISTS (\n                    SELECT 1 FROM public.payments_deposit WHERE id = NEW.deposit_id AND livemode = NEW.livemode\n                ) THEN\n                    PERFORM 1 FROM public.payments_deposit WHERE id = NEW.deposit_id;\n                    IF NOT FOUND THEN\n                        RAISE EXCEPTION 'payments_reviewcase: its deposit is not there'\n                            USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RAISE EXCEPTION 'payments_reviewcase: its deposit is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                RETURN NEW;", hash='855f8050df940e471b1ede20658034ebe5d1aa03', operation='INSERT OR UPDATE OF "deposit_id", "livemode"', pgid='pgtrigger_same_mode_726ac', table='payments_reviewcase', when='BEFORE')),
        ),
    ]
