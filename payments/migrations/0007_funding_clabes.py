"""Funding CLABEs, and deposits on them."""

import core.db
import pgtrigger.compiler
import pgtrigger.migrations
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('merchants', '0004_merchant_registration_data'),
        ('payments', '0006_balance_lease'),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name='clabe',
            name='frozen',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='deposit',
            name='with_credited',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='deposit',
            name='in_books',
        ),
        migrations.RemoveConstraint(
            model_name='deposit',
            name='deposit_credited_has_payment',
        ),
        migrations.AddField(
            model_name='clabe',
            name='purpose',
            field=models.CharField(choices=[('collection', 'collection'), ('funding', 'funding')], db_default='collection', default='collection', max_length=16, verbose_name='use'),
        ),
        migrations.AddField(
            model_name='clabe',
            name='registration',
            field=models.CharField(blank=True, choices=[('pending', 'pending'), ('active', 'active'), ('refused', 'registration refused')], db_default='', default='', max_length=8, verbose_name='registration'),
        ),
        migrations.AddField(
            model_name='clabe',
            name='registration_detail',
            field=models.CharField(blank=True, db_default='', default='', max_length=300, verbose_name="the provider's answer"),
        ),
        migrations.AddField(
            model_name='clabe',
            name='registration_due_at',
            field=models.DateTimeField(blank=True, null=True, verbose_name='next request'),
        ),
        migrations.AddField(
            model_name='clabe',
            name='registration_tries',
            field=models.PositiveSmallIntegerField(db_default=0, default=0, verbose_name='requests'),
        ),
        migrations.AddField(
            model_name='deposit',
            name='purpose',
            field=models.CharField(choices=[('payment', 'payment'), ('funding', 'top-up')], db_default='payment', default='payment', max_length=16, verbose_name='use'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='clabe',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.public_id, NEW.merchant_id, NEW.livemode, NEW.provider_account_id, NEW.clabe, NEW.purpose, NEW.label, NEW.customer_name, NEW.customer_email, NEW.customer_phone, NEW.metadata, NEW.min_amount, NEW.max_amount, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.public_id, OLD.merchant_id, OLD.livemode, OLD.provider_account_id, OLD.clabe, OLD.purpose, OLD.label, OLD.customer_name, OLD.customer_email, OLD.customer_phone, OLD.metadata, OLD.min_amount, OLD.max_amount, OLD.created_at) THEN\n                RAISE EXCEPTION 'payments_clabe: id, public_id, merchant_id, livemode, provider_account_id, clabe, purpose, label, customer_name, customer_email, customer_phone, metadata, min_amount, max_amount, created_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='b07f00cadf3fc50ddc6dbadba62cb67910f89948', operation='UPDATE OF "id", "public_id", "merchant_id", "livemode", "provider_account_id", "clabe", "purpose", "label", "customer_name", "customer_email", "customer_phone", "metadata", "min_amount", "max_amount", "created_at"', pgid='pgtrigger_frozen_6ca11', table='payments_clabe', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='clabe',
            trigger=pgtrigger.compiler.Trigger(name='registered_once', sql=core.db.GuardSql(condition="WHEN ((NEW.registration) IS DISTINCT FROM (OLD.registration) AND (OLD.registration IN ('pending', 'refused')) IS NOT TRUE)", func="\n            RAISE EXCEPTION 'payments_clabe: registration is of a funding CLABE, and does not change once it is active'\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='06e7a35ed29c5b250587c522d7b1e70f5987f455', operation='UPDATE OF "registration"', pgid='pgtrigger_registered_once_3aec6', table='payments_clabe', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='deposit',
            trigger=pgtrigger.compiler.Trigger(name='with_credited', sql=core.db.GuardSql(condition="WHEN ((NEW.purpose, NEW.payment_id, NEW.reusable_clabe_id, NEW.fee, NEW.fee_tax) IS DISTINCT FROM (OLD.purpose, OLD.payment_id, OLD.reusable_clabe_id, OLD.fee, OLD.fee_tax) AND (NEW.status IN ('credited') AND OLD.status <> NEW.status) IS NOT TRUE)", func="\n            RAISE EXCEPTION 'payments_deposit: purpose, payment_id, reusable_clabe_id, fee, fee_tax can only change in the step to credited'\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='005a6f3fc58a21a095f0d1829b6b0781b8eefd67', operation='UPDATE OF "purpose", "payment_id", "reusable_clabe_id", "fee", "fee_tax"', pgid='pgtrigger_with_credited_31035', table='payments_deposit', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='deposit',
            trigger=pgtrigger.compiler.Trigger(name='in_books', sql=core.db.IndexGuardSql(constraint='CONSTRAINT', func="\n            IF NOT EXISTS (\n                SELECT 1 FROM public.ledger_transaction WHERE source = NEW.public_id AND kind IN (\n                    CASE WHEN TG_OP = 'UPDATE' THEN 'suspense_assigned'\n                        WHEN NEW.status = 'suspended' THEN 'deposit_suspended'\n                        WHEN NEW.purpose = 'funding' THEN 'merchant_top_up' ELSE 'spei_deposit' END,\n                    CASE WHEN TG_OP = 'INSERT' AND NEW.status = 'credited' AND NEW.purpose = 'payment'\n                        THEN 'oxxo_paid' END\n                )\n            ) THEN\n                RAISE EXCEPTION 'payments_deposit: % is %, without its ledger posting', NEW.public_id, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='7f3b72d87de33db7917eccac2c79876bf4d6ae4b', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_in_books_43823', table='payments_deposit', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='deposit',
            trigger=pgtrigger.compiler.Trigger(name='funding_matches', sql=core.db.GuardSql(condition="WHEN (NEW.purpose = 'funding' OR NEW.reusable_clabe_id IS NOT NULL)", func="\n            IF (NEW.purpose = 'funding') <> EXISTS (\n                SELECT 1 FROM public.payments_clabe WHERE id = NEW.reusable_clabe_id AND purpose = 'funding'\n            ) THEN\n                RAISE EXCEPTION 'payments_deposit: its purpose differs from that of its CLABE'\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='31a62d66990a28641707fb7795135424c042b78e', operation='INSERT OR UPDATE OF "purpose", "reusable_clabe_id"', pgid='pgtrigger_funding_matches_2c0cb', table='payments_deposit', when='BEFORE')),
        ),
        AddConstraintNotValid(
            model_name='clabe',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('purpose', 'collection'), ('registration', '')), models.Q(('max_amount__isnull', True), ('min_amount__isnull', True), ('purpose', 'funding'), ('registration__in', ['pending', 'active', 'refused']), ('status', 'active')), _connector='OR'), name='clabe_funding_registered_and_open'),
        ),
        AddConstraintNotValid(
            model_name='deposit',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'credited'), _negated=True), ('payment__isnull', False), ('purpose', 'funding'), _connector='OR'), name='deposit_credited_has_payment'),
        ),
        AddConstraintNotValid(
            model_name='deposit',
            constraint=models.CheckConstraint(condition=models.Q(('purpose', 'payment'), models.Q(('fee', 0), ('fee_tax', 0), ('payment__isnull', True), ('purpose', 'funding'), ('reusable_clabe__isnull', False)), _connector='OR'), name='deposit_funding_is_free'),
        ),
    ]
