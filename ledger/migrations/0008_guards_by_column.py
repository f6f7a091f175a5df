"""Guards fire for the columns they judge, and for no other UPDATE."""

import core.db
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('ledger', '0007_fewer_indexes'),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name='account',
            name='frozen',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='adjustment',
            name='status_guard',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='adjustment',
            name='frozen',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='breach',
            name='frozen',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='hold',
            name='status_guard',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='hold',
            name='frozen',
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='account',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.code, NEW.purpose, NEW.merchant_id, NEW.livemode, NEW.currency, NEW.normal_side, NEW.floor) IS DISTINCT FROM (OLD.id, OLD.code, OLD.purpose, OLD.merchant_id, OLD.livemode, OLD.currency, OLD.normal_side, OLD.floor) THEN\n                RAISE EXCEPTION 'ledger_account: id, code, purpose, merchant_id, livemode, currency, normal_side, floor cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='3cb1dff950e5f6205ea711d53aa1cfd3436e9e1e', operation='UPDATE OF "id", "code", "purpose", "merchant_id", "livemode", "currency", "normal_side", "floor"', pgid='pgtrigger_frozen_54fe4', table='ledger_account', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='adjustment',
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('proposed') THEN\n                    RAISE EXCEPTION 'ledger_adjustment: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('proposed', 'posted'), ('proposed', 'rejected')) THEN\n                RAISE EXCEPTION 'ledger_adjustment: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='1b8401827a88f37c40d0c27ade4e87c6fac2fee0', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_status_guard_e51c5', table='ledger_adjustment', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='adjustment',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.public_id, NEW.livemode, NEW.description, NEW.reason, NEW.legs, NEW.reverses_id, NEW.effective_at, NEW.operating_date, NEW.evidence, NEW.evidence_name, NEW.evidence_type, NEW.evidence_sha256, NEW.maker_id, NEW.created_at) IS DISTINCT FROM (OLD.public_id, OLD.livemode, OLD.description, OLD.reason, OLD.legs, OLD.reverses_id, OLD.effective_at, OLD.operating_date, OLD.evidence, OLD.evidence_name, OLD.evidence_type, OLD.evidence_sha256, OLD.maker_id, OLD.created_at) THEN\n                RAISE EXCEPTION 'ledger_adjustment: public_id, livemode, description, reason, legs, reverses_id, effective_at, operating_date, evidence, evidence_name, evidence_type, evidence_sha256, maker_id, created_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='cbf25e0bdd432f541ac1ab8f279c17c3ecc90271', operation='UPDATE OF "public_id", "livemode", "description", "reason", "legs", "reverses_id", "effective_at", "operating_date", "evidence", "evidence_name", "evidence_type", "evidence_sha256", "maker_id", "created_at"', pgid='pgtrigger_frozen_79629', table='ledger_adjustment', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='breach',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.invariant, NEW.merchant_id, NEW.found_at) IS DISTINCT FROM (OLD.invariant, OLD.merchant_id, OLD.found_at) THEN\n                RAISE EXCEPTION 'ledger_breach: invariant, merchant_id, found_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='4b45813766a5ef461bc0908bc52de3d78b9f0f0f', operation='UPDATE OF "invariant", "merchant_id", "found_at"', pgid='pgtrigger_frozen_0bfde', table='ledger_breach', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='hold',
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('open') THEN\n                    RAISE EXCEPTION 'ledger_hold: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('open', 'captured'), ('open', 'released')) THEN\n                RAISE EXCEPTION 'ledger_hold: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='f86f72b057197437191abca01b9834216c1f930f', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_status_guard_91b14', table='ledger_hold', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='hold',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.public_id, NEW.merchant_id, NEW.livemode, NEW.purpose, NEW.source, NEW.amount) IS DISTINCT FROM (OLD.public_id, OLD.merchant_id, OLD.livemode, OLD.purpose, OLD.source, OLD.amount) THEN\n                RAISE EXCEPTION 'ledger_hold: public_id, merchant_id, livemode, purpose, source, amount cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='8e10634906ffe09db4571d47e07db112ff681dab', operation='UPDATE OF "public_id", "merchant_id", "livemode", "purpose", "source", "amount"', pgid='pgtrigger_frozen_0fe0a', table='ledger_hold', when='BEFORE')),
        ),
    ]
