"""Check of returned transfers, without locking the table."""

from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("payments", "0016_listed_before_decided")]

    operations = [ValidateConstraint("reviewcase", "review_case_return_is_listed")]
