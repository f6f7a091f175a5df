"""Indexes and checks of funding CLABEs and top-ups, without locking the tables."""

import core.search
import django.contrib.postgres.indexes
from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently, ValidateConstraint
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("payments", "0007_funding_clabes")]

    operations = [
        RemoveIndexConcurrently("deposit", "deposit_stray"),
        RemoveIndexConcurrently("deposit", "deposit_search"),
        AddIndexConcurrently(
            model_name='clabe',
            index=models.Index(condition=models.Q(('registration_due_at__isnull', False)), fields=['registration_due_at'], name='clabe_to_register'),
        ),
        AddIndexConcurrently(
            model_name='deposit',
            index=models.Index(condition=models.Q(models.Q(('status', 'credited'), _negated=True), ('purpose', 'funding'), _connector='OR'), fields=['-created_at'], name='deposit_stray'),
        ),
        AddIndexConcurrently(
            model_name='deposit',
            index=django.contrib.postgres.indexes.GinIndex(django.contrib.postgres.indexes.OpClass(core.search.SearchText(models.F('clabe'), models.F('tracking_key'), models.F('payer_name'), models.F('concept')), name='gin_trgm_ops'), condition=models.Q(models.Q(('status', 'credited'), _negated=True), ('purpose', 'funding'), _connector='OR'), name='deposit_search'),
        ),
        ValidateConstraint("deposit", "deposit_credited_has_payment"),
        ValidateConstraint("deposit", "deposit_funding_is_free"),
        ValidateConstraint("clabe", "clabe_funding_registered_and_open"),
        migrations.RunSQL(
            "CREATE UNIQUE INDEX CONCURRENTLY clabe_one_funding ON public.payments_clabe (merchant_id, livemode) "
            "WHERE purpose = 'funding'",
            "DROP INDEX CONCURRENTLY IF EXISTS public.clabe_one_funding",
            state_operations=[
        migrations.AddConstraint(
            model_name='clabe',
            constraint=models.UniqueConstraint(condition=models.Q(('purpose', 'funding')), fields=('merchant', 'livemode'), name='clabe_one_funding'),
        ),
            ],
        ),
    ]
