"""Refunds, and what they change of deposits, payments and payouts."""

import core.clock
import core.db
import core.fields
import core.ids
import django.db.models.deletion
import django.db.models.expressions
import functools
import pgtrigger.compiler
import pgtrigger.migrations
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('merchants', '0004_merchant_registration_data'),
        ('payments', '0013_returned_transfer_indexes'),
    ]

    operations = [
        migrations.CreateModel(
            name='Refund',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', core.fields.IdentifierField(default=functools.partial(core.ids.new_id, *('refund',), **{}), editable=False, max_length=40, unique=True, verbose_name='id')),
                ('livemode', models.BooleanField(verbose_name='live')),
                ('origin', models.CharField(choices=[('merchant', 'merchant'), ('provider', 'provider'), ('staff', 'staff')], default='merchant', max_length=8, verbose_name='asked for by')),
                ('status', models.CharField(choices=[('pending', 'pending'), ('processing', 'processing'), ('completed', 'completed'), ('failed', 'failed'), ('cancelled', 'cancelled'), ('returned', 'sent back')], default='pending', max_length=32, verbose_name='status')),
                ('amount', models.BigIntegerField(help_text='Centavos.', verbose_name='amount')),
                ('currency', models.CharField(max_length=3, verbose_name='currency')),
                ('reason', models.CharField(max_length=250, verbose_name='reason')),
                ('to_payer', models.BooleanField(verbose_name="to the payer's account")),
                ('destination_clabe', models.CharField(max_length=18, verbose_name='destination')),
                ('destination_bank', models.CharField(max_length=5, verbose_name='bank')),
                ('destination_name', models.CharField(max_length=40, verbose_name='beneficiary')),
                ('external_id', models.CharField(blank=True, max_length=100, null=True, verbose_name="merchant's id")),
                ('metadata', models.JSONField(blank=True, default=dict)),
                ('created_at', models.DateTimeField(default=core.clock.now, editable=False, verbose_name='created')),
            ],
            options={
                'verbose_name': 'refund',
                'verbose_name_plural': 'refunds',
                'ordering': ['-id'],
                'permissions': [('retry_refund', 'Can try refunds again')],
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='RefundTransition',
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
                'verbose_name': 'refund transition',
                'verbose_name_plural': 'refund transitions',
                'ordering': ['id'],
                'abstract': False,
            },
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='deposit',
            name='in_books',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='payment',
            name='refunds_behind',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='payout',
            name='status_guard',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='payout',
            name='frozen',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='payout',
            name='same_mode',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='payout',
            name='in_books',
        ),
        migrations.RemoveConstraint(
            model_name='payment',
            name='payment_refunds_within_received',
        ),
        migrations.AddField(
            model_name='deposit',
            name='amount_over_refunded',
            field=models.BigIntegerField(db_default=0, default=0, verbose_name='refunded in excess'),
        ),
        migrations.AddField(
            model_name='deposit',
            name='amount_refunded',
            field=models.BigIntegerField(db_default=0, default=0, verbose_name='refunded'),
        ),
        migrations.AddField(
            model_name='deposit',
            name='refund_reserved',
            field=models.BigIntegerField(db_default=0, default=0, verbose_name='reserved for refunds'),
        ),
        migrations.AddField(
            model_name='payment',
            name='amount_over_refunded',
            field=models.BigIntegerField(db_default=0, default=0, help_text='Centavos by which its refunds exceed what was received: an older attempt was settled late.', verbose_name='refunded in excess'),
        ),
        migrations.AddField(
            model_name='payment',
            name='refund_reserved',
            field=models.BigIntegerField(db_default=0, default=0, verbose_name='reserved for refunds'),
        ),
        migrations.AddField(
            model_name='payout',
            name='refund',
            field=models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='attempts', to='payments.refund', verbose_name='refund'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='deposit',
            trigger=pgtrigger.compiler.Trigger(name='in_books', sql=core.db.IndexGuardSql(constraint='CONSTRAINT', func="\n            IF NEW.status = 'matched' THEN\n                IF NOT EXISTS (\n                    SELECT 1 FROM public.payments_reviewcase c\n                    JOIN public.payments_payout p ON p.id = c.payout_id\n                    WHERE c.deposit_id = NEW.id AND c.status = 'matched' AND p.amount = NEW.amount\n                        AND p.returned_at IS NOT NULL\n                        AND NEW.amount = (\n                            SELECT sum(e.amount) FROM public.ledger_transaction t\n                            JOIN public.ledger_entry e ON e.transaction_id = t.id\n                            JOIN public.ledger_account a ON a.id = e.account_id AND a.purpose = 'suspense'\n                            WHERE (t.source = NEW.public_id AND t.kind = 'return_cleared')\n                                OR (t.source = p.public_id AND t.kind LIKE '%\\_returned')\n                        )\n                ) THEN\n                    RAISE EXCEPTION 'payments_deposit: % is matched, without a returned payout and its posting',\n                        NEW.public_id USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NOT EXISTS (\n                SELECT 1 FROM public.ledger_transaction WHERE source = NEW.public_id AND kind IN (\n                    CASE WHEN TG_OP = 'UPDATE' THEN 'suspense_assigned'\n                        WHEN NEW.status = 'suspended' THEN 'deposit_suspended'\n                        WHEN NEW.purpose = 'funding' THEN 'merchant_top_up' ELSE 'spei_deposit' END,\n                    CASE WHEN TG_OP = 'INSERT' AND NEW.status = 'credited' AND NEW.purpose = 'payment'\n                        THEN 'oxxo_paid' END\n                )\n            ) THEN\n                RAISE EXCEPTION 'payments_deposit: % is %, without its ledger posting', NEW.public_id, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='2bb847a4e4a30ca250234ff294c224658e70abda', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_in_books_43823', table='payments_deposit', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='deposit',
            trigger=pgtrigger.compiler.Trigger(name='refunds_behind', sql=core.db.IndexGuardSql(condition='WHEN ((NEW.amount_refunded, NEW.refund_reserved, NEW.amount_over_refunded) IS DISTINCT FROM (OLD.amount_refunded, OLD.refund_reserved, OLD.amount_over_refunded))', constraint='CONSTRAINT', func="\n            IF EXISTS (\n                SELECT 1 FROM public.payments_deposit d\n                CROSS JOIN LATERAL (SELECT \n    coalesce(sum(amount) FILTER (WHERE status = 'completed'), 0) AS refunded,\n    coalesce(sum(amount) FILTER (WHERE status IN ('pending', 'processing')), 0) AS reserved\n    FROM public.payments_refund\n WHERE deposit_id = d.id) r\n                WHERE d.id = NEW.id AND (d.amount_refunded, d.refund_reserved, d.amount_over_refunded)\n                    IS DISTINCT FROM (r.refunded, r.reserved, greatest(0, r.refunded + r.reserved - d.amount))\n            ) THEN\n                RAISE EXCEPTION 'payments_deposit: no refund for % refunded, % reserved and status %',\n                    NEW.amount_refunded, NEW.refund_reserved, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='07e39f3c07c504ac038eb8147daf3316de4f520b', operation='UPDATE OF "amount_refunded", "refund_reserved", "amount_over_refunded", "status"', pgid='pgtrigger_refunds_behind_729ae', table='payments_deposit', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='deposit',
            trigger=pgtrigger.compiler.Trigger(name='over_refunded', sql=core.db.GuardSql(condition='WHEN ((NEW.amount_over_refunded) IS DISTINCT FROM (OLD.amount_over_refunded) AND (NEW.amount_over_refunded < OLD.amount_over_refunded OR NEW.amount_refunded > OLD.amount_refunded) IS NOT TRUE)', func="\n            RAISE EXCEPTION 'payments_deposit: amount_over_refunded rises only with amount_refunded'\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='19963cd9410b13f4b4ce86c0b4f8bd9231e6f040', operation='UPDATE OF "amount_over_refunded"', pgid='pgtrigger_over_refunded_04e2a', table='payments_deposit', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payment',
            trigger=pgtrigger.compiler.Trigger(name='refunds_behind', sql=core.db.IndexGuardSql(condition="WHEN ((NEW.amount_refunded, NEW.refund_reserved, NEW.amount_over_refunded) IS DISTINCT FROM (OLD.amount_refunded, OLD.refund_reserved, OLD.amount_over_refunded) OR (NEW.status = 'reversed' AND OLD.status <> NEW.status))", constraint='CONSTRAINT', func="\n            IF EXISTS (\n                SELECT 1 FROM public.payments_payment p\n                CROSS JOIN LATERAL (SELECT \n    coalesce(sum(amount) FILTER (WHERE status = 'completed'), 0) AS refunded,\n    coalesce(sum(amount) FILTER (WHERE status IN ('pending', 'processing')), 0) AS reserved\n    FROM public.payments_refund\n WHERE payment_id = p.id) r\n                CROSS JOIN LATERAL (\n                    SELECT coalesce(sum(amount_over_refunded), 0) AS excess\n                    FROM public.payments_deposit WHERE payment_id = p.id\n                ) d\n                WHERE p.id = NEW.id AND (\n                    (p.amount_refunded, p.refund_reserved, p.amount_over_refunded)\n                        IS DISTINCT FROM (r.refunded, r.reserved, d.excess)\n                    OR (p.status = 'reversed' AND NOT EXISTS (\n                        SELECT 1 FROM public.payments_refund\n                        WHERE payment_id = p.id AND origin = 'provider' AND status = 'completed'\n                    ))\n                )\n            ) THEN\n                RAISE EXCEPTION 'payments_payment: no refund for % refunded, % reserved and status %',\n                    NEW.amount_refunded, NEW.refund_reserved, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='2c37c222f3d615fe8596ad02b35d5c1560a48311', operation='UPDATE OF "amount_refunded", "refund_reserved", "amount_over_refunded", "status"', pgid='pgtrigger_refunds_behind_accbe', table='payments_payment', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payment',
            trigger=pgtrigger.compiler.Trigger(name='over_refunded', sql=core.db.GuardSql(condition='WHEN ((NEW.amount_over_refunded) IS DISTINCT FROM (OLD.amount_over_refunded) AND (NEW.amount_over_refunded < OLD.amount_over_refunded OR NEW.amount_refunded > OLD.amount_refunded) IS NOT TRUE)', func="\n            RAISE EXCEPTION 'payments_payment: amount_over_refunded rises only with amount_refunded'\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='461304cece07af65d8453a326e314133de4322fb', operation='UPDATE OF "amount_over_refunded"', pgid='pgtrigger_over_refunded_49bff', table='payments_payment', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payout',
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('pending_approval', 'pending') THEN\n                    RAISE EXCEPTION 'payments_payout: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('cancelled', 'completed'), ('completed', 'returned'), ('failed', 'completed'), ('pending', 'cancelled'), ('pending', 'processing'), ('pending_approval', 'cancelled'), ('pending_approval', 'pending'), ('pending_approval', 'rejected'), ('processing', 'cancelled'), ('processing', 'completed'), ('processing', 'failed')) THEN\n                RAISE EXCEPTION 'payments_payout: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='29c392585ef109c4859963bc18032d1238cad836', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_status_guard_00ac7', table='payments_payout', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payout',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.public_id, NEW.merchant_id, NEW.livemode, NEW.provider_account_id, NEW.refund_id, NEW.kind, NEW.amount, NEW.currency, NEW.fee, NEW.fee_tax, NEW.fee_percent, NEW.fee_fixed, NEW.fee_iva, NEW.destination_clabe, NEW.destination_bank, NEW.destination_name, NEW.destination_tax_id, NEW.concept, NEW.reference_number, NEW.external_id, NEW.metadata, NEW.tracking_key, NEW.scheduled_for, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.public_id, OLD.merchant_id, OLD.livemode, OLD.provider_account_id, OLD.refund_id, OLD.kind, OLD.amount, OLD.currency, OLD.fee, OLD.fee_tax, OLD.fee_percent, OLD.fee_fixed, OLD.fee_iva, OLD.destination_clabe, OLD.destination_bank, OLD.destination_name, OLD.destination_tax_id, OLD.concept, OLD.reference_number, OLD.external_id, OLD.metadata, OLD.tracking_key, OLD.scheduled_for, OLD.created_at) THEN\n                RAISE EXCEPTION 'payments_payout: id, public_id, merchant_id, livemode, provider_account_id, refund_id, kind, amount, currency, fee, fee_tax, fee_percent, fee_fixed, fee_iva, destination_clabe, destination_bank, destination_name, destination_tax_id, concept, reference_number, external_id, metadata, tracking_key, scheduled_for, created_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='c7148f7405f93c7dcab16aa84fa4b1b5a1cfe982', operation='UPDATE OF "id", "public_id", "merchant_id", "livemode", "provider_account_id", "refund_id", "kind", "amount", "currency", "fee", "fee_tax", "fee_percent", "fee_fixed", "fee_iva", "destination_clabe", "destination_bank", "destination_name", "destination_tax_id", "concept", "reference_number", "external_id", "metadata", "tracking_key", "scheduled_for", "created_at"', pgid='pgtrigger_frozen_d20af', table='payments_payout', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payout',
            trigger=pgtrigger.compiler.Trigger(name='same_mode', sql=core.db.GuardSql(func="\n                IF NOT EXISTS (\n                    SELECT 1 FROM public.payments_provideraccount WHERE id = NEW.provider_account_id AND livemode = NEW.livemode\n                ) THEN\n                    PERFORM 1 FROM public.payments_provideraccount WHERE id = NEW.provider_account_id;\n                    IF NOT FOUND THEN\n                        RAISE EXCEPTION 'payments_payout: its provider_account is not there'\n                            USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RAISE EXCEPTION 'payments_payout: its provider_account is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                IF NEW.refund_id IS NOT NULL THEN \n                IF NOT EXISTS (\n                    SELECT 1 FROM public.payments_refund WHERE id = NEW.refund_id AND livemode = NEW.livemode\n                ) THEN\n                    PERFORM 1 FROM public.payments_refund WHERE id = NEW.refund_id;\n                    IF NOT FOUND THEN\n                        RAISE EXCEPTION 'payments_payout: its refund is not there'\n                            USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RAISE EXCEPTION 'payments_payout: its refund is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                 END IF;RETURN NEW;", hash='21943996bc3c52d75520a616b41301e777370e13', operation='INSERT OR UPDATE OF "provider_account_id", "refund_id", "livemode"', pgid='pgtrigger_same_mode_5a6cb', table='payments_payout', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payout',
            trigger=pgtrigger.compiler.Trigger(name='in_books', sql=core.db.IndexGuardSql(constraint='CONSTRAINT', declare='DECLARE p public.payments_payout; held record; late boolean; excess boolean;', func="\n            SELECT * INTO p FROM public.payments_payout WHERE id = NEW.id;  -- as it is when the transaction ends\n            SELECT status, amount, merchant_id INTO held FROM public.ledger_hold WHERE source = p.public_id;\n            late := EXISTS (\n                SELECT 1 FROM public.ledger_transaction WHERE source = p.public_id AND kind LIKE '%settled_late'\n            );\n            excess := EXISTS (\n                SELECT 1 FROM public.ledger_transaction WHERE source = p.public_id AND kind = 'excess_settled'\n            );\n            IF held IS NULL OR held.amount <> p.amount + p.fee + p.fee_tax OR held.merchant_id <> p.merchant_id\n                OR held.status <> (CASE\n                    WHEN p.status IN ('pending_approval', 'pending', 'processing') THEN 'open'\n                    WHEN p.status IN ('completed', 'returned') AND NOT late\n                        AND NOT (excess AND held.status = 'released') THEN 'captured'\n                    ELSE 'released'\n                END)\n                OR ((late OR excess) AND p.status NOT IN ('completed', 'returned'))\n                OR (p.status = 'returned' AND NOT EXISTS (\n                    SELECT 1 FROM public.ledger_transaction WHERE source = p.public_id AND kind LIKE '%\\_returned'\n                ))\n            THEN\n                RAISE EXCEPTION 'payments_payout: % is %, and the books do not say so', p.public_id, p.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='1641d8de2d2849e84ab1c32754d3f05ae4f0648a', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_in_books_41fa3', table='payments_payout', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payout',
            trigger=pgtrigger.compiler.Trigger(name='pays_its_refund', sql=core.db.GuardSql(condition='WHEN (NEW.refund_id IS NOT NULL)', func="\n            IF NOT EXISTS (\n                SELECT 1 FROM public.payments_refund r WHERE r.id = NEW.refund_id\n                    AND (r.merchant_id, r.amount, r.currency, r.destination_clabe)\n                        = (NEW.merchant_id, NEW.amount, NEW.currency, NEW.destination_clabe)\n                    AND NEW.fee = 0 AND NEW.fee_tax = 0\n                    AND (r.to_payer OR NEW.status = 'pending_approval')\n            ) THEN\n                RAISE EXCEPTION 'payments_payout: % is not what its refund says', NEW.public_id\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='19b10f20bc73ef0a06264d83bcfa5da875247bd2', operation='INSERT', pgid='pgtrigger_pays_its_refund_73f66', table='payments_payout', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payout',
            trigger=pgtrigger.compiler.Trigger(name='refund_follows', sql=core.db.IndexGuardSql(condition='WHEN (NEW.refund_id IS NOT NULL)', constraint='CONSTRAINT', declare='DECLARE due text; found public.payments_refund;', func="\n            SELECT CASE\n                WHEN bool_or(status = 'completed') THEN 'completed'\n                WHEN bool_or(status = 'processing') THEN 'processing'\n                WHEN bool_or(status IN ('pending_approval', 'pending')) THEN 'pending'\n                ELSE coalesce((array_agg(\n                    CASE WHEN status = 'returned' THEN 'returned' ELSE 'failed' END ORDER BY id DESC\n                ) FILTER (WHERE status <> 'cancelled'))[1], 'cancelled')\n            END INTO due FROM public.payments_payout WHERE refund_id = NEW.refund_id;\n            SELECT * INTO found FROM public.payments_refund WHERE id = NEW.refund_id;\n            IF due <> found.status THEN\n                RAISE EXCEPTION 'payments_refund: % is %, and its attempts make it %',\n                    found.public_id, found.status, due USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n\n            RETURN NULL;\n        ", hash='7d78e7d578d54580cbe423d6cc51348cf88ef8f2', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_refund_follows_0502c', table='payments_payout', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payout',
            trigger=pgtrigger.compiler.Trigger(name='cancelled_unsent', sql=core.db.IndexGuardSql(condition="WHEN (OLD.status = 'processing' AND NEW.status = 'cancelled')", func="\n            IF EXISTS (\n                SELECT 1 FROM public.payments_providercall\n                WHERE object_id = NEW.public_id AND operation = 'send_payout' AND outcome <> 'not_sent'\n            ) THEN\n                RAISE EXCEPTION 'payments_payout: % may have been sent', NEW.public_id\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='6d63d1521a9612a1c12a8df22a1150dfa0767923', operation='UPDATE OF "status"', pgid='pgtrigger_cancelled_unsent_fc599', table='payments_payout', when='BEFORE')),
        ),
        AddConstraintNotValid(
            model_name='deposit',
            constraint=models.CheckConstraint(condition=models.Q(('amount_over_refunded__gte', 0), ('amount_refunded__gte', 0), ('refund_reserved__gte', 0), ('amount__gte', django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(models.F('amount_refunded'), '+', models.F('refund_reserved')), '-', models.F('amount_over_refunded')))), name='deposit_refunds_within_amount'),
        ),
        AddConstraintNotValid(
            model_name='payment',
            constraint=models.CheckConstraint(condition=models.Q(('amount_over_refunded__gte', 0), ('amount_refunded__gte', 0), ('refund_reserved__gte', 0), ('amount_received__gte', django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(models.F('amount_refunded'), '+', models.F('refund_reserved')), '-', models.F('amount_over_refunded')))), name='payment_refunds_within_received'),
        ),
        migrations.AddField(
            model_name='refund',
            name='deposit',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='refunds', to='payments.deposit', verbose_name='deposit'),
        ),
        migrations.AddField(
            model_name='refund',
            name='merchant',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='refunds', to='merchants.merchant', verbose_name='merchant'),
        ),
        migrations.AddField(
            model_name='refund',
            name='payment',
            field=models.ForeignKey(blank=True, db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='refunds', to='payments.payment', verbose_name='payment'),
        ),
        AddConstraintNotValid(
            model_name='payout',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('kind__in', ['refund', 'payment_return']), ('refund__isnull', False)), models.Q(models.Q(('kind__in', ['refund', 'payment_return']), _negated=True), ('refund__isnull', True)), _connector='OR'), name='payout_of_refund_has_it'),
        ),
        migrations.AddField(
            model_name='refundtransition',
            name='refund',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='transitions', to='payments.refund'),
        ),
        migrations.AddIndex(
            model_name='refund',
            index=models.Index(models.F('merchant'), models.F('livemode'), models.OrderBy(models.F('created_at'), descending=True, nulls_last=True), models.OrderBy(models.F('id'), descending=True), name='refund_newest'),
        ),
        migrations.AddIndex(
            model_name='refund',
            index=models.Index(models.F('merchant'), models.F('livemode'), models.F('status'), models.OrderBy(models.F('created_at'), descending=True, nulls_last=True), models.OrderBy(models.F('id'), descending=True), name='refund_by_status'),
        ),
        migrations.AddIndex(
            model_name='refund',
            index=models.Index(condition=models.Q(('payment__isnull', False)), fields=['payment'], name='refund_of_payment'),
        ),
        migrations.AddIndex(
            model_name='refund',
            index=models.Index(fields=['deposit'], name='refund_of_deposit'),
        ),
        migrations.AddConstraint(
            model_name='refund',
            constraint=models.CheckConstraint(condition=models.Q(('amount__gt', 0)), name='refund_amount_positive'),
        ),
        migrations.AddConstraint(
            model_name='refund',
            constraint=models.CheckConstraint(condition=models.Q(('currency', 'MXN')), name='refund_currency_known'),
        ),
        migrations.AddConstraint(
            model_name='refund',
            constraint=models.CheckConstraint(condition=models.Q(('destination_clabe__regex', '^[0-9]{18}$')), name='refund_destination_is_clabe'),
        ),
        migrations.AddConstraint(
            model_name='refund',
            constraint=models.CheckConstraint(condition=models.Q(('reason', ''), _negated=True), name='refund_has_reason'),
        ),
        migrations.AddConstraint(
            model_name='refund',
            constraint=models.UniqueConstraint(condition=models.Q(('external_id__isnull', False)), fields=('merchant', 'livemode', 'external_id'), name='refund_external_id_unique', opclasses=['int8_ops', 'bool_ops', 'varchar_pattern_ops']),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='refund',
            trigger=pgtrigger.compiler.Trigger(name='no_delete', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'payments_refund keeps its rows: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='9a358dc1d766172f27c791ad0bb3e52da1541a65', level='STATEMENT', operation='DELETE OR TRUNCATE', pgid='pgtrigger_no_delete_05f54', table='payments_refund', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='refund',
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('pending') THEN\n                    RAISE EXCEPTION 'payments_refund: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('cancelled', 'completed'), ('completed', 'failed'), ('completed', 'processing'), ('completed', 'returned'), ('failed', 'completed'), ('failed', 'pending'), ('pending', 'cancelled'), ('pending', 'completed'), ('pending', 'failed'), ('pending', 'processing'), ('pending', 'returned'), ('processing', 'completed'), ('processing', 'failed'), ('returned', 'completed'), ('returned', 'pending')) THEN\n                RAISE EXCEPTION 'payments_refund: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='2fe58259dea7f90b0853d78a832840908c00ed3c', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_status_guard_53272', table='payments_refund', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='refund',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.public_id, NEW.merchant_id, NEW.livemode, NEW.origin, NEW.payment_id, NEW.deposit_id, NEW.amount, NEW.currency, NEW.reason, NEW.to_payer, NEW.destination_clabe, NEW.destination_bank, NEW.destination_name, NEW.external_id, NEW.metadata, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.public_id, OLD.merchant_id, OLD.livemode, OLD.origin, OLD.payment_id, OLD.deposit_id, OLD.amount, OLD.currency, OLD.reason, OLD.to_payer, OLD.destination_clabe, OLD.destination_bank, OLD.destination_name, OLD.external_id, OLD.metadata, OLD.created_at) THEN\n                RAISE EXCEPTION 'payments_refund: id, public_id, merchant_id, livemode, origin, payment_id, deposit_id, amount, currency, reason, to_payer, destination_clabe, destination_bank, destination_name, external_id, metadata, created_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='420d5ba1aae360bb35c9d75ebc13feebdff277fa', operation='UPDATE OF "id", "public_id", "merchant_id", "livemode", "origin", "payment_id", "deposit_id", "amount", "currency", "reason", "to_payer", "destination_clabe", "destination_bank", "destination_name", "external_id", "metadata", "created_at"', pgid='pgtrigger_frozen_17483', table='payments_refund', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='refund',
            trigger=pgtrigger.compiler.Trigger(name='same_mode', sql=core.db.GuardSql(func="IF NEW.payment_id IS NOT NULL THEN \n                IF NOT EXISTS (\n                    SELECT 1 FROM public.payments_payment WHERE id = NEW.payment_id AND livemode = NEW.livemode\n                ) THEN\n                    PERFORM 1 FROM public.payments_payment WHERE id = NEW.payment_id;\n                    IF NOT FOUND THEN\n                        RAISE EXCEPTION 'payments_refund: its payment is not there'\n                            USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RAISE EXCEPTION 'payments_refund: its payment is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                 END IF;\n                IF NOT EXISTS (\n                    SELECT 1 FROM public.payments_deposit WHERE id = NEW.deposit_id AND livemode = NEW.livemode\n                ) THEN\n                    PERFORM 1 FROM public.payments_deposit WHERE id = NEW.deposit_id;\n                    IF NOT FOUND THEN\n                        RAISE EXCEPTION 'payments_refund: its deposit is not there'\n                            USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RAISE EXCEPTION 'payments_refund: its deposit is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                RETURN NEW;", hash='e3a255a657c3cc53077bdd2f2ef29548dd654979', operation='INSERT OR UPDATE OF "payment_id", "deposit_id", "livemode"', pgid='pgtrigger_same_mode_1a80f', table='payments_refund', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='refund',
            trigger=pgtrigger.compiler.Trigger(name='of_its_deposit', sql=core.db.IndexGuardSql(func="\n            IF NOT EXISTS (\n                SELECT 1 FROM public.payments_deposit d\n                LEFT JOIN public.payments_payment p ON p.id = d.payment_id\n                LEFT JOIN public.payments_clabe c ON c.id = d.reusable_clabe_id\n                WHERE d.id = NEW.deposit_id AND d.status = 'credited'\n                    AND d.payment_id IS NOT DISTINCT FROM NEW.payment_id\n                    AND NEW.merchant_id = coalesce(p.merchant_id, c.merchant_id)\n                    AND (NOT NEW.to_payer OR NEW.destination_clabe = d.payer_account)\n            ) THEN\n                RAISE EXCEPTION 'payments_refund: its deposit is not a credited one of its payment and merchant'\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='ab8d20cde7abc89a5a57acf97eb4f0124bca5181', operation='INSERT', pgid='pgtrigger_of_its_deposit_131e4', table='payments_refund', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='refund',
            trigger=pgtrigger.compiler.Trigger(name='follows_attempts', sql=core.db.IndexGuardSql(constraint='CONSTRAINT', declare='DECLARE due text; found public.payments_refund;', func="\n            SELECT CASE\n                WHEN bool_or(status = 'completed') THEN 'completed'\n                WHEN bool_or(status = 'processing') THEN 'processing'\n                WHEN bool_or(status IN ('pending_approval', 'pending')) THEN 'pending'\n                ELSE coalesce((array_agg(\n                    CASE WHEN status = 'returned' THEN 'returned' ELSE 'failed' END ORDER BY id DESC\n                ) FILTER (WHERE status <> 'cancelled'))[1], 'cancelled')\n            END INTO due FROM public.payments_payout WHERE refund_id = NEW.id;\n            SELECT * INTO found FROM public.payments_refund WHERE id = NEW.id;\n            IF due <> found.status THEN\n                RAISE EXCEPTION 'payments_refund: % is %, and its attempts make it %',\n                    found.public_id, found.status, due USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n\n            IF EXISTS (\n                SELECT 1 FROM public.payments_deposit d\n                CROSS JOIN LATERAL (SELECT \n    coalesce(sum(amount) FILTER (WHERE status = 'completed'), 0) AS refunded,\n    coalesce(sum(amount) FILTER (WHERE status IN ('pending', 'processing')), 0) AS reserved\n    FROM public.payments_refund\n WHERE deposit_id = d.id) r\n                WHERE d.id = NEW.deposit_id AND (d.amount_refunded, d.refund_reserved, d.amount_over_refunded)\n                    IS DISTINCT FROM (r.refunded, r.reserved, greatest(0, r.refunded + r.reserved - d.amount))\n            ) OR EXISTS (\n                SELECT 1 FROM public.payments_payment p\n                CROSS JOIN LATERAL (SELECT \n    coalesce(sum(amount) FILTER (WHERE status = 'completed'), 0) AS refunded,\n    coalesce(sum(amount) FILTER (WHERE status IN ('pending', 'processing')), 0) AS reserved\n    FROM public.payments_refund\n WHERE payment_id = p.id) r\n                CROSS JOIN LATERAL (\n                    SELECT coalesce(sum(amount_over_refunded), 0) AS excess\n                    FROM public.payments_deposit WHERE payment_id = p.id\n                ) d\n                WHERE p.id = NEW.payment_id AND (\n                    (p.amount_refunded, p.refund_reserved, p.amount_over_refunded)\n                        IS DISTINCT FROM (r.refunded, r.reserved, d.excess)\n                    OR (p.status = 'reversed' AND NOT EXISTS (\n                        SELECT 1 FROM public.payments_refund\n                        WHERE payment_id = p.id AND origin = 'provider' AND status = 'completed'\n                    ))\n                )\n            ) THEN\n                RAISE EXCEPTION 'payments_refund: % is %, and its deposit or payment does not count it so',\n                    found.public_id, found.status USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='b712f330b56d412247c25aab9dc7fa4a6e69e4d7', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_follows_attempts_ef9ad', table='payments_refund', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='refund',
            trigger=pgtrigger.compiler.Trigger(name='transition_recorded', sql=core.db.IndexGuardSql(condition='WHEN (OLD.status <> NEW.status)', constraint='CONSTRAINT', func="\n            IF NOT EXISTS (\n                SELECT 1 FROM public.payments_refundtransition\n                WHERE refund_id = NEW.id AND from_status = OLD.status AND to_status = NEW.status\n            ) THEN\n                RAISE EXCEPTION 'payments_refund: from % to %, and no transition row says so',\n                    OLD.status, NEW.status USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='dcc1c23f0597f99a84d5885ebe2e4352c7fa0efc', operation='UPDATE OF "status"', pgid='pgtrigger_transition_recorded_7b635', table='payments_refund', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='refundtransition',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'payments_refundtransition is append-only: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='bb1bce056f99d5977533feced30c7060eef7bb90', level='STATEMENT', operation='UPDATE OR DELETE OR TRUNCATE', pgid='pgtrigger_append_only_11035', table='payments_refundtransition', when='BEFORE')),
        ),
    ]
