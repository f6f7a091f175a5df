"""Calls to providers are recorded and counted; an account says apart what it takes and what it hears."""

import core.clock
import core.db
import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('payments', '0020_columns_decided'),
    ]

    operations = [
        migrations.CreateModel(
            name='ProviderCall',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('livemode', models.BooleanField(verbose_name='live')),
                ('operation', models.CharField(max_length=40, verbose_name='operation')),
                ('object_id', models.CharField(blank=True, max_length=40, verbose_name='object')),
                ('request', models.TextField(blank=True, verbose_name='request')),
                ('began_at', models.DateTimeField(default=core.clock.now, verbose_name='began')),
                ('outcome', models.CharField(blank=True, choices=[('accepted', 'accepted'), ('refused', 'refused'), ('not_sent', 'not sent'), ('unknown', 'unknown')], default='', max_length=8, verbose_name='outcome')),
                ('status', models.PositiveSmallIntegerField(null=True, verbose_name='HTTP status')),
                ('answer', models.TextField(blank=True, default='', verbose_name='answer')),
                ('duration_ms', models.PositiveIntegerField(null=True, verbose_name='milliseconds')),
            ],
            options={
                'verbose_name': 'provider call',
                'verbose_name_plural': 'provider calls',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='ProviderQuota',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=16)),
                ('hour', models.DateTimeField()),
                ('spent', models.PositiveIntegerField(default=0)),
            ],
            options={
                'verbose_name': 'provider quota',
                'verbose_name_plural': 'provider quotas',
            },
        ),
        migrations.RemoveConstraint(
            model_name='provideraccount',
            name='provider_account_active_one',
        ),
        migrations.AddField(
            model_name='provideraccount',
            name='hears_notices',
            field=models.BooleanField(default=True, help_text='Its notices are accepted, and its provider is asked. Money may still arrive after the last use.', verbose_name='hears notices'),
        ),
        migrations.RenameField(model_name='provideraccount', old_name='is_active', new_name='takes_new'),
        migrations.AlterField(
            model_name='provideraccount',
            name='takes_new',
            field=models.BooleanField(default=True, help_text='New payments and CLABEs are made here. One account of a provider and mode does so.', verbose_name='takes new payments'),
        ),
        migrations.RunSQL('UPDATE payments_provideraccount SET hears_notices = takes_new', migrations.RunSQL.noop),
        pgtrigger.migrations.AddTrigger(
            model_name='provideraccount',
            trigger=pgtrigger.compiler.Trigger(name='frozen_once', sql=core.db.GuardSql(func="\n            IF (OLD.provider = 'stp' AND (EXISTS (SELECT FROM public.payments_deposit WHERE provider_account_id = OLD.id) OR EXISTS (SELECT FROM public.payments_clabe WHERE provider_account_id = OLD.id) OR EXISTS (SELECT FROM public.payments_payment WHERE provider_account_id = OLD.id))) AND (NEW.name) IS DISTINCT FROM (OLD.name) THEN\n                RAISE EXCEPTION 'payments_provideraccount: name cannot change any more'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='f9ad4c06ab2f17bbe28746805a411b9e26d4bdd5', operation='UPDATE OF "name"', pgid='pgtrigger_frozen_once_22315', table='payments_provideraccount', when='BEFORE')),
        ),
        migrations.AddConstraint(
            model_name='provideraccount',
            constraint=models.UniqueConstraint(condition=models.Q(('takes_new', True)), fields=('provider', 'livemode'), name='provider_account_takes_new_one'),
        ),
        migrations.AddConstraint(
            model_name='provideraccount',
            constraint=models.CheckConstraint(condition=models.Q(('takes_new', False), ('hears_notices', True), _connector='OR'), name='provider_account_takes_and_hears'),
        ),
        migrations.AddField(
            model_name='providercall',
            name='account',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='calls', to='payments.provideraccount', verbose_name='provider account'),
        ),
        migrations.AddField(
            model_name='providerquota',
            name='account',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='payments.provideraccount'),
        ),
        migrations.AddIndex(
            model_name='providercall',
            index=models.Index(condition=models.Q(('object_id', ''), _negated=True), fields=['object_id', 'id'], name='provider_call_about'),
        ),
        migrations.AddConstraint(
            model_name='providercall',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('answer', ''), ('duration_ms__isnull', True), ('outcome', ''), ('status__isnull', True)), models.Q(('duration_ms__isnull', False), ('outcome__in', ['accepted', 'refused', 'not_sent', 'unknown'])), _connector='OR'), name='provider_call_filled_at_once'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='providercall',
            trigger=pgtrigger.compiler.Trigger(name='no_delete', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'payments_providercall keeps its rows: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='f1c2d7c564e0f5f788375db389a5775ed8e2d266', level='STATEMENT', operation='DELETE OR TRUNCATE', pgid='pgtrigger_no_delete_0aebb', table='payments_providercall', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='providercall',
            trigger=pgtrigger.compiler.Trigger(name='filled_once', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.outcome <> '' THEN\n                    RAISE EXCEPTION 'payments_providercall: a row is inserted before its outcome is known'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF OLD.outcome <> '' OR NEW.outcome = '' OR (NEW.id, NEW.account_id, NEW.livemode, NEW.operation, NEW.object_id, NEW.request, NEW.began_at) IS DISTINCT FROM (OLD.id, OLD.account_id, OLD.livemode, OLD.operation, OLD.object_id, OLD.request, OLD.began_at) THEN\n                RAISE EXCEPTION 'payments_providercall: its outcome is filled in once, and nothing else changes'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='b6092c46c20b16b526242ba966bf54503dbae2a6', operation='INSERT OR UPDATE', pgid='pgtrigger_filled_once_10ef9', table='payments_providercall', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='providercall',
            trigger=pgtrigger.compiler.Trigger(name='same_mode', sql=core.db.GuardSql(func="\n                IF NOT EXISTS (\n                    SELECT 1 FROM public.payments_provideraccount WHERE id = NEW.account_id AND livemode = NEW.livemode\n                ) THEN\n                    PERFORM 1 FROM public.payments_provideraccount WHERE id = NEW.account_id;\n                    IF NOT FOUND THEN\n                        RAISE EXCEPTION 'payments_providercall: its account is not there'\n                            USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RAISE EXCEPTION 'payments_providercall: its account is of the other mode'\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n                RETURN NEW;", hash='9fbee27164c918458f73e44960a25c6125d4a16d', operation='INSERT OR UPDATE OF "account_id", "livemode"', pgid='pgtrigger_same_mode_1596c', table='payments_providercall', when='BEFORE')),
        ),
        migrations.AddConstraint(
            model_name='providerquota',
            constraint=models.UniqueConstraint(fields=('account', 'name', 'hour'), name='provider_quota_unique'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='providerquota',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.account_id, NEW.name, NEW.hour) IS DISTINCT FROM (OLD.id, OLD.account_id, OLD.name, OLD.hour) THEN\n                RAISE EXCEPTION 'payments_providerquota: id, account_id, name, hour cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='09cdf0c579ce59eafd58082990aea5e89f5d3166', operation='UPDATE OF "id", "account_id", "name", "hour"', pgid='pgtrigger_frozen_a52e8', table='payments_providerquota', when='BEFORE')),
        ),
    ]
