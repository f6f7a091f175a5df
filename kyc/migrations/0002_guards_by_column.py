"""Guards fire for the columns they judge, and for no other UPDATE."""

import core.db
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('kyc', '0001_initial'),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name='case',
            name='status_guard',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='case',
            name='frozen',
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='case',
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('draft') THEN\n                    RAISE EXCEPTION 'kyc_case: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('draft', 'submitted'), ('rejected', 'draft'), ('submitted', 'approved'), ('submitted', 'rejected')) THEN\n                RAISE EXCEPTION 'kyc_case: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='6eb8dc5f55e7dd6732038feb6360ba6e54fc3e15', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_status_guard_77e13', table='kyc_case', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='case',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.public_id, NEW.merchant_id) IS DISTINCT FROM (OLD.public_id, OLD.merchant_id) THEN\n                RAISE EXCEPTION 'kyc_case: public_id, merchant_id cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='2e9f952988435bbfbcfc204b3303b7705e5d6cf9', operation='UPDATE OF "public_id", "merchant_id"', pgid='pgtrigger_frozen_f31f9', table='kyc_case', when='BEFORE')),
        ),
    ]
