"""Indexes and checks of returned transfers, without locking the tables."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently, ValidateConstraint
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("payments", "0012_returned_transfers")]

    operations = [
        AddIndexConcurrently(
            model_name='payout',
            index=models.Index(condition=models.Q(('return_tracking_key', ''), _negated=True), fields=['return_tracking_key'], name='payout_return_key'),
        ),
        AddIndexConcurrently(
            model_name='reviewcase',
            index=models.Index(condition=models.Q(('resolved_at__isnull', True)), fields=['due_at'], name='review_case_waiting'),
        ),
        RemoveIndexConcurrently("reviewcase", "review_case_open"),
        ValidateConstraint("reviewcase", "review_case_resolved_has_moment"),
        ValidateConstraint("reviewcase", "review_case_matched_has_payout"),
        migrations.RunSQL(
            "CREATE UNIQUE INDEX CONCURRENTLY review_case_payout_unique ON public.payments_reviewcase (payout_id) "
            "WHERE payout_id IS NOT NULL",
            "DROP INDEX CONCURRENTLY IF EXISTS public.review_case_payout_unique",
            state_operations=[
            migrations.AddConstraint(
                model_name='reviewcase',
                constraint=models.UniqueConstraint(condition=models.Q(('payout__isnull', False)), fields=('payout',), name='review_case_payout_unique'),
            ),
            ],
        ),
    ]
