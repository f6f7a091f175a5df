from django.db import migrations


class Migration(migrations.Migration):
    """How often each method and state occur together: /metrics reads PostgreSQL's estimate instead of counting.

    Only a table's owner may read such statistics, hence the function: it tells these numbers and nothing else.
    """

    dependencies = [("payments_site", "0001_initial"), ("payments", "0001_initial")]

    operations = [
        migrations.RunSQL(
            "CREATE STATISTICS payments_method_status (mcv) ON method, status FROM public.payments_payment",
            "DROP STATISTICS payments_method_status",
        ),
        migrations.RunSQL(
            """
            CREATE FUNCTION public.payments_by_method_and_state()
            RETURNS TABLE (names text[], items text[], shares double precision[], total real)
            LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog
            AS $$
                SELECT attnames::text[], most_common_vals::text[], most_common_freqs, reltuples
                FROM pg_stats_ext JOIN pg_class ON pg_class.oid = 'public.payments_payment'::regclass
                WHERE schemaname = 'public' AND statistics_name = 'payments_method_status' AND reltuples >= 0
            $$
            """,
            "DROP FUNCTION public.payments_by_method_and_state()",
        ),
    ]
