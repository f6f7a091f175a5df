"""Indexes of an endpoint's events and waiting replays, without locking the table."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("webhooks", "0005_staff_permissions")]

    operations = [
        AddIndexConcurrently("delivery", models.Index(fields=["endpoint", "event"], name="delivery_event")),
        AddIndexConcurrently(
            "delivery",
            models.Index(
                condition=models.Q(("kind", "replay"), ("status__in", ["pending", "paused"])),
                fields=["endpoint"],
                name="delivery_replay_open",
            ),
        ),
    ]
