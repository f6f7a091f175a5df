"""Check of resolutions, without locking the table."""

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("payments", "0018_undone_matches")]

    operations = [ValidateConstraint("payoutresolution", "payout_resolution_moment_if_moved")]
