"""The number that every event sequence starts from.

A database restored into a fresh cluster counts its transactions from the beginning; raising this base keeps the feed's
sequence rising (``manage.py release`` does it).
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("merchants", "0001_initial")]

    operations = [
        migrations.RunSQL(
            "CREATE SEQUENCE public.merchants_event_base MINVALUE 0 START 0",
            "DROP SEQUENCE public.merchants_event_base",
        ),
    ]
