"""The sequence that numbers postings, and the function that says what an account's entries sum to."""

from django.db import migrations

# Set once: ``pg_sequence_last_value`` is NULL for a sequence that was never used.
COUNTER = """
CREATE SEQUENCE public.ledger_position_counter;
SELECT setval('public.ledger_position_counter', 1);
"""
TOTAL = """
CREATE FUNCTION public.ledger_total(wanted bigint) RETURNS bigint LANGUAGE plpgsql STABLE
    SET enable_seqscan = off AS $$
BEGIN
    -- One statement: a snapshot that is moved forward meanwhile is seen together with its entries or not at all.
    RETURN (
        SELECT coalesce(max(s.total), 0) + coalesce(sum(e.amount), 0)
        FROM (SELECT 1) one
        LEFT JOIN public.ledger_snapshot s ON s.account_id = wanted
        LEFT JOIN LATERAL (
            SELECT amount FROM public.ledger_entry
            WHERE account_id = wanted AND position >= coalesce(s.position, 0)
        ) e ON true
    );
END $$
"""
# Until a table holds 1,000 rows it keeps no statistics: a plan made from a few rows would read the whole table, and
# connections keep their plans (ADR 0027).
AUTOVACUUM = "autovacuum_analyze_threshold = 1000, autovacuum_vacuum_threshold = 1000"
TABLES = ("ledger_transaction", "ledger_entry")


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_tables")]

    operations = [
        migrations.RunSQL(COUNTER, migrations.RunSQL.noop),
        migrations.RunSQL(TOTAL, migrations.RunSQL.noop),
        migrations.RunSQL(
            [f"ALTER TABLE public.{table} SET ({AUTOVACUUM})" for table in TABLES], migrations.RunSQL.noop
        ),
    ]
