"""Nothing is decided about a returned transfer before the provider's list shows it."""

from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("payments", "0015_refund_indexes")]

    operations = [
        AddConstraintNotValid(
            model_name='reviewcase',
            constraint=models.CheckConstraint(condition=models.Q(('status', 'to_match'), ('return_of', ''), ('listed_at__isnull', False), _connector='OR'), name='review_case_return_is_listed'),
        ),
    ]
