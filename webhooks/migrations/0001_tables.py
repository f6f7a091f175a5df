"""The tables of webhooks, with their indexes, constraints and guards."""

import core.clock
import core.db
import core.fields
import core.ids
import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.functions.datetime
import functools
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

BODIES = """
CREATE TABLE public.webhooks_providereventbody (
    event_id bigint NOT NULL,
    received_at timestamptz NOT NULL,
    headers jsonb NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (event_id, received_at)
) PARTITION BY RANGE (received_at);
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('payments', '0002_tables'),
    ]

    operations = [
        migrations.CreateModel(
            name='ProviderEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', core.fields.IdentifierField(default=functools.partial(core.ids.new_id, *('provider_event',), **{}), editable=False, max_length=40, unique=True, verbose_name='id')),
                ('livemode', models.BooleanField(verbose_name='live')),
                ('channel', models.CharField(choices=[('stp.deposits', 'STP: deposits'), ('stp.orders', 'STP: sent orders'), ('stp.conciliation', 'STP: polled'), ('conekta.events', 'Conekta: events'), ('conekta.list', 'Conekta: polled')], db_default='', default='', max_length=32, verbose_name='channel')),
                ('event_id', models.CharField(max_length=160, verbose_name="provider's id")),
                ('event_type', models.CharField(max_length=64, verbose_name='type')),
                ('business_key', models.CharField(blank=True, db_default='', default='', max_length=64, verbose_name='tracking key or order')),
                ('status', models.CharField(choices=[('received', 'received'), ('processed', 'processed'), ('ignored', 'ignored'), ('retry', 'to be retried'), ('conflict', 'conflict'), ('resolved', 'dealt with'), ('dead', 'given up')], default='received', max_length=32, verbose_name='status')),
                ('reason', models.CharField(blank=True, max_length=200, verbose_name='reason')),
                ('object_id', models.CharField(blank=True, max_length=40, verbose_name='object')),
                ('body_sha256', models.CharField(max_length=64)),
                ('key_id', models.CharField(blank=True, db_default='', default='', help_text="Start of the key's SHA-256.", max_length=16, verbose_name='authenticated by')),
                ('remote_address', models.GenericIPAddressField(null=True, verbose_name='address')),
                ('response_status', models.PositiveSmallIntegerField(null=True, verbose_name='response')),
                ('response_body', models.JSONField(default=dict)),
                ('attempts', models.PositiveIntegerField(default=0, verbose_name='attempts')),
                ('last_error', models.CharField(blank=True, max_length=500, verbose_name='last error')),
                ('received_at', models.DateTimeField(default=core.clock.now, verbose_name='received')),
                ('processed_at', models.DateTimeField(null=True, verbose_name='processed')),
                ('next_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), null=True, verbose_name='next try')),
            ],
            options={
                'verbose_name': 'provider event',
                'verbose_name_plural': 'provider events',
                'ordering': ['-id'],
                'permissions': [('replay_providerevent', 'Can replay provider events'), ('resolve_providerevent', 'Can mark contradictions as dealt with')],
            },
        ),
        migrations.CreateModel(
            name='ProviderEventTransition',
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
                'verbose_name': 'provider event transition',
                'verbose_name_plural': 'provider event transitions',
                'ordering': ['id'],
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='ProviderPoll',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('asked_at', models.DateTimeField(null=True)),
                ('covered_until', models.DateTimeField(null=True)),
                ('found', models.BigIntegerField(default=0)),
                ('last_error', models.CharField(blank=True, max_length=300)),
            ],
        ),
        migrations.CreateModel(
            name='InboxTally',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('hour', models.DateTimeField()),
                ('channel', models.CharField(choices=[('stp.deposits', 'STP: deposits'), ('stp.orders', 'STP: sent orders'), ('stp.conciliation', 'STP: polled'), ('conekta.events', 'Conekta: events'), ('conekta.list', 'Conekta: polled')], max_length=32)),
                ('kind', models.CharField(choices=[('duplicate', 'repeated'), ('refused', 'refused')], max_length=16)),
                ('count', models.BigIntegerField(default=0)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('hour', 'channel', 'kind'), name='inbox_tally_unique')],
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='inboxtally',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.hour, NEW.channel, NEW.kind) IS DISTINCT FROM (OLD.id, OLD.hour, OLD.channel, OLD.kind) THEN\n                RAISE EXCEPTION 'webhooks_inboxtally: id, hour, channel, kind cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='5c45f93c4bf5e2a1261175b840282a029efc7413', operation='UPDATE OF "id", "hour", "channel", "kind"', pgid='pgtrigger_frozen_02e1b', table='webhooks_inboxtally', when='BEFORE')),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(BODIES, migrations.RunSQL.noop)],
            state_operations=[
                migrations.CreateModel(
                    name='ProviderEventBody',
                    fields=[
                        ('event', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='+', serialize=False, to='webhooks.providerevent')),
                        ('received_at', models.DateTimeField()),
                        ('headers', models.JSONField()),
                        ('body', models.BinaryField()),
                    ],
                    options={
                        'db_table': 'webhooks_providereventbody',
                    },
                ),
            ],
        ),
        migrations.AddField(
            model_name='providerevent',
            name='account',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='payments.provideraccount', verbose_name='provider account'),
        ),
        migrations.AddField(
            model_name='providereventtransition',
            name='event',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='transitions', to='webhooks.providerevent'),
        ),
        migrations.AddField(
            model_name='providerpoll',
            name='account',
            field=models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='payments.provideraccount'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='providereventbody',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'webhooks_providereventbody is append-only: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='9ae59a07aa9f502dd43e943d0c54ff364f42bec0', level='STATEMENT', operation='UPDATE OR DELETE OR TRUNCATE', pgid='pgtrigger_append_only_06624', table='webhooks_providereventbody', when='BEFORE')),
        ),
        migrations.AddIndex(
            model_name='providerevent',
            index=models.Index(condition=models.Q(('status__in', ['received', 'retry'])), fields=['next_at'], name='provider_event_due'),
        ),
        migrations.AddIndex(
            model_name='providerevent',
            index=models.Index(condition=models.Q(('status__in', ['conflict', 'dead'])), fields=['status', '-id'], name='provider_event_attention'),
        ),
        migrations.AddIndex(
            model_name='providerevent',
            index=models.Index(condition=models.Q(('object_id', ''), _negated=True), fields=['object_id'], name='provider_event_about'),
        ),
        migrations.AddIndex(
            model_name='providerevent',
            index=models.Index(condition=models.Q(('business_key', ''), _negated=True), fields=['business_key'], name='provider_event_business'),
        ),
        migrations.AddIndex(
            model_name='providerevent',
            index=django.contrib.postgres.indexes.BrinIndex(autosummarize=True, fields=['received_at'], name='provider_event_received'),
        ),
        migrations.AddConstraint(
            model_name='providerevent',
            constraint=models.UniqueConstraint(fields=('account', 'event_id'), name='provider_event_unique'),
        ),
        migrations.AddConstraint(
            model_name='providerevent',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status', 'retry'), _negated=True), ('next_at__isnull', False), _connector='OR'), name='provider_event_retry_at'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='providerevent',
            trigger=pgtrigger.compiler.Trigger(name='no_delete', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'webhooks_providerevent keeps its rows: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='e8b7e088b27d1b74fc8d1a8a599c67bc12d35d70', level='STATEMENT', operation='DELETE OR TRUNCATE', pgid='pgtrigger_no_delete_def1d', table='webhooks_providerevent', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='providerevent',
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('received', 'processed', 'ignored', 'conflict', 'retry') THEN\n                    RAISE EXCEPTION 'webhooks_providerevent: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('conflict', 'resolved'), ('conflict', 'retry'), ('dead', 'retry'), ('ignored', 'retry'), ('received', 'conflict'), ('received', 'dead'), ('received', 'ignored'), ('received', 'processed'), ('received', 'retry'), ('resolved', 'retry'), ('retry', 'conflict'), ('retry', 'dead'), ('retry', 'ignored'), ('retry', 'processed'), ('retry', 'retry')) THEN\n                RAISE EXCEPTION 'webhooks_providerevent: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='b5102811cb41b5f44ccdf51c56aa6fdc90569dfc', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_status_guard_f4a11', table='webhooks_providerevent', when='BEFORE')),
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
        pgtrigger.migrations.AddTrigger(
            model_name='providereventtransition',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'webhooks_providereventtransition is append-only: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='3d74ccdad5282e3f685afb368701166467dd5856', level='STATEMENT', operation='UPDATE OR DELETE OR TRUNCATE', pgid='pgtrigger_append_only_d77b4', table='webhooks_providereventtransition', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='providerpoll',
            trigger=pgtrigger.compiler.Trigger(name='no_delete', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'webhooks_providerpoll keeps its rows: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='730d538da393639270f1abbe65190fc326ec0683', level='STATEMENT', operation='DELETE OR TRUNCATE', pgid='pgtrigger_no_delete_032c9', table='webhooks_providerpoll', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='providerpoll',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.account_id) IS DISTINCT FROM (OLD.id, OLD.account_id) THEN\n                RAISE EXCEPTION 'webhooks_providerpoll: id, account_id cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='dd4f5c4876b680bbdcac65057006296be0bf085a', operation='UPDATE OF "id", "account_id"', pgid='pgtrigger_frozen_f65bc', table='webhooks_providerpoll', when='BEFORE')),
        ),
    ]
