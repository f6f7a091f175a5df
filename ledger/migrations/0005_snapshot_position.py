"""The highest snapshot, found by index."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("ledger", "0004_held_computed_approved")]

    operations = [
        AddIndexConcurrently("snapshot", models.Index(fields=["position"], name="snapshot_position")),
    ]
