"""Months of the bodies of notices: their partitions, the functions that make and drop them, the view that lists them.

``manage.py release`` makes the first ones.
"""

from django.db import migrations

GUARD = "pgtrigger_append_only_06624"
"""The append-only trigger of the bodies; each partition gets it too."""

VIEW = """
CREATE VIEW public.webhooks_body_partition AS
SELECT c.relname::text AS name,
       (regexp_match(bound, 'FROM \\(''([^'']+)''\\)'))[1]::timestamptz AS since,
       (regexp_match(bound, 'TO \\(''([^'']+)''\\)'))[1]::timestamptz AS until,
       pg_total_relation_size(c.oid) AS bytes
FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid,
LATERAL (SELECT pg_get_expr(c.relpartbound, c.oid) AS bound) b
WHERE i.inhparent = 'public.webhooks_providereventbody'::regclass;
"""
FUNCTIONS = f"""
CREATE FUNCTION public.webhooks_add_body_partition(name text, bound text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format('CREATE TABLE public.%I (LIKE public.webhooks_providereventbody INCLUDING ALL)', name);
    EXECUTE format(
        'CREATE TRIGGER {GUARD} BEFORE UPDATE OR DELETE OR TRUNCATE ON public.%I '
        'FOR EACH STATEMENT EXECUTE FUNCTION public.{GUARD}()', name);
    EXECUTE format('ALTER TABLE public.%I ENABLE ALWAYS TRIGGER {GUARD}', name);
    EXECUTE format('ALTER TABLE public.webhooks_providereventbody ATTACH PARTITION public.%I %s', name, bound);
END $$;

CREATE FUNCTION public.webhooks_make_body_partitions(ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET "TimeZone" = 'UTC' SET lock_timeout = '2s'
AS $$
DECLARE
    first timestamptz;
    last timestamptz;
    stray text;
    made integer := 0;
BEGIN
    IF ahead NOT BETWEEN 0 AND 36 THEN
        RAISE EXCEPTION 'partitions are made for 0 to 36 months ahead' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(4737002024);
    IF to_regclass('public.webhooks_providereventbody_default') IS NULL THEN
        PERFORM public.webhooks_add_body_partition('webhooks_providereventbody_default', 'DEFAULT');
    END IF;
    -- What arrived while its month had no partition becomes one as it is: no row is moved.
    SELECT date_trunc('month', min(received_at)), date_trunc('month', max(received_at)) + interval '1 month'
      INTO first, last FROM public.webhooks_providereventbody_default;
    IF first IS NOT NULL AND NOT EXISTS (
        SELECT FROM public.webhooks_body_partition p WHERE p.since < last AND p.until > first
    ) THEN
        ALTER TABLE public.webhooks_providereventbody DETACH PARTITION public.webhooks_providereventbody_default;
        stray := 'webhooks_providereventbody_'
            || to_char(first, 'YYYY_MM') || to_char(last - interval '1 month', '_YYYY_MM');
        EXECUTE format('ALTER TABLE public.webhooks_providereventbody_default '
            'RENAME TO %I', stray);
        EXECUTE format('ALTER TABLE public.webhooks_providereventbody ATTACH PARTITION public.%I '
            'FOR VALUES FROM (%L) TO (%L)', stray, first, last);
        PERFORM public.webhooks_add_body_partition('webhooks_providereventbody_default', 'DEFAULT');
    END IF;
    FOR month IN 0..ahead LOOP
        first := date_trunc('month', now()) + make_interval(months => month);
        last := first + interval '1 month';
        IF EXISTS (SELECT FROM public.webhooks_body_partition p WHERE p.since < last AND p.until > first) THEN
            CONTINUE;
        END IF;
        IF EXISTS (
            SELECT FROM public.webhooks_providereventbody_default WHERE received_at >= first AND received_at < last
        ) THEN
            RAISE WARNING 'bodies of % stay in the default partition', to_char(first, 'YYYY-MM');
            CONTINUE;
        END IF;
        PERFORM public.webhooks_add_body_partition(
            'webhooks_providereventbody_' || to_char(first, 'YYYY_MM'),
            format('FOR VALUES FROM (%L) TO (%L)', first, last));
        made := made + 1;
    END LOOP;
    RETURN made;
END $$;

CREATE FUNCTION public.webhooks_drop_body_partitions(keep_days integer) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s'
AS $$
DECLARE
    old record;
BEGIN
    IF keep_days IS NULL OR keep_days < 90 THEN
        RAISE EXCEPTION 'bodies of notices are kept for at least 90 days' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM pg_advisory_xact_lock(4737002024);
    FOR old IN
        SELECT p.name, p.since, p.until FROM public.webhooks_body_partition p
        WHERE p.until <= now() - make_interval(days => keep_days) ORDER BY p.until
    LOOP
        -- What was never applied is kept until it is.
        IF EXISTS (
            SELECT FROM public.webhooks_providerevent e
            WHERE e.status IN ('received', 'retry') AND e.received_at >= old.since AND e.received_at < old.until
        ) OR EXISTS (
            SELECT FROM public.webhooks_providerevent e
            WHERE e.status = 'dead' AND e.received_at >= old.since AND e.received_at < old.until
        ) THEN
            RAISE WARNING 'bodies in % are still needed', old.name;
            CONTINUE;
        END IF;
        EXECUTE format('DROP TABLE public.%I', old.name);
        RETURN NEXT old.name;
    END LOOP;
END $$;

REVOKE ALL ON FUNCTION public.webhooks_add_body_partition(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION public.webhooks_make_body_partitions(integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION public.webhooks_drop_body_partitions(integer) FROM PUBLIC;
"""
# Until a table holds 1,000 rows it keeps no statistics: a plan made from a few rows would read the whole table, and
# connections keep their plans (ADR 0027).
AUTOVACUUM = "autovacuum_analyze_threshold = 1000, autovacuum_vacuum_threshold = 1000"
TABLES = ("webhooks_providerevent", "webhooks_providereventtransition")


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0001_tables")]

    operations = [
        migrations.RunSQL(VIEW + FUNCTIONS, migrations.RunSQL.noop),
        migrations.RunSQL(
            [f"ALTER TABLE public.{table} SET ({AUTOVACUUM})" for table in TABLES], migrations.RunSQL.noop
        ),
    ]
