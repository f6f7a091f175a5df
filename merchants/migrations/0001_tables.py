"""The tables of merchants, with their indexes, constraints and guards."""

import core.clock
import core.db
import core.fields
import core.ids
import django.contrib.postgres.fields
import django.db.models.deletion
import functools
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('staff', '0001_tables'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='KeyApproval',
            fields=[
            ],
            options={
                'proxy': True,
                'default_permissions': (),
                'indexes': [],
                'constraints': [],
            },
            bases=('staff.approval',),
        ),
        migrations.CreateModel(
            name='Merchant',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', core.fields.IdentifierField(default=functools.partial(core.ids.new_id, *('merchant',), **{}), editable=False, max_length=40, unique=True, verbose_name='id')),
                ('name', models.CharField(help_text='Trade name: what payers see.', max_length=100, verbose_name='name')),
                ('legal_name', models.CharField(help_text='Exactly as on the tax certificate.', max_length=200, verbose_name='legal name')),
                ('status', models.CharField(choices=[('active', 'active'), ('suspended', 'suspended')], default='active', help_text="A suspended merchant's API keys are refused.", max_length=16, verbose_name='status')),
                ('deposit_policy', models.CharField(choices=[('exact', 'exact amount, also late'), ('accept_any', 'accept any money'), ('review', 'review whatever differs')], db_default='exact', default='exact', help_text='Exact: the exact amount is credited, also after the payment expired or was cancelled; another amount or a second transfer waits for a person. Accept any: all of it is credited. Review: late money, another amount and a second transfer wait for a person. Money that waits is in suspense, with a review case.', max_length=16, verbose_name='money that differs')),
                ('payout_limit', models.BigIntegerField(blank=True, help_text='Centavos. Empty: no limit.', null=True, verbose_name='most per payout')),
                ('payout_day_limit', models.BigIntegerField(blank=True, help_text='Centavos of all payouts created on a day in Mexico City. Empty: no limit.', null=True, verbose_name='most per day')),
                ('payout_destination_limit', models.BigIntegerField(blank=True, help_text='Centavos to one CLABE on a day in Mexico City. Empty: no limit.', null=True, verbose_name='most per day and destination')),
                ('payout_cool_down_hours', models.PositiveSmallIntegerField(db_default=0, default=0, help_text='Hours before the first payout to a CLABE is sent.', verbose_name='cool-down of a new destination')),
                ('payout_approval_above', models.BigIntegerField(blank=True, help_text='Centavos: a larger payout needs a second person. 0: every payout. Empty: none.', null=True, verbose_name='approval above')),
                ('payout_approval_new_destination', models.BooleanField(db_default=False, default=False, help_text='The first payout to a CLABE needs a second person.', verbose_name='approval for a new destination')),
                ('payout_fee_on_return', models.CharField(choices=[('keep', 'is kept'), ('give_back', 'is given back')], db_default='keep', default='keep', max_length=16, verbose_name='fee of a returned payout')),
                ('created_at', models.DateTimeField(default=core.clock.now, editable=False, verbose_name='created')),
            ],
            options={
                'verbose_name': 'merchant',
                'verbose_name_plural': 'merchants',
                'ordering': ['name'],
                'constraints': [models.CheckConstraint(condition=models.Q(('payout_limit__isnull', True), ('payout_limit__gt', 0), _connector='OR'), name='merchant_payout_limit_positive'), models.CheckConstraint(condition=models.Q(('payout_day_limit__isnull', True), ('payout_day_limit__gt', 0), _connector='OR'), name='merchant_payout_day_limit_positive'), models.CheckConstraint(condition=models.Q(('payout_destination_limit__isnull', True), ('payout_destination_limit__gt', 0), _connector='OR'), name='merchant_payout_destination_limit_positive'), models.CheckConstraint(condition=models.Q(('payout_approval_above__isnull', True), ('payout_approval_above__gte', 0), _connector='OR'), name='merchant_payout_approval_not_negative')],
            },
        ),
        migrations.CreateModel(
            name='IdempotencyKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', core.fields.IdentifierField(default=functools.partial(core.ids.new_id, *('idempotency_key',), **{}), max_length=40, unique=True)),
                ('livemode', models.BooleanField()),
                ('key', models.CharField(max_length=255)),
                ('method', models.CharField(max_length=8)),
                ('path', models.CharField(max_length=200)),
                ('body_sha256', models.CharField(max_length=64)),
                ('field_hashes', models.JSONField(db_default={}, default=dict, help_text='Of every top-level field: to name those that differ, not their values.')),
                ('state', models.CharField(choices=[('in_progress', 'in progress'), ('completed', 'completed')], default='in_progress', max_length=16)),
                ('response_status', models.PositiveSmallIntegerField(null=True)),
                ('response_body', models.TextField(blank=True, help_text='The bytes that were answered, kept as text.')),
                ('object_id', models.CharField(blank=True, max_length=40)),
                ('locked_at', models.DateTimeField(default=core.clock.now)),
                ('created_at', models.DateTimeField(default=core.clock.now)),
                ('merchant', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='merchants.merchant')),
            ],
            options={
                'verbose_name': 'idempotency key',
                'verbose_name_plural': 'idempotency keys',
            },
        ),
        migrations.CreateModel(
            name='Event',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', core.fields.IdentifierField(default=functools.partial(core.ids.new_id, *('event',), **{}), max_length=40, unique=True)),
                ('sequence', models.BigIntegerField(default=0, unique=True, verbose_name='sequence')),
                ('livemode', models.BooleanField(verbose_name='live')),
                ('type', models.CharField(max_length=64, verbose_name='type')),
                ('object_id', models.CharField(max_length=40, verbose_name='object')),
                ('object_sequence', models.PositiveIntegerField()),
                ('data', models.JSONField(help_text='The object as the API showed it at that moment, and what changed.')),
                ('created_at', models.DateTimeField(default=core.clock.now)),
                ('merchant', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='events', to='merchants.merchant')),
            ],
            options={
                'verbose_name': 'event',
                'verbose_name_plural': 'events',
                'ordering': ['-sequence'],
            },
        ),
        migrations.CreateModel(
            name='ApiKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', core.fields.IdentifierField(default=functools.partial(core.ids.new_id, *('api_key',), **{}), editable=False, max_length=40, unique=True, verbose_name='id')),
                ('livemode', models.BooleanField(help_text='Live keys move real money; test keys never do.', verbose_name='live')),
                ('name', models.CharField(blank=True, help_text='Where this key is used.', max_length=100, verbose_name='name')),
                ('prefix', models.CharField(max_length=20, verbose_name='key begins with')),
                ('secret_sha256', core.fields.IdentifierField(editable=False, max_length=64, unique=True)),
                ('scopes', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('payments:read', 'read payments, balance and events'), ('payments:write', 'create payments'), ('payouts:read', 'read payouts and destinations'), ('payouts:write', 'send money: payouts'), ('refunds:write', 'send money back: refunds'), ('webhooks:manage', 'manage webhook endpoints'), ('kyc:manage', 'read and complete the verification'), ('reports:read', 'order and download reports')], max_length=32), size=None, verbose_name='scopes')),
                ('networks', django.contrib.postgres.fields.ArrayField(base_field=core.fields.NetworkField(), blank=True, db_default=[], default=list, help_text='Only from these addresses or networks; from anywhere if there are none.', size=None, verbose_name='allowed addresses')),
                ('expires_at', models.DateTimeField(blank=True, null=True, verbose_name='expires')),
                ('last_used_at', models.DateTimeField(blank=True, null=True, verbose_name='last used')),
                ('revoked_at', models.DateTimeField(blank=True, null=True, verbose_name='revoked')),
                ('created_at', models.DateTimeField(default=core.clock.now, editable=False, verbose_name='created')),
                ('created_by', models.ForeignKey(blank=True, help_text='The person who issued it.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='created by')),
                ('created_by_key', models.ForeignKey(blank=True, db_index=False, help_text='The API key that asked for it.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='merchants.apikey', verbose_name='created by API key')),
                ('replaces', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='successors', to='merchants.apikey', verbose_name='replaces')),
                ('merchant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='api_keys', to='merchants.merchant')),
            ],
            options={
                'verbose_name': 'API key',
                'verbose_name_plural': 'API keys',
                'ordering': ['-id'],
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='merchant',
            trigger=pgtrigger.compiler.Trigger(name='no_delete', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'merchants_merchant keeps its rows: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='c325770512772a5aac4bd93f966319dd00c2295b', level='STATEMENT', operation='DELETE OR TRUNCATE', pgid='pgtrigger_no_delete_b9e49', table='merchants_merchant', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='merchant',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.public_id, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.public_id, OLD.created_at) THEN\n                RAISE EXCEPTION 'merchants_merchant: id, public_id, created_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='226a7f7f0e85f350c7d788e2f59034a7238aab6d', operation='UPDATE OF "id", "public_id", "created_at"', pgid='pgtrigger_frozen_31c3c', table='merchants_merchant', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='keyapproval',
            trigger=pgtrigger.compiler.Trigger(name='issuers', sql=core.db.GuardSql(condition="WHEN (NEW.maker_key <> '')", func="\n                    NEW.issuers = public.merchants_key_issuers(NEW.maker_key);\n                    IF NEW.issuers IS NULL THEN\n                        RAISE EXCEPTION 'merchants: there is no API key %', NEW.maker_key\n                            USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RETURN NEW;\n                ", hash='c6253b3dbdb95aa5cac06edb1128c8aafe702171', operation='INSERT', pgid='pgtrigger_issuers_7a3d2', table='staff_approval', when='BEFORE')),
        ),
        migrations.AddConstraint(
            model_name='idempotencykey',
            constraint=models.UniqueConstraint(fields=('merchant', 'livemode', 'key'), name='idempotency_key_unique'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='idempotencykey',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.public_id, NEW.merchant_id, NEW.livemode, NEW.key, NEW.method, NEW.path, NEW.body_sha256, NEW.field_hashes, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.public_id, OLD.merchant_id, OLD.livemode, OLD.key, OLD.method, OLD.path, OLD.body_sha256, OLD.field_hashes, OLD.created_at) THEN\n                RAISE EXCEPTION 'merchants_idempotencykey: id, public_id, merchant_id, livemode, key, method, path, body_sha256, field_hashes, created_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='d56b0d4bfcfddf2c69acf7ee0493b63c65885486', operation='UPDATE OF "id", "public_id", "merchant_id", "livemode", "key", "method", "path", "body_sha256", "field_hashes", "created_at"', pgid='pgtrigger_frozen_3f90a', table='merchants_idempotencykey', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='idempotencykey',
            trigger=pgtrigger.compiler.Trigger(name='answer_stays', sql=core.db.GuardSql(condition='WHEN (OLD."state" = \'completed\')', func="\n                    RAISE EXCEPTION 'merchants_idempotencykey: a stored answer cannot change'\n                        USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n                ", hash='537e536b62f3f7fe9f4209ca44cca435e4f878e8', operation='UPDATE', pgid='pgtrigger_answer_stays_4142b', table='merchants_idempotencykey', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='idempotencykey',
            trigger=pgtrigger.compiler.Trigger(name='kept_thirty_days', sql=core.db.GuardSql(func="\n                    IF OLD.created_at > pg_catalog.now() - interval '30 days' THEN\n                        RAISE EXCEPTION 'merchants_idempotencykey: a key is kept for thirty days'\n                            USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RETURN OLD;\n                ", hash='9093e991dccea7d8612dd89850668d469338cce8', operation='DELETE', pgid='pgtrigger_kept_thirty_days_2c093', table='merchants_idempotencykey', when='BEFORE')),
        ),
        migrations.AddIndex(
            model_name='event',
            index=models.Index(fields=['merchant', 'livemode', 'sequence'], name='event_feed'),
        ),
        migrations.AddConstraint(
            model_name='event',
            constraint=models.UniqueConstraint(fields=('object_id', 'object_sequence'), name='event_object_sequence'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='event',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'merchants_event is append-only: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='08ee3640c05cc4cedc269eed923dabe85e5a26ea', level='STATEMENT', operation='UPDATE OR DELETE OR TRUNCATE', pgid='pgtrigger_append_only_e1ded', table='merchants_event', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='event',
            trigger=pgtrigger.compiler.Trigger(name='assign_sequence', sql=core.db.GuardSql(declare="DECLARE given bigint := pg_sequence_last_value('public.merchants_event_counter'::regclass); marker bigint := nullif(current_setting('payments.merchants_event_counter', true), '')::bigint; kept text;", func="\n            IF marker IS NULL OR marker > given OR marker < given - 536870912 THEN\n                marker := given;\n                kept := set_config('payments.merchants_event_counter', marker::text, true);\n            END IF;\n            IF NOT pg_try_advisory_xact_lock_shared(473701, (marker & 2147483647)::integer) THEN\n                RAISE EXCEPTION 'merchants_event_counter: another session locks the marker of this transaction'\n                    USING ERRCODE = 'lock_not_available', TABLE = TG_TABLE_NAME;\n            END IF;\n            NEW.sequence := nextval('public.merchants_event_counter'::regclass);\n         RETURN NEW;", hash='f60a09a4329508d505139996d025fcd3a182b7aa', operation='INSERT', pgid='pgtrigger_assign_sequence_5c355', table='merchants_event', when='BEFORE')),
        ),
        migrations.AddConstraint(
            model_name='apikey',
            constraint=models.CheckConstraint(condition=models.Q(('scopes__contained_by', ['payments:read', 'payments:write', 'payouts:read', 'payouts:write', 'refunds:write', 'webhooks:manage', 'kyc:manage', 'reports:read'])), name='api_key_scopes_known'),
        ),
        migrations.AddConstraint(
            model_name='apikey',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('livemode', True), ('prefix__startswith', 'sk_live_')), models.Q(('livemode', False), ('prefix__startswith', 'sk_test_')), _connector='OR'), name='api_key_says_its_mode'),
        ),
        migrations.AddConstraint(
            model_name='apikey',
            constraint=models.CheckConstraint(condition=models.Q(('created_by__isnull', True), ('created_by_key__isnull', True), _connector='OR'), name='api_key_one_issuer'),
        ),
        migrations.AddConstraint(
            model_name='apikey',
            constraint=models.UniqueConstraint(condition=models.Q(('revoked_at__isnull', True)), fields=('replaces',), name='api_key_one_successor'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='apikey',
            trigger=pgtrigger.compiler.Trigger(name='no_delete', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'merchants_apikey keeps its rows: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='107ebfa89c384c859ec11810789652828e481067', level='STATEMENT', operation='DELETE OR TRUNCATE', pgid='pgtrigger_no_delete_c37c3', table='merchants_apikey', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='apikey',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.public_id, NEW.merchant_id, NEW.livemode, NEW.name, NEW.prefix, NEW.secret_sha256, NEW.scopes, NEW.created_by_id, NEW.created_by_key_id, NEW.replaces_id, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.public_id, OLD.merchant_id, OLD.livemode, OLD.name, OLD.prefix, OLD.secret_sha256, OLD.scopes, OLD.created_by_id, OLD.created_by_key_id, OLD.replaces_id, OLD.created_at) THEN\n                RAISE EXCEPTION 'merchants_apikey: id, public_id, merchant_id, livemode, name, prefix, secret_sha256, scopes, created_by_id, created_by_key_id, replaces_id, created_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='853606f7e49173b3b6cfcbb5e46f5606b7a20a09', operation='UPDATE OF "id", "public_id", "merchant_id", "livemode", "name", "prefix", "secret_sha256", "scopes", "created_by_id", "created_by_key_id", "replaces_id", "created_at"', pgid='pgtrigger_frozen_f26cc', table='merchants_apikey', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='apikey',
            trigger=pgtrigger.compiler.Trigger(name='frozen_once', sql=core.db.GuardSql(func="\n            IF (OLD.revoked_at IS NOT NULL) AND (NEW.revoked_at) IS DISTINCT FROM (OLD.revoked_at) THEN\n                RAISE EXCEPTION 'merchants_apikey: revoked_at cannot change any more'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='d5b01df31080d974993a573ef01279077837a602', operation='UPDATE OF "revoked_at"', pgid='pgtrigger_frozen_once_e5469', table='merchants_apikey', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='apikey',
            trigger=pgtrigger.compiler.Trigger(name='ends_no_later', sql=core.db.GuardSql(condition='WHEN ((NEW.expires_at) IS DISTINCT FROM (OLD.expires_at) AND (OLD.expires_at IS NULL OR NEW.expires_at <= OLD.expires_at) IS NOT TRUE)', func="\n            RAISE EXCEPTION 'merchants_apikey: expires_at cannot become later'\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='a74982abe768907421d36c524143f96b77ced222', operation='UPDATE OF "expires_at"', pgid='pgtrigger_ends_no_later_86d7c', table='merchants_apikey', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='apikey',
            trigger=pgtrigger.compiler.Trigger(name='used_no_earlier', sql=core.db.GuardSql(condition='WHEN ((NEW.last_used_at) IS DISTINCT FROM (OLD.last_used_at) AND (OLD.last_used_at IS NULL OR NEW.last_used_at >= OLD.last_used_at) IS NOT TRUE)', func="\n            RAISE EXCEPTION 'merchants_apikey: last_used_at cannot become earlier'\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='8f415d04a8f237429cc740fbd93e1e33fb59b9c1', operation='UPDATE OF "last_used_at"', pgid='pgtrigger_used_no_earlier_f5bf5', table='merchants_apikey', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='apikey',
            trigger=pgtrigger.compiler.Trigger(name='successor_may_no_more', sql=core.db.GuardSql(func="\n                    IF NEW.replaces_id IS NOT NULL AND NOT EXISTS (\n                        SELECT 1 FROM public.merchants_apikey WHERE id = NEW.replaces_id\n                            AND merchant_id = NEW.merchant_id AND livemode = NEW.livemode\n                            AND scopes OPERATOR(pg_catalog.@>) NEW.scopes\n                    ) THEN\n                        RAISE EXCEPTION 'merchants_apikey: a successor is of the same merchant and may no more'\n                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RETURN NEW;\n                ", hash='e281ad83e792f2a9bd2428aba16201f2698fb064', operation='INSERT', pgid='pgtrigger_successor_may_no_more_d79bf', table='merchants_apikey', when='BEFORE')),
        ),
    ]
