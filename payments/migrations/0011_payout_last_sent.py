"""What was sent since a reading of the balance is found by the last send, not the first one."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("payments", "0010_payout_for_people")]

    operations = [
        AddIndexConcurrently(
            "payout",
            models.Index(
                fields=["provider_account", "send_started_at"],
                condition=models.Q(send_started_at__isnull=False),
                name="payout_last_sent",
            ),
        ),
        RemoveIndexConcurrently("payout", "payout_sent"),
    ]
