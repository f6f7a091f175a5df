"""The single row of the feed's cursor: deliveries begin with the next event."""

from django.db import migrations

INSERT = """
INSERT INTO public.webhooks_feedcursor (id, sequence)
SELECT 1, coalesce(pg_sequence_last_value('public.merchants_event_counter'), 0)
"""


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0003_outbound")]

    operations = [migrations.RunSQL(INSERT, migrations.RunSQL.noop)]
