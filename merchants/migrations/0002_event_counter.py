"""The sequence that numbers events, and the horizon below which a reader of a feed misses none (``core.horizon``)."""

from django.db import migrations

# Set once: ``pg_sequence_last_value`` is NULL for a sequence that was never used.
COUNTER = """
CREATE SEQUENCE public.merchants_event_counter;
SELECT setval('public.merchants_event_counter', 1);
"""
HORIZON = """
CREATE FUNCTION public.horizon(counter regclass, key integer) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    given bigint := pg_sequence_last_value(counter);  -- before the look at the markers: the proof rests on the order
BEGIN
    RETURN (
        SELECT given + 1 - coalesce(max(marker.behind), 0) FROM (
            SELECT (given - objid::bigint) & 2147483647 AS behind FROM pg_catalog.pg_locks
            WHERE locktype = 'advisory' AND objsubid = 2 AND classid = key::oid AND granted
                AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
        ) marker
        WHERE marker.behind < 1073741824  -- the others were set after the counter was read
    );
END $$
"""
# Until a table holds 1,000 rows it keeps no statistics: a plan made from a few rows would read the whole table, and
# connections keep their plans (ADR 0027).
AUTOVACUUM = "autovacuum_analyze_threshold = 1000, autovacuum_vacuum_threshold = 1000"
TABLES = ("merchants_event", "merchants_idempotencykey")


class Migration(migrations.Migration):
    dependencies = [("merchants", "0001_tables")]

    operations = [
        migrations.RunSQL(COUNTER, migrations.RunSQL.noop),
        migrations.RunSQL(HORIZON, migrations.RunSQL.noop),
        migrations.RunSQL(
            [f"ALTER TABLE public.{table} SET ({AUTOVACUUM})" for table in TABLES], migrations.RunSQL.noop
        ),
    ]
