from django.db import migrations

# A plan made while a table holds a few rows reads the whole table, and is kept until the table's statistics change: in
# the first minute of a busy site, thousands of rows for each statement. A table without statistics is planned by its
# indexes; so these get theirs from 1,000 rows on, not from 50 (ADR 0027).
TABLES = ("webhooks_providerevent", "webhooks_providereventtransition")
LATER = "autovacuum_analyze_threshold = 1000, autovacuum_vacuum_threshold = 1000"
USUAL = "autovacuum_analyze_threshold, autovacuum_vacuum_threshold"


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0009_notices_born_decided")]

    operations = [
        migrations.RunSQL(
            [f"ALTER TABLE {table} SET ({LATER})" for table in TABLES],
            [f"ALTER TABLE {table} RESET ({USUAL})" for table in TABLES],
        )
    ]
