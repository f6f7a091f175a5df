"""Index and checks of refunds on tables that exist, without locking them."""

from django.contrib.postgres.operations import AddIndexConcurrently, ValidateConstraint
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("payments", "0014_refunds")]

    operations = [
        ValidateConstraint("deposit", "deposit_refunds_within_amount"),
        ValidateConstraint("payment", "payment_refunds_within_received"),
        AddIndexConcurrently(
            model_name='payout',
            index=models.Index(condition=models.Q(('refund__isnull', False)), fields=['refund'], name='payout_of_refund'),
        ),
        ValidateConstraint("payout", "payout_of_refund_has_it"),
        migrations.RunSQL(
            "CREATE UNIQUE INDEX CONCURRENTLY payout_one_open_attempt ON public.payments_payout (refund_id) "
            "WHERE refund_id IS NOT NULL AND status IN ('pending_approval', 'pending', 'processing')",
            "DROP INDEX CONCURRENTLY IF EXISTS public.payout_one_open_attempt",
            state_operations=[
                migrations.AddConstraint(
                    model_name='payout',
                    constraint=models.UniqueConstraint(condition=models.Q(('refund__isnull', False), ('status__in', ['pending_approval', 'pending', 'processing'])), fields=('refund',), name='payout_one_open_attempt'),
                ),
            ],
        ),
    ]
