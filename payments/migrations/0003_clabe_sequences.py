"""Seven-digit numbers for CLABEs: sixteen sequences, one for each account at STP that will ever hand them out."""

from django.db import migrations

# Until a table holds 1,000 rows it keeps no statistics: a plan made from a few rows would read the whole table, and
# connections keep their plans (ADR 0027).
AUTOVACUUM = "autovacuum_analyze_threshold = 1000, autovacuum_vacuum_threshold = 1000"
TABLES = ("payments_payment", "payments_paymenttransition", "payments_deposit", "payments_deposittransition")


class Migration(migrations.Migration):
    dependencies = [("payments", "0002_tables")]

    operations = [
        migrations.RunSQL(
            [
                f"CREATE SEQUENCE public.payments_clabe_{number} MINVALUE 1 MAXVALUE 9999999 NO CYCLE"
                for number in range(1, 17)
            ],
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(
            [f"ALTER TABLE public.{table} SET ({AUTOVACUUM})" for table in TABLES], migrations.RunSQL.noop
        ),
    ]
