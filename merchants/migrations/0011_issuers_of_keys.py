"""API keys name their issuer, and approvals that a key proposes name those who may know its secret."""

import core.db
import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models

ISSUERS = """
UPDATE merchants_apikey k SET created_by_id = u.id FROM auth_user u WHERE u.username = k.issued_by;
UPDATE merchants_apikey k SET created_by_key_id = b.id FROM merchants_apikey b WHERE b.public_id = k.issued_by;
"""

FUNCTION = """
-- The accounts of those who may know the secret of an API key: who issued it, the keys that it replaces and the keys
-- that rolled one of these. NULL among them: an unknown person, by a command on the host. NULL: there is no such key.
CREATE FUNCTION public.merchants_key_issuers(key text) RETURNS integer[] LANGUAGE sql AS $$
    WITH RECURSIVE chain AS (
        SELECT id, replaces_id, created_by_id, created_by_key_id FROM public.merchants_apikey WHERE public_id = key
        UNION
        SELECT k.id, k.replaces_id, k.created_by_id, k.created_by_key_id
        FROM chain c JOIN public.merchants_apikey k ON k.id IN (c.replaces_id, c.created_by_key_id)
    )
    SELECT array_agg(DISTINCT created_by_id) FROM chain WHERE created_by_key_id IS NULL
$$;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('merchants', '0010_columns_decided'),
        ('staff', '0006_approvals_of_any_kind'),
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
        pgtrigger.migrations.RemoveTrigger(
            model_name='apikey',
            name='frozen',
        ),
        migrations.RenameField(model_name='apikey', old_name='created_by', new_name='issued_by'),
        migrations.AddField(
            model_name='apikey',
            name='created_by',
            field=models.ForeignKey(blank=True, help_text='The person who issued it.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='created by'),
        ),
        migrations.AddField(
            model_name='apikey',
            name='created_by_key',
            field=models.ForeignKey(blank=True, help_text='The API key that asked for it.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='merchants.apikey', verbose_name='created by API key'),
        ),
        migrations.RunSQL(ISSUERS, migrations.RunSQL.noop),
        migrations.RemoveField(model_name='apikey', name='issued_by'),
        pgtrigger.migrations.AddTrigger(
            model_name='apikey',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.public_id, NEW.merchant_id, NEW.livemode, NEW.name, NEW.prefix, NEW.secret_sha256, NEW.scopes, NEW.created_by_id, NEW.created_by_key_id, NEW.replaces_id, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.public_id, OLD.merchant_id, OLD.livemode, OLD.name, OLD.prefix, OLD.secret_sha256, OLD.scopes, OLD.created_by_id, OLD.created_by_key_id, OLD.replaces_id, OLD.created_at) THEN\n                RAISE EXCEPTION 'merchants_apikey: id, public_id, merchant_id, livemode, name, prefix, secret_sha256, scopes, created_by_id, created_by_key_id, replaces_id, created_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='853606f7e49173b3b6cfcbb5e46f5606b7a20a09', operation='UPDATE OF "id", "public_id", "merchant_id", "livemode", "name", "prefix", "secret_sha256", "scopes", "created_by_id", "created_by_key_id", "replaces_id", "created_at"', pgid='pgtrigger_frozen_f26cc', table='merchants_apikey', when='BEFORE')),
        ),
        migrations.AddConstraint(
            model_name='apikey',
            constraint=models.CheckConstraint(condition=models.Q(('created_by__isnull', True), ('created_by_key__isnull', True), _connector='OR'), name='api_key_one_issuer'),
        ),
        migrations.RunSQL(FUNCTION, 'DROP FUNCTION public.merchants_key_issuers(text)'),
        pgtrigger.migrations.AddTrigger(
            model_name='keyapproval',
            trigger=pgtrigger.compiler.Trigger(name='issuers', sql=core.db.GuardSql(condition="WHEN (NEW.maker_key <> '')", func="\n                    NEW.issuers = public.merchants_key_issuers(NEW.maker_key);\n                    IF NEW.issuers IS NULL THEN\n                        RAISE EXCEPTION 'merchants: there is no API key %', NEW.maker_key\n                            USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RETURN NEW;\n                ", hash='c6253b3dbdb95aa5cac06edb1128c8aafe702171', operation='INSERT', pgid='pgtrigger_issuers_7a3d2', table='staff_approval', when='BEFORE')),
        ),
    ]
