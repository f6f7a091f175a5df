"""How often each method and state occur together: /metrics reads PostgreSQL's estimate instead of counting.

Only a table's owner may read such statistics, hence the function: it returns these numbers and nothing else.
"""

from django.db import migrations

STATISTICS = "CREATE STATISTICS payments_method_status (mcv) ON method, status FROM public.payments_payment"
# A path without ``pg_temp`` searches it first: a temporary view ``pg_class`` would run with the owner's rights.
FUNCTION = """
            CREATE FUNCTION public.payments_by_method_and_state()
            RETURNS TABLE (names text[], items text[], shares double precision[], total real)
            LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
            AS $$
                SELECT attnames::text[], most_common_vals::text[], most_common_freqs, reltuples
                FROM pg_stats_ext JOIN pg_class ON pg_class.oid = 'public.payments_payment'::regclass
                WHERE schemaname = 'public' AND statistics_name = 'payments_method_status' AND reltuples >= 0
            $$
            """


class Migration(migrations.Migration):
    dependencies = [
        ("payments", "0002_tables"),
        ("payments_site", "0001_tables"),
    ]

    operations = [
        migrations.RunSQL(STATISTICS, migrations.RunSQL.noop),
        migrations.RunSQL(FUNCTION, migrations.RunSQL.noop),
    ]
