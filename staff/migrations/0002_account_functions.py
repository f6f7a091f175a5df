"""The functions behind the rules about accounts: who changed one, who decides, and whose votes do not count."""

from django.db import migrations

FUNCTIONS = """
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
        ("auth", "0012_alter_user_first_name_max_length"),
        ("staff", "0001_tables"),
    ]

    operations = [migrations.RunSQL(FUNCTIONS, migrations.RunSQL.noop)]
