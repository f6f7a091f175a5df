"""The tables of staff, with their indexes, constraints and guards."""

import core.clock
import core.db
import core.fields
import core.ids
import django.contrib.auth.models
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
        ('auth', '0012_alter_user_first_name_max_length'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
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
        migrations.CreateModel(
            name='AccountChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('created', 'account created'), ('password', 'password set'), ('username', 'user name changed'), ('email', 'e-mail changed'), ('active', 'account reactivated'), ('staff', 'access to the back office'), ('superuser', 'superuser'), ('permission', 'permission'), ('group', 'member of the group')], max_length=16, verbose_name='change')),
                ('detail', models.CharField(blank=True, max_length=250, verbose_name='detail')),
                ('through', models.CharField(blank=True, max_length=150, verbose_name='through the group')),
                ('source', models.CharField(choices=[('staff', 'staff'), ('operator', 'command on the host'), ('unknown', 'unknown')], max_length=16, verbose_name='source')),
                ('created_at', models.DateTimeField(default=core.clock.now, editable=False, verbose_name='when')),
                ('actor', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='by')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='account')),
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
                ('public_id', core.fields.IdentifierField(default=functools.partial(core.ids.new_id, *('account_proposal',), **{}), editable=False, max_length=40, unique=True, verbose_name='id')),
                ('grants', models.JSONField(verbose_name='grants')),
                ('password', models.CharField(blank=True, max_length=128)),
                ('created_at', models.DateTimeField(default=core.clock.now, editable=False, verbose_name='proposed')),
                ('applied_at', models.DateTimeField(blank=True, null=True, verbose_name='carried out')),
                ('group', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='auth.group', verbose_name='group')),
                ('maker', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='proposed by')),
                ('user', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='account')),
            ],
            options={
                'verbose_name': 'account proposal',
                'verbose_name_plural': 'account proposals',
                'ordering': ['-id'],
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='Approval',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', core.fields.IdentifierField(default=functools.partial(core.ids.new_id, *('approval',), **{}), editable=False, max_length=40, unique=True, verbose_name='id')),
                ('kind', models.CharField(max_length=40, verbose_name='action')),
                ('subject', models.CharField(help_text='Public id of what is to be decided about.', max_length=40, verbose_name='about')),
                ('content_sha256', models.CharField(max_length=64, verbose_name='SHA-256 of the content')),
                ('maker_key', models.CharField(blank=True, db_default='', default='', help_text='Its public id.', max_length=40, verbose_name='proposed by API key')),
                ('issuers', django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(null=True), db_default=[], default=list, editable=False, size=None)),
                ('approvers', models.PositiveSmallIntegerField(db_default=1, default=1, help_text='Besides the one who proposed it.', verbose_name='people who must approve')),
                ('status', models.CharField(choices=[('pending', 'pending'), ('approved', 'approved'), ('rejected', 'rejected'), ('cancelled', 'cancelled'), ('expired', 'expired')], default='pending', max_length=32, verbose_name='status')),
                ('created_at', models.DateTimeField(default=core.clock.now, editable=False, verbose_name='proposed')),
                ('expires_at', models.DateTimeField(verbose_name='expires')),
                ('resolved_at', models.DateTimeField(blank=True, null=True, verbose_name='decided')),
                ('maker', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='proposed by')),
            ],
            options={
                'verbose_name': 'approval',
                'verbose_name_plural': 'approvals',
                'ordering': ['-id'],
                'permissions': [('decide_approval', 'Can decide approvals')],
                'default_permissions': ('add', 'view'),
            },
        ),
        migrations.CreateModel(
            name='BankingDay',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField(help_text='Monday to Friday, today or later.', unique=True, verbose_name='day')),
                ('is_open', models.BooleanField(default=False, help_text='Off: banks are closed on this day. On: they work although the calendar says holiday.', verbose_name='banks work')),
                ('reason', models.CharField(help_text="Where it was announced, for example the CNBV's notice in the DOF.", max_length=200, verbose_name='reason')),
                ('created_at', models.DateTimeField(default=core.clock.now, editable=False, verbose_name='entered')),
                ('created_by', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='entered by')),
            ],
            options={
                'verbose_name': 'banking day',
                'verbose_name_plural': 'banking days',
                'ordering': ['-day'],
            },
        ),
        migrations.CreateModel(
            name='SignInCounter',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(max_length=64)),
                ('window', models.BigIntegerField(help_text='Number of the window since 1970.')),
                ('count', models.PositiveIntegerField(default=1)),
            ],
            options={
                'verbose_name': 'sign-in counter',
                'verbose_name_plural': 'sign-in counters',
                'constraints': [models.UniqueConstraint(fields=('key', 'window'), name='sign_in_counter_unique')],
            },
        ),
        migrations.CreateModel(
            name='Vote',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('decision', models.CharField(choices=[('approve', 'approve'), ('reject', 'reject')], max_length=8, verbose_name='decision')),
                ('comment', models.CharField(blank=True, max_length=500, verbose_name='comment')),
                ('created_at', models.DateTimeField(default=core.clock.now, editable=False, verbose_name='when')),
                ('approval', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='votes', to='staff.approval', verbose_name='approval')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='by')),
            ],
            options={
                'verbose_name': 'vote',
                'verbose_name_plural': 'votes',
                'ordering': ['id'],
                'default_permissions': ('view',),
            },
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
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.public_id, NEW.user_id, NEW.group_id, NEW.grants, NEW.maker_id, NEW.created_at) IS DISTINCT FROM (OLD.id, OLD.public_id, OLD.user_id, OLD.group_id, OLD.grants, OLD.maker_id, OLD.created_at) THEN\n                RAISE EXCEPTION 'staff_accountproposal: id, public_id, user_id, group_id, grants, maker_id, created_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='3d3d5bb0da3d895668b9b4920d856ca58b7c76fe', operation='UPDATE OF "id", "public_id", "user_id", "group_id", "grants", "maker_id", "created_at"', pgid='pgtrigger_frozen_9f31e', table='staff_accountproposal', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='accountproposal',
            trigger=pgtrigger.compiler.Trigger(name='settled', sql=core.db.GuardSql(func="\n                    IF (OLD.applied_at IS NOT NULL AND NEW IS DISTINCT FROM OLD)\n                        OR NEW.password NOT IN ('', OLD.password) THEN\n                        RAISE EXCEPTION 'staff_accountproposal: applied_at, password cannot change any more'\n                            USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RETURN NEW;\n                ", hash='8fd0390f9e6db40ad28087b2af0fc0f7a04dcbc1', operation='UPDATE', pgid='pgtrigger_settled_1063e', table='staff_accountproposal', when='BEFORE')),
        ),
        migrations.AddIndex(
            model_name='approval',
            index=models.Index(fields=['subject'], name='approval_subject'),
        ),
        migrations.AddConstraint(
            model_name='approval',
            constraint=models.UniqueConstraint(condition=models.Q(('status', 'pending')), fields=('kind', 'subject'), name='approval_pending_once'),
        ),
        migrations.AddConstraint(
            model_name='approval',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('issuers', []), ('maker__isnull', False), ('maker_key', '')), models.Q(models.Q(('maker_key', ''), _negated=True), models.Q(('issuers', []), _negated=True), ('maker__isnull', True)), _connector='OR'), name='approval_one_maker'),
        ),
        migrations.AddConstraint(
            model_name='approval',
            constraint=models.CheckConstraint(condition=models.Q(('approvers__gte', 1)), name='approval_needs_approver'),
        ),
        migrations.AddConstraint(
            model_name='approval',
            constraint=models.CheckConstraint(condition=models.Q(('expires_at__gt', models.F('created_at'))), name='approval_expires_later'),
        ),
        migrations.AddConstraint(
            model_name='approval',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('resolved_at__isnull', True), ('status', 'pending')), models.Q(models.Q(('status', 'pending'), _negated=True), ('resolved_at__isnull', False)), _connector='OR'), name='approval_resolved_has_moment'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='approval',
            trigger=pgtrigger.compiler.Trigger(name='no_delete', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'staff_approval keeps its rows: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='3e73d233ebdef0a0f93757025d714290d621b54d', level='STATEMENT', operation='DELETE OR TRUNCATE', pgid='pgtrigger_no_delete_819ad', table='staff_approval', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='approval',
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('pending') THEN\n                    RAISE EXCEPTION 'staff_approval: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('pending', 'approved'), ('pending', 'cancelled'), ('pending', 'expired'), ('pending', 'rejected')) THEN\n                RAISE EXCEPTION 'staff_approval: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='1d25551c2bac47069dbf6a9339d2af3454f03ee3', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_status_guard_67ef8', table='staff_approval', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='approval',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.public_id, NEW.kind, NEW.subject, NEW.content_sha256, NEW.maker_id, NEW.maker_key, NEW.issuers, NEW.approvers, NEW.created_at, NEW.expires_at) IS DISTINCT FROM (OLD.id, OLD.public_id, OLD.kind, OLD.subject, OLD.content_sha256, OLD.maker_id, OLD.maker_key, OLD.issuers, OLD.approvers, OLD.created_at, OLD.expires_at) THEN\n                RAISE EXCEPTION 'staff_approval: id, public_id, kind, subject, content_sha256, maker_id, maker_key, issuers, approvers, created_at, expires_at cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='3354a9bccf6af604b92fc221a0900d57eb4b5143', operation='UPDATE OF "id", "public_id", "kind", "subject", "content_sha256", "maker_id", "maker_key", "issuers", "approvers", "created_at", "expires_at"', pgid='pgtrigger_frozen_381ca', table='staff_approval', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='approval',
            trigger=pgtrigger.compiler.Trigger(name='enough_votes', sql=core.db.GuardSql(func="\n                    IF OLD.status <> 'pending' AND NEW IS DISTINCT FROM OLD THEN\n                        RAISE EXCEPTION 'staff: approval % was decided already', OLD.public_id\n                            USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    IF NEW.status IN ('approved', 'rejected') AND OLD.status = 'pending' THEN\n                        IF public.staff_votes(NEW.id, CASE NEW.status WHEN 'approved' THEN 'approve' ELSE 'reject' END)\n                                < (CASE NEW.status WHEN 'approved' THEN NEW.approvers ELSE 1 END) THEN\n                            RAISE EXCEPTION 'staff: too few other people voted for approval % to be %',\n                                NEW.public_id, NEW.status\n                                USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                        END IF;\n                        IF clock_timestamp() > OLD.expires_at THEN\n                            RAISE EXCEPTION 'staff: approval % has expired', NEW.public_id\n                                USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                        END IF;\n                    END IF;\n                    RETURN NEW;\n                ", hash='df0534e2b1d83aea200a3d69320572411f067b43', operation='UPDATE', pgid='pgtrigger_enough_votes_7de10', table='staff_approval', when='BEFORE')),
        ),
        migrations.AddConstraint(
            model_name='bankingday',
            constraint=models.CheckConstraint(condition=models.Q(('day__week_day__in', [1, 7]), _negated=True), name='banking_day_on_weekday'),
        ),
        migrations.AddConstraint(
            model_name='bankingday',
            constraint=models.CheckConstraint(condition=models.Q(('reason', ''), _negated=True), name='banking_day_has_reason'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='bankingday',
            trigger=pgtrigger.compiler.Trigger(name='not_over', sql=core.db.GuardSql(func="\n                    IF (TG_OP <> 'INSERT' AND OLD.day < (clock_timestamp() AT TIME ZONE 'America/Mexico_City')::date) OR (TG_OP <> 'DELETE' AND NEW.day < (clock_timestamp() AT TIME ZONE 'America/Mexico_City')::date) THEN\n                        RAISE EXCEPTION 'staff_bankingday: a day that is over does not change'\n                            USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    IF TG_OP = 'DELETE' THEN\n                        RETURN OLD;\n                    END IF;\n                    RETURN NEW;\n                ", hash='b2abc80b0ec5e93054c1ccd04b3cf0bf472d3c32', operation='INSERT OR UPDATE OR DELETE', pgid='pgtrigger_not_over_72981', table='staff_bankingday', when='BEFORE')),
        ),
        migrations.AddConstraint(
            model_name='vote',
            constraint=models.UniqueConstraint(fields=('approval', 'user'), name='vote_once_a_person'),
        ),
        migrations.AddConstraint(
            model_name='vote',
            constraint=models.CheckConstraint(condition=models.Q(('decision__in', ['approve', 'reject'])), name='vote_decision_known'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='vote',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=core.db.GuardSql(func="\n            RAISE EXCEPTION 'staff_vote is append-only: % refused', TG_OP\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='c4a1479a1c07e52a180f3f1446d0b11a8d495254', level='STATEMENT', operation='UPDATE OR DELETE OR TRUNCATE', pgid='pgtrigger_append_only_0b12d', table='staff_vote', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='vote',
            trigger=pgtrigger.compiler.Trigger(name='allowed', sql=core.db.GuardSql(declare='DECLARE asked record;', func="\n                    SELECT status, expires_at INTO asked\n                        FROM public.staff_approval WHERE id = NEW.approval_id FOR NO KEY UPDATE;\n                    NEW.created_at = clock_timestamp();\n                    IF NEW.user_id IN (SELECT public.staff_barred_from(NEW.approval_id)) THEN\n                        RAISE EXCEPTION 'staff: this account cannot vote on this proposal'\n                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = 'barred';\n                    END IF;\n                    IF asked.status <> 'pending' THEN\n                        RAISE EXCEPTION 'staff: this approval is % already', asked.status\n                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    IF clock_timestamp() > asked.expires_at THEN\n                        RAISE EXCEPTION 'staff: this approval has expired'\n                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RETURN NEW;\n                ", hash='77f2cf44ef11c1495da0b0851a012cad96b7ebd6', operation='INSERT', pgid='pgtrigger_allowed_e5045', table='staff_vote', when='BEFORE')),
        ),
    ]
