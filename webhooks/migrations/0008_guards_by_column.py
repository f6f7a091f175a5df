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
        ('payments', '0016_guards_by_column'),
        ('webhooks', '0007_contradictions_dealt_with'),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name='providerevent',
            name='same_mode',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='providerevent',
            name='frozen',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='providerevent',
            name='status_guard',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='providerevent',
            name='frozen_once',
        ),
        migrations.AlterField(
            model_name='providerevent',
            name='account',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='payments.provideraccount', verbose_name='provider account'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='providerevent',
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('received') THEN\n                    RAISE EXCEPTION 'webhooks_providerevent: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('conflict', 'resolved'), ('conflict', 'retry'), ('dead', 'retry'), ('ignored', 'retry'), ('received', 'conflict'), ('received', 'dead'), ('received', 'ignored'), ('received', 'processed'), ('received', 'retry'), ('resolved', 'retry'), ('retry', 'conflict'), ('retry', 'dead'), ('retry', 'ignored'), ('retry', 'processed'), ('retry', 'retry')) THEN\n                RAISE EXCEPTION 'webhooks_providerevent: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='ce04e7e9f85812e4f0bcb74ee64ba165de8fbe68', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_status_guard_f4a11', table='webhooks_providerevent', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='providerevent',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.public_id, NEW.account_id, NEW.livemode, NEW.channel, NEW.event_id, NEW.event_type, NEW.business_key, NEW.body_sha256, NEW.key_id, NEW.remote_address, NEW.received_at) IS DISTINCT FROM (OLD.id, OLD.public_id, OLD.account_id, OLD.livemode, OLD.channel, OLD.event_id, OLD.event_type, OLD.business_key, OLD.body_sha256, OLD.key_id, OLD.remote_address, OLD.received_at) THEN\n                RAISE EXCEPTION 'webhooks_providerevent: id, public_id, account_id, livemode, channel, event_id, event_type, business_key, body_sha256, key_id, remote_address, received_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='2d8626c18dd505e791b11c193a437f6a347cd42e', operation='UPDATE OF "id", "public_id", "account_id", "livemode", "channel", "event_id", "event_type", "business_key", "body_sha256", "key_id", "remote_address", "received_at"', pgid='pgtrigger_frozen_e3056', table='webhooks_providerevent', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='providerevent',
            trigger=pgtrigger.compiler.Trigger(name='frozen_once', sql=core.db.GuardSql(func="\n            IF (OLD.status IN ('processed', 'ignored', 'conflict', 'resolved')) AND (NEW.reason, NEW.object_id, NEW.response_status, NEW.response_body, NEW.processed_at) IS DISTINCT FROM (OLD.reason, OLD.object_id, OLD.response_status, OLD.response_body, OLD.processed_at) THEN\n                RAISE EXCEPTION 'webhooks_providerevent: reason, object_id, response_status, response_body, processed_at cannot change any more'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='0faa7cb89ba38dfb21fbce394962e995cfb07810', operation='UPDATE OF "reason", "object_id", "response_status", "response_body", "processed_at"', pgid='pgtrigger_frozen_once_2e2b7', table='webhooks_providerevent', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='providerevent',
            trigger=pgtrigger.compiler.Trigger(name='same_mode', sql=core.db.GuardSql(func="\n                IF NOT EXISTS (\n                    SELECT 1 FROM public.payments_provideraccount WHERE id = NEW.account_id AND livemode = NEW.livemode\n                ) THEN\n                    PERFORM 1 FROM public.payments_provideraccount WHERE id = NEW.account_id;\n                    IF NOT FOUND THEN\n                        RAISE EXCEPTION 'webhooks_providerevent: its account is not there'\n                            USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RAISE EXCEPTION 'webhooks_providerevent: its account is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                RETURN NEW;", hash='33c0e3eb05e6c3b388fcd2cc6ebca2a2cf612a09', operation='INSERT OR UPDATE OF "account_id", "livemode"', pgid='pgtrigger_same_mode_9e685', table='webhooks_providerevent', when='BEFORE')),
        ),
    ]
