"""Guards fire for the columns they judge, and for no other UPDATE."""

import core.db
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('staff', '0001_initial'),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name='approval',
            name='status_guard',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='approval',
            name='frozen',
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='approval',
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('pending') THEN\n                    RAISE EXCEPTION 'staff_approval: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('pending', 'approved'), ('pending', 'cancelled'), ('pending', 'rejected')) THEN\n                RAISE EXCEPTION 'staff_approval: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='66d5568a964a82f0aba089a83b77a1c492242491', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_status_guard_67ef8', table='staff_approval', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='approval',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.public_id, NEW.kind, NEW.subject, NEW.content_sha256, NEW.maker_id, NEW.created_at, NEW.expires_at) IS DISTINCT FROM (OLD.public_id, OLD.kind, OLD.subject, OLD.content_sha256, OLD.maker_id, OLD.created_at, OLD.expires_at) THEN\n                RAISE EXCEPTION 'staff_approval: public_id, kind, subject, content_sha256, maker_id, created_at, expires_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='f94010b4ae1407f1c85e8576c40255fa82af9394', operation='UPDATE OF "public_id", "kind", "subject", "content_sha256", "maker_id", "created_at", "expires_at"', pgid='pgtrigger_frozen_381ca', table='staff_approval', when='BEFORE')),
        ),
    ]
