"""Changes of accounts are recorded by the database, and an approver is made by two people."""

import core.clock
import core.db
import core.ids
import django.contrib.auth.models
import django.db.models.deletion
import functools
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models


WHO = """
CREATE FUNCTION public.staff_permission_label(wanted integer) RETURNS text LANGUAGE sql AS $$
    SELECT t.app_label || '.' || p.codename
    FROM public.auth_permission p JOIN public.django_content_type t ON t.id = p.content_type_id
    WHERE p.id = wanted
$$;

-- Whether an account holds the permission to decide. One that is not active counts: it may be reactivated.
CREATE FUNCTION public.staff_decides(account integer) RETURNS boolean LANGUAGE sql AS $$
    SELECT EXISTS (SELECT 1 FROM public.auth_user WHERE id = account AND is_superuser)
        OR EXISTS (
            SELECT 1 FROM public.auth_user_user_permissions
            WHERE user_id = account AND public.staff_permission_label(permission_id) = 'staff.decide_approval'
        )
        OR EXISTS (
            SELECT 1 FROM public.auth_user_groups m JOIN public.auth_group_permissions p ON p.group_id = m.group_id
            WHERE m.user_id = account AND public.staff_permission_label(p.permission_id) = 'staff.decide_approval'
        )
$$;

-- Whether a change makes an approver, or lets another person in as one.
CREATE FUNCTION public.staff_makes_approver(change public.staff_accountchange) RETURNS boolean LANGUAGE sql AS $$
    SELECT CASE
        WHEN change.kind = 'superuser' THEN true
        WHEN change.kind = 'permission' THEN change.detail = 'staff.decide_approval'
        WHEN change.kind = 'group' THEN EXISTS (
            SELECT 1 FROM public.auth_group g JOIN public.auth_group_permissions p ON p.group_id = g.id
            WHERE g.name = change.detail AND public.staff_permission_label(p.permission_id) = 'staff.decide_approval'
        )
        WHEN change.kind IN ('password', 'active', 'staff') THEN
            change.actor_id IS DISTINCT FROM change.user_id AND public.staff_decides(change.user_id)
        ELSE false
    END
$$;

CREATE FUNCTION public.staff_record_change(
    account integer, kind text, detail text DEFAULT '', through text DEFAULT ''
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    named text := coalesce(current_setting('payments.actor', true), '');
    actor integer := CASE WHEN named ~ '^[0-9]{1,9}$' THEN named::integer END;
BEGIN
    INSERT INTO public.staff_accountchange (user_id, kind, detail, through, source, actor_id, created_at)
    VALUES (
        account, kind, detail, through,
        CASE WHEN actor IS NOT NULL THEN 'staff' WHEN named = 'operator' THEN 'operator' ELSE 'unknown' END,
        actor, clock_timestamp()
    );
END
$$;

-- The accounts that cannot vote on what `makers` proposed, themselves included. Changes older than seven days, changes
-- of one's own account and those by commands on the host on the site's first day do not count.
--   behind:  the makers, and those who know their passwords: who created or reset them, and so on upwards
--   touched: the accounts that these created, reset or gave rights to, and so on downwards; and every account that
--            an unknown person changed
-- If an unknown person may know a maker's password, every account is barred.
CREATE FUNCTION public.staff_barred(makers integer[]) RETURNS SETOF integer LANGUAGE sql AS $$
    WITH RECURSIVE recent AS (
        SELECT user_id, kind, actor_id FROM public.staff_accountchange
        WHERE created_at > clock_timestamp() - interval '7 days' AND actor_id IS DISTINCT FROM user_id
            AND NOT (
                source = 'operator'
                AND created_at < (SELECT min(created_at) FROM public.staff_accountchange) + interval '1 day'
            )
    ), behind AS (
        SELECT unnest(makers) AS account
        UNION
        SELECT r.actor_id FROM recent r JOIN behind b ON b.account = r.user_id WHERE r.kind IN ('created', 'password')
    ), touched AS (
        SELECT account FROM (
            SELECT account FROM behind WHERE account IS NOT NULL
            UNION SELECT user_id FROM recent WHERE actor_id IS NULL
        ) first
        UNION
        SELECT r.user_id FROM recent r JOIN touched t ON t.account = r.actor_id
    )
    SELECT account FROM touched
    UNION SELECT id FROM public.auth_user WHERE EXISTS (SELECT 1 FROM behind WHERE account IS NULL)
$$;
"""
WITHOUT = """
DROP FUNCTION public.staff_barred(integer[]);
DROP FUNCTION public.staff_record_change(integer, text, text, text);
DROP FUNCTION public.staff_makes_approver(public.staff_accountchange);
DROP FUNCTION public.staff_decides(integer);
DROP FUNCTION public.staff_permission_label(integer);
"""

PRESENT = """
INSERT INTO public.staff_accountchange (user_id, kind, detail, through, source, created_at)
SELECT id, 'created', '', '', 'operator', clock_timestamp() FROM public.auth_user
"""
"""Accounts that were there before count as made by commands on the host."""


class Migration(migrations.Migration):

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),
        ('staff', '0002_guards_by_column'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='AccountChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('created', 'account created'), ('password', 'password set'), ('username', 'user name changed'), ('email', 'e-mail changed'), ('active', 'account reactivated'), ('staff', 'access to the back office'), ('superuser', 'superuser'), ('permission', 'permission'), ('group', 'member of the group')], max_length=16, verbose_name='change')),
                ('detail', models.CharField(blank=True, max_length=250, verbose_name='detail')),
                ('through', models.CharField(blank=True, max_length=150, verbose_name='through the group')),
                ('source', models.CharField(choices=[('staff', 'staff'), ('operator', 'command on the host'), ('unknown', 'unknown')], max_length=16, verbose_name='source')),
                ('created_at', models.DateTimeField(default=core.clock.now, editable=False, verbose_name='when')),
            ],
            options={
                'verbose_name': 'account change',
                'verbose_name_plural': 'account changes',
                'ordering': ['-id'],
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='AccountProposal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.CharField(default=functools.partial(core.ids.new_id, *('account_proposal',), **{}), editable=False, max_length=40, unique=True, verbose_name='id')),
                ('grants', models.JSONField(verbose_name='grants')),
                ('password', models.CharField(blank=True, max_length=128)),
                ('created_at', models.DateTimeField(default=core.clock.now, editable=False, verbose_name='proposed')),
                ('applied_at', models.DateTimeField(blank=True, null=True, verbose_name='carried out')),
            ],
            options={
                'verbose_name': 'account proposal',
                'verbose_name_plural': 'account proposals',
                'ordering': ['-id'],
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='AccountGroupRow',
            fields=[
            ],
            options={
                'proxy': True,
                'default_permissions': (),
                'indexes': [],
                'constraints': [],
            },
            bases=('auth.user_groups',),
        ),
        migrations.CreateModel(
            name='AccountPermissionRow',
            fields=[
            ],
            options={
                'proxy': True,
                'default_permissions': (),
                'indexes': [],
                'constraints': [],
            },
            bases=('auth.user_user_permissions',),
        ),
        migrations.CreateModel(
            name='AccountRow',
            fields=[
            ],
            options={
                'proxy': True,
                'default_permissions': (),
                'indexes': [],
                'constraints': [],
            },
            bases=('auth.user',),
            managers=[
                ('objects', django.contrib.auth.models.UserManager()),
            ],
        ),
        migrations.CreateModel(
            name='GroupPermissionRow',
            fields=[
            ],
            options={
                'proxy': True,
                'default_permissions': (),
                'indexes': [],
                'constraints': [],
            },
            bases=('auth.group_permissions',),
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='approval',
            name='second_person',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='vote',
            name='allowed',
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='approval',
            trigger=pgtrigger.compiler.Trigger(name='second_person', sql=core.db.GuardSql(func="\n                    IF OLD.status <> 'pending' AND NEW IS DISTINCT FROM OLD THEN\n                        RAISE EXCEPTION 'staff: approval % was decided already', OLD.public_id\n                            USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    IF NEW.status IN ('approved', 'rejected') AND OLD.status = 'pending' THEN\n                        IF NOT EXISTS (\n                            SELECT 1 FROM public.staff_vote v\n                            WHERE v.approval_id = NEW.id\n                                AND v.user_id NOT IN (SELECT public.staff_barred(ARRAY[NEW.maker_id]))\n                                AND v.decision = CASE NEW.status WHEN 'approved' THEN 'approve' ELSE 'reject' END\n                        ) THEN\n                            RAISE EXCEPTION 'staff: nobody else voted for approval % to be %', NEW.public_id, NEW.status\n                                USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                        END IF;\n                        IF clock_timestamp() > OLD.expires_at THEN\n                            RAISE EXCEPTION 'staff: approval % has expired', NEW.public_id\n                                USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                        END IF;\n                    END IF;\n                    RETURN NEW;\n                ", hash='50ae130c3c0eb100789d5e691c2bf7fe0461a880', operation='UPDATE', pgid='pgtrigger_second_person_87078', table='staff_approval', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='vote',
            trigger=pgtrigger.compiler.Trigger(name='allowed', sql=core.db.GuardSql(declare='DECLARE asked record;', func="\n                    SELECT maker_id, status, expires_at INTO asked\n                        FROM public.staff_approval WHERE id = NEW.approval_id FOR NO KEY UPDATE;\n                    IF asked.maker_id = NEW.user_id THEN\n                        RAISE EXCEPTION 'staff: whoever proposed it does not vote on it'\n                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    IF NEW.user_id IN (SELECT public.staff_barred(ARRAY[asked.maker_id])) THEN\n                        RAISE EXCEPTION 'staff: this account cannot vote on a proposal of that account'\n                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = 'barred';\n                    END IF;\n                    IF asked.status <> 'pending' THEN\n                        RAISE EXCEPTION 'staff: this approval is % already', asked.status\n                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    IF clock_timestamp() > asked.expires_at THEN\n                        RAISE EXCEPTION 'staff: this approval has expired'\n                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RETURN NEW;\n                ", hash='225954f70e7a70d5391593047962a6a9a6e0cf88', operation='INSERT', pgid='pgtrigger_allowed_e5045', table='staff_vote', when='BEFORE')),
        ),
        migrations.AddField(
            model_name='accountchange',
            name='actor',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='by'),
        ),
        migrations.AddField(
            model_name='accountchange',
            name='user',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='account'),
        ),
        migrations.AddField(
            model_name='accountproposal',
            name='group',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='auth.group', verbose_name='group'),
        ),
        migrations.AddField(
            model_name='accountproposal',
            name='maker',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='proposed by'),
        ),
        migrations.AddField(
            model_name='accountproposal',
            name='user',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='account'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='accountgrouprow',
            trigger=pgtrigger.compiler.Trigger(name='recorded', sql=core.db.GuardSql(func="PERFORM 1 FROM public.auth_group WHERE id = NEW.group_id FOR NO KEY UPDATE;\n                    PERFORM public.staff_record_change(NEW.user_id, 'group', g.name)\n                    FROM public.auth_group g WHERE g.id = NEW.group_id;\n                    RETURN NULL;\n                ", hash='e2b2a474bae480393ed8a13184faa0ffcf4cbaf1', operation='INSERT OR UPDATE', pgid='pgtrigger_recorded_465e1', table='auth_user_groups', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='accountpermissionrow',
            trigger=pgtrigger.compiler.Trigger(name='recorded', sql=core.db.GuardSql(func="\n                    PERFORM public.staff_record_change(\n                        NEW.user_id, 'permission', public.staff_permission_label(NEW.permission_id)\n                    );\n                    RETURN NULL;\n                ", hash='6abec29d78e4e8bdbd668f2f70c7707d577375ff', operation='INSERT OR UPDATE', pgid='pgtrigger_recorded_36c23', table='auth_user_user_permissions', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='accountrow',
            trigger=pgtrigger.compiler.Trigger(name='recorded', sql=core.db.GuardSql(func="\n                    IF TG_OP = 'INSERT' THEN\n                        PERFORM public.staff_record_change(NEW.id, 'created');\n                    ELSE\n                        IF NEW.username <> OLD.username THEN\n                            PERFORM public.staff_record_change(NEW.id, 'username');\n                        END IF;\n                        IF NEW.email <> OLD.email THEN\n                            PERFORM public.staff_record_change(NEW.id, 'email');\n                        END IF;\n                        -- A hash that begins with ! is none: nobody can sign in with it.\n                        IF NEW.password <> OLD.password AND left(NEW.password, 1) <> '!' THEN\n                            PERFORM public.staff_record_change(NEW.id, 'password');\n                        END IF;\n                        IF NEW.is_active AND NOT OLD.is_active THEN\n                            PERFORM public.staff_record_change(NEW.id, 'active');\n                        END IF;\n                        IF NEW.is_staff AND NOT OLD.is_staff THEN\n                            PERFORM public.staff_record_change(NEW.id, 'staff');\n                        END IF;\n                    END IF;\n                    IF NEW.is_superuser AND (TG_OP = 'INSERT' OR NOT OLD.is_superuser) THEN\n                        PERFORM public.staff_record_change(NEW.id, 'superuser');\n                    END IF;\n                    RETURN NULL;\n                ", hash='38a0ba0f84837020f060f307e6868b779961e8e7', operation='INSERT OR UPDATE OF "username", "email", "password", "is_active", "is_staff", "is_superuser"', pgid='pgtrigger_recorded_67797', table='auth_user', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='grouppermissionrow',
            trigger=pgtrigger.compiler.Trigger(name='recorded', sql=core.db.GuardSql(func="PERFORM 1 FROM public.auth_group WHERE id = NEW.group_id FOR NO KEY UPDATE;\n                    PERFORM public.staff_record_change(\n                        m.user_id, 'permission', public.staff_permission_label(NEW.permission_id), g.name\n                    )\n                    FROM public.auth_user_groups m JOIN public.auth_group g ON g.id = m.group_id\n                    WHERE m.group_id = NEW.group_id;\n                    RETURN NULL;\n                ", hash='5616f0ff0027e7e9aaf53e40e2deab2f366a82fc', operation='INSERT OR UPDATE', pgid='pgtrigger_recorded_1c52b', table='auth_group_permissions', when='AFTER')),
        ),
        migrations.AddConstraint(
            model_name='accountchange',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('actor__isnull', False), ('source', 'staff')), models.Q(('actor__isnull', True), ('source__in', ['operator', 'unknown'])), _connector='OR'), name='account_change_has_actor'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='accountchange',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'staff_accountchange is append-only: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='64e5bfb0b3c89d96693f75e4f0d49375ac1db7b5', level='STATEMENT', operation='UPDATE OR DELETE OR TRUNCATE', pgid='pgtrigger_append_only_41ea2', table='staff_accountchange', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='accountchange',
            trigger=pgtrigger.compiler.Trigger(name='second_person', sql=core.db.GuardSql(func="\n                    NEW.created_at = clock_timestamp();\n                    IF NEW.source <> 'operator' AND public.staff_makes_approver(NEW) AND NOT EXISTS (\n                        SELECT 1 FROM public.staff_accountproposal p\n                        JOIN public.staff_approval a ON a.kind = 'staff.make_approver' AND a.subject = p.public_id\n                        WHERE p.public_id = current_setting('payments.proposal', true) AND p.applied_at IS NULL\n                            AND a.status = 'approved' AND a.maker_id = NEW.actor_id\n                            AND (p.user_id = NEW.user_id\n                                OR p.group_id = (SELECT id FROM public.auth_group WHERE name = NEW.through))\n                            AND p.grants ? concat_ws(':', NEW.kind, nullif(NEW.detail, ''))\n                            AND (NEW.kind <> 'password'\n                                OR p.password = (SELECT password FROM public.auth_user WHERE id = NEW.user_id))\n                    ) THEN\n                        RAISE EXCEPTION 'staff: making or resetting an approver needs a second person'\n                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = 'second_person';\n                    END IF;\n                    RETURN NEW;\n                ", hash='117aea568970bf3229573320e29fba525d9a25ab', operation='INSERT', pgid='pgtrigger_second_person_ec593', table='staff_accountchange', when='BEFORE')),
        ),
        migrations.AddConstraint(
            model_name='accountproposal',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('group__isnull', False), ('user__isnull', True)), models.Q(('group__isnull', True), ('user__isnull', False)), _connector='OR'), name='account_proposal_one_target'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='accountproposal',
            trigger=pgtrigger.compiler.Trigger(name='no_delete', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'staff_accountproposal keeps its rows: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='82a4aab8880a463a71a306f398b130b32ec3382b', level='STATEMENT', operation='DELETE OR TRUNCATE', pgid='pgtrigger_no_delete_def12', table='staff_accountproposal', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='accountproposal',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.public_id, NEW.user_id, NEW.group_id, NEW.grants, NEW.maker_id, NEW.created_at) IS DISTINCT FROM (OLD.public_id, OLD.user_id, OLD.group_id, OLD.grants, OLD.maker_id, OLD.created_at) THEN\n                RAISE EXCEPTION 'staff_accountproposal: public_id, user_id, group_id, grants, maker_id, created_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='1977144a729e6330eff63cbc5d3a3b4d19717ecb', operation='UPDATE OF "public_id", "user_id", "group_id", "grants", "maker_id", "created_at"', pgid='pgtrigger_frozen_9f31e', table='staff_accountproposal', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='accountproposal',
            trigger=pgtrigger.compiler.Trigger(name='settled', sql=core.db.GuardSql(func="\n                    IF (OLD.applied_at IS NOT NULL AND NEW IS DISTINCT FROM OLD)\n                        OR NEW.password NOT IN ('', OLD.password) THEN\n                        RAISE EXCEPTION 'staff_accountproposal: applied_at, password cannot change any more'\n                            USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RETURN NEW;\n                ", hash='8fd0390f9e6db40ad28087b2af0fc0f7a04dcbc1', operation='UPDATE', pgid='pgtrigger_settled_1063e', table='staff_accountproposal', when='BEFORE')),
        ),
        migrations.RunSQL(WHO, WITHOUT),
        migrations.RunSQL(PRESENT, migrations.RunSQL.noop),
    ]
