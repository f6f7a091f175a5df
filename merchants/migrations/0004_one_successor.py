"""One successor that is not revoked for each API key: a unique index, built without locking the table."""

from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("merchants", "0003_keys_and_answers")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    "DROP INDEX CONCURRENTLY IF EXISTS api_key_one_successor",  # of a release that broke off
                    migrations.RunSQL.noop,
                ),
                migrations.RunSQL(
                    "CREATE UNIQUE INDEX CONCURRENTLY api_key_one_successor ON merchants_apikey (replaces_id)"
                    " WHERE revoked_at IS NULL",
                    "DROP INDEX CONCURRENTLY api_key_one_successor",
                ),
            ],
            state_operations=[
                migrations.AddConstraint(
                    model_name="apikey",
                    constraint=models.UniqueConstraint(
                        condition=models.Q(("revoked_at__isnull", True)),
                        fields=("replaces",),
                        name="api_key_one_successor",
                    ),
                ),
            ],
        ),
    ]
