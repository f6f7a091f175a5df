import django.contrib.postgres.indexes
from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently, ValidateConstraint
from django.db import migrations, models


def afresh(name):
    """Killed half-way, the migration runs again from its beginning: an index that is there, or half there, goes first."""
    return migrations.RunSQL(f"DROP INDEX CONCURRENTLY IF EXISTS {name}", migrations.RunSQL.noop)


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('webhooks', '0002_inbox'),
    ]

    operations = [
        ValidateConstraint(model_name='providerevent', name='provider_event_retry_at'),
        afresh('provider_event_due'),
        AddIndexConcurrently(
            model_name='providerevent',
            index=models.Index(condition=models.Q(('status__in', ['received', 'retry'])), fields=['next_at'], name='provider_event_due'),
        ),
        afresh('provider_event_attention'),
        AddIndexConcurrently(
            model_name='providerevent',
            index=models.Index(condition=models.Q(('status__in', ['conflict', 'dead'])), fields=['status', '-id'], name='provider_event_attention'),
        ),
        afresh('provider_event_about'),
        AddIndexConcurrently(
            model_name='providerevent',
            index=models.Index(condition=models.Q(('object_id', ''), _negated=True), fields=['object_id'], name='provider_event_about'),
        ),
        afresh('provider_event_business'),
        AddIndexConcurrently(
            model_name='providerevent',
            index=models.Index(condition=models.Q(('business_key', ''), _negated=True), fields=['business_key'], name='provider_event_business'),
        ),
        afresh('provider_event_received'),
        AddIndexConcurrently(
            model_name='providerevent',
            index=django.contrib.postgres.indexes.BrinIndex(autosummarize=True, fields=['received_at'], name='provider_event_received'),
        ),
        RemoveIndexConcurrently(
            model_name='providerevent',
            name='provider_event_open',
        ),
        RemoveIndexConcurrently(
            model_name='providerevent',
            name='provider_event_object',
        ),
    ]
