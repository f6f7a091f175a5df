"""Seven-digit numbers for CLABEs: sixteen sequences, one for each account at STP that will ever hand them out."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("payments", "0001_initial")]

    operations = [
        migrations.RunSQL(
            f"CREATE SEQUENCE public.payments_clabe_{number} MINVALUE 1 MAXVALUE 9999999 NO CYCLE",
            f"DROP SEQUENCE public.payments_clabe_{number}",
        )
        for number in range(1, 17)
    ]
