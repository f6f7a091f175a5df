"""Payouts that need a person are found by an index of their own."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("payments", "0009_payout_resolutions")]

    operations = [
        AddIndexConcurrently(
            "payout",
            models.Index(
                condition=models.Q(models.Q(("needs_staff", ""), _negated=True), ("delayed", True), _connector="OR"),
                fields=["id"],
                name="payout_for_people",
            ),
        ),
    ]
