"""The transfer history reads the newest payouts by their own index."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("payments", "0004_report_of_payouts")]

    operations = [
        AddIndexConcurrently("payout", models.Index(fields=["-created_at"], name="payout_created")),
    ]
