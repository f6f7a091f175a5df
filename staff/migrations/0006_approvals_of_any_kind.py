"""Approvals that people or API keys propose and one or more people decide; their rule as SQL functions."""


import core.db
import django.contrib.postgres.fields
import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models

RULE = """
DROP FUNCTION public.staff_barred(integer[]);

-- The accounts that cannot vote at `moment` on what `makers` proposed, themselves included. Changes older than seven
-- days, changes of one's own account and those by commands on the host on the site's first day do not count.
--   behind:  the makers, and those who know their passwords: who created or reset them, and so on upwards
--   touched: the accounts that these created, reset or gave rights to, and so on downwards; and every account that
--            an unknown person changed
-- A NULL among the makers is an unknown person. If one may know a maker's password, or if there is no maker, every
-- account is barred.
CREATE FUNCTION public.staff_barred(makers integer[], moment timestamptz DEFAULT clock_timestamp())
RETURNS SETOF integer LANGUAGE sql AS $$
    WITH RECURSIVE recent AS (
        SELECT user_id, kind, actor_id FROM public.staff_accountchange
        WHERE created_at > moment - interval '7 days' AND created_at <= moment AND actor_id IS DISTINCT FROM user_id
            AND NOT (
                source = 'operator'
                AND created_at < (SELECT min(created_at) FROM public.staff_accountchange) + interval '1 day'
            )
    ), behind AS (
        SELECT unnest(CASE WHEN cardinality(makers) > 0 THEN makers ELSE ARRAY[NULL::integer] END) AS account
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

-- The accounts that cannot vote on an approval at `moment`. Its makers are the person who proposed it or those who
-- issued the API key that did, and those who voted before `turn`: two accounts of one person are one vote.
CREATE FUNCTION public.staff_barred_from(
    approval bigint, moment timestamptz DEFAULT clock_timestamp(), turn timestamptz DEFAULT 'infinity'
) RETURNS SETOF integer LANGUAGE sql AS $$
    SELECT public.staff_barred(
        CASE WHEN a.maker_id IS NULL THEN a.issuers ELSE a.issuers || a.maker_id END
            || ARRAY(SELECT v.user_id FROM public.staff_vote v WHERE v.approval_id = a.id AND v.created_at < turn),
        moment
    )
    FROM public.staff_approval a WHERE a.id = approval
$$;

-- The rule of approvals: how many people's votes count. A vote counts if its account was not barred when it voted and
-- is not barred when the approval is decided (now, if it is still open).
CREATE FUNCTION public.staff_votes(approval bigint, wanted text) RETURNS bigint LANGUAGE sql AS $$
    SELECT count(DISTINCT v.user_id)
    FROM public.staff_vote v JOIN public.staff_approval a ON a.id = v.approval_id
    WHERE a.id = approval AND v.decision = wanted
        AND v.user_id NOT IN (SELECT public.staff_barred_from(a.id, v.created_at, v.created_at))
        AND v.user_id NOT IN (
            SELECT public.staff_barred_from(a.id, coalesce(a.resolved_at, clock_timestamp()), v.created_at)
        )
$$;

-- For guards of other apps: whether an approval was given by the rule.
CREATE FUNCTION public.staff_approved(approval bigint) RETURNS boolean LANGUAGE sql AS $$
    SELECT EXISTS (
        SELECT 1 FROM public.staff_approval a
        WHERE a.id = approval AND a.status = 'approved' AND public.staff_votes(a.id, 'approve') >= a.approvers
    )
$$;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('staff', '0005_columns_decided'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name='approval',
            name='status_guard',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='approval',
            name='second_person',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='approval',
            name='frozen',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='vote',
            name='allowed',
        ),
        migrations.AddField(
            model_name='approval',
            name='approvers',
            field=models.PositiveSmallIntegerField(db_default=1, default=1, help_text='Besides the one who proposed it.', verbose_name='people who must approve'),
        ),
        migrations.AddField(
            model_name='approval',
            name='issuers',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.IntegerField(null=True), db_default=[], default=list, editable=False, size=None),
        ),
        migrations.AddField(
            model_name='approval',
            name='maker_key',
            field=models.CharField(blank=True, db_default='', default='', help_text='Its public id.', max_length=40, verbose_name='proposed by API key'),
        ),
        migrations.AlterField(
            model_name='approval',
            name='maker',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='proposed by'),
        ),
        migrations.AlterField(
            model_name='approval',
            name='status',
            field=models.CharField(choices=[('pending', 'pending'), ('approved', 'approved'), ('rejected', 'rejected'), ('cancelled', 'cancelled'), ('expired', 'expired')], default='pending', max_length=32, verbose_name='status'),
        ),
        migrations.RunSQL(RULE, migrations.RunSQL.noop),
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
        pgtrigger.migrations.AddTrigger(
            model_name='vote',
            trigger=pgtrigger.compiler.Trigger(name='allowed', sql=core.db.GuardSql(declare='DECLARE asked record;', func="\n                    SELECT status, expires_at INTO asked\n                        FROM public.staff_approval WHERE id = NEW.approval_id FOR NO KEY UPDATE;\n                    NEW.created_at = clock_timestamp();\n                    IF NEW.user_id IN (SELECT public.staff_barred_from(NEW.approval_id)) THEN\n                        RAISE EXCEPTION 'staff: this account cannot vote on this proposal'\n                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME, CONSTRAINT = 'barred';\n                    END IF;\n                    IF asked.status <> 'pending' THEN\n                        RAISE EXCEPTION 'staff: this approval is % already', asked.status\n                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    IF clock_timestamp() > asked.expires_at THEN\n                        RAISE EXCEPTION 'staff: this approval has expired'\n                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RETURN NEW;\n                ", hash='77f2cf44ef11c1495da0b0851a012cad96b7ebd6', operation='INSERT', pgid='pgtrigger_allowed_e5045', table='staff_vote', when='BEFORE')),
        ),
        migrations.AddConstraint(
            model_name='approval',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('issuers', []), ('maker__isnull', False), ('maker_key', '')), models.Q(models.Q(('maker_key', ''), _negated=True), models.Q(('issuers', []), _negated=True), ('maker__isnull', True)), _connector='OR'), name='approval_one_maker'),
        ),
        migrations.AddConstraint(
            model_name='approval',
            constraint=models.CheckConstraint(condition=models.Q(('approvers__gte', 1)), name='approval_needs_approver'),
        ),
    ]
