from django.db import migrations


class Migration(migrations.Migration):
    """A path that does not name ``pg_temp`` has it first: a temporary view ``pg_class`` would run with owner's rights."""

    dependencies = [("payments_site", "0002_payment_statistics")]

    operations = [
        migrations.RunSQL(
            "ALTER FUNCTION public.payments_by_method_and_state() SET search_path = pg_catalog, pg_temp",
            "ALTER FUNCTION public.payments_by_method_and_state() SET search_path = pg_catalog",
        ),
    ]
