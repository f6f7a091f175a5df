"""The number that every position starts from, and the one function that says what an account's entries sum to.

A database restored into a fresh cluster counts its transactions from the beginning; raising the base keeps positions
rising (``manage.py release`` does it).
"""

from django.db import migrations

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


class Migration(migrations.Migration):
    dependencies = [("ledger", "0001_initial")]

    operations = [
        migrations.RunSQL(
            "CREATE SEQUENCE public.ledger_position_base MINVALUE 0 START 0",
            "DROP SEQUENCE public.ledger_position_base",
        ),
        migrations.RunSQL(TOTAL, "DROP FUNCTION public.ledger_total(bigint)"),
    ]
