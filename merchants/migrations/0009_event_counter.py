"""Events are numbered by a sequence of their own, and only transactions that write events hold the feed back.

Processes of the release before read ``merchants_event_base`` and show what lies below the oldest transaction of the
cluster. The counter starts 2^20 transactions above that: they show no new event until they are replaced, rather than one
too early. A later release drops the base.
"""

import core.db
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations


LOCK = "LOCK TABLE public.merchants_event IN SHARE ROW EXCLUSIVE MODE"  # writers of the old numbers have ended
CREATE = "CREATE SEQUENCE public.merchants_event_counter"
START = """
SELECT setval('public.merchants_event_counter', greatest(
    base.last_value + ((pg_snapshot_xmax(pg_current_snapshot())::text::bigint + 1048576) << 16),
    (SELECT max(sequence) + 1 FROM public.merchants_event)
)) FROM public.merchants_event_base base
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


class Migration(migrations.Migration):

    dependencies = [
        ('merchants', '0008_plans_of_a_young_site'),
    ]

    operations = [
        migrations.RunSQL([LOCK, CREATE, START], "DROP SEQUENCE public.merchants_event_counter"),
        migrations.RunSQL(HORIZON, "DROP FUNCTION public.horizon(regclass, integer)"),
        pgtrigger.migrations.RemoveTrigger(
            model_name='event',
            name='assign_sequence',
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='event',
            trigger=pgtrigger.compiler.Trigger(name='assign_sequence', sql=core.db.GuardSql(declare="DECLARE given bigint := pg_sequence_last_value('public.merchants_event_counter'::regclass); marker bigint := nullif(current_setting('payments.merchants_event_counter', true), '')::bigint; kept text;", func="\n            IF marker IS NULL OR marker > given OR marker < given - 536870912 THEN\n                marker := given;\n                kept := set_config('payments.merchants_event_counter', marker::text, true);\n            END IF;\n            IF NOT pg_try_advisory_xact_lock_shared(473701, (marker & 2147483647)::integer) THEN\n                RAISE EXCEPTION 'merchants_event_counter: another session locks the marker of this transaction'\n                    USING ERRCODE = 'lock_not_available', TABLE = TG_TABLE_NAME;\n            END IF;\n            NEW.sequence := nextval('public.merchants_event_counter'::regclass);\n         RETURN NEW;", hash='f60a09a4329508d505139996d025fcd3a182b7aa', operation='INSERT', pgid='pgtrigger_assign_sequence_5c355', table='merchants_event', when='BEFORE')),
        ),
    ]
