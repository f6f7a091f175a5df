"""Guards fire for the columns they judge, and for no other UPDATE."""

import core.db
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('merchants', '0006_fewer_indexes'),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name='apikey',
            name='frozen_once',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='apikey',
            name='frozen',
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='apikey',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.public_id, NEW.merchant_id, NEW.livemode, NEW.prefix, NEW.secret_sha256, NEW.scopes, NEW.created_by, NEW.replaces_id) IS DISTINCT FROM (OLD.public_id, OLD.merchant_id, OLD.livemode, OLD.prefix, OLD.secret_sha256, OLD.scopes, OLD.created_by, OLD.replaces_id) THEN\n                RAISE EXCEPTION 'merchants_apikey: public_id, merchant_id, livemode, prefix, secret_sha256, scopes, created_by, replaces_id cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='1732ad06c1dc6be9172332567c9c04559e90b3f0', operation='UPDATE OF "public_id", "merchant_id", "livemode", "prefix", "secret_sha256", "scopes", "created_by", "replaces_id"', pgid='pgtrigger_frozen_f26cc', table='merchants_apikey', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='apikey',
            trigger=pgtrigger.compiler.Trigger(name='frozen_once', sql=core.db.GuardSql(func="\n            IF (OLD.revoked_at IS NOT NULL) AND (NEW.revoked_at) IS DISTINCT FROM (OLD.revoked_at) THEN\n                RAISE EXCEPTION 'merchants_apikey: revoked_at cannot change any more'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='d5b01df31080d974993a573ef01279077837a602', operation='UPDATE OF "revoked_at"', pgid='pgtrigger_frozen_once_e5469', table='merchants_apikey', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='merchant',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id) IS DISTINCT FROM (OLD.id) THEN\n                RAISE EXCEPTION 'merchants_merchant: id cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='83d4eab7afb6328558dfd4b56092f7da2c3fa9c6', operation='UPDATE OF "id"', pgid='pgtrigger_frozen_31c3c', table='merchants_merchant', when='BEFORE')),
        ),
    ]
