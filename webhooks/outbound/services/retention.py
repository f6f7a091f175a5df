"""Removal of old deliveries, attempts and secrets."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from core import clock
from core.statements import fetch
from webhooks.outbound.services import endpoint

_BATCH = 2_000

_OLD_ATTEMPTS = """
    WITH old AS (
        DELETE FROM public.webhooks_deliveryattempt WHERE id IN (
            SELECT id FROM (
                SELECT id, at FROM public.webhooks_deliveryattempt ORDER BY id LIMIT $2
            ) oldest WHERE at < $1
        ) RETURNING id
    )
    SELECT count(*) FROM old
"""
_OLD_DELIVERIES = """
    WITH old AS (
        DELETE FROM public.webhooks_delivery WHERE id IN (
            SELECT id FROM public.webhooks_delivery d
            WHERE finished_at < $1 AND created_at < $1
                AND NOT EXISTS (SELECT FROM public.webhooks_deliveryattempt WHERE delivery_id = d.id)
            ORDER BY id LIMIT $2
        ) RETURNING id
    )
    SELECT count(*) FROM old
"""
_ATTEMPTS_OF_DELETED = """
    WITH old AS (
        DELETE FROM public.webhooks_deliveryattempt WHERE id IN (
            SELECT a.id FROM public.webhooks_endpoint e
            JOIN public.webhooks_delivery d ON d.endpoint_id = e.id
            JOIN public.webhooks_deliveryattempt a ON a.delivery_id = d.id
            WHERE e.deleted_at < $1 LIMIT $2
        ) RETURNING id
    )
    SELECT count(*) FROM old
"""
_DELIVERIES_OF_DELETED = """
    WITH old AS (
        DELETE FROM public.webhooks_delivery WHERE id IN (
            SELECT d.id FROM public.webhooks_endpoint e JOIN public.webhooks_delivery d ON d.endpoint_id = e.id
            WHERE e.deleted_at < $1 AND d.finished_at IS NOT NULL LIMIT $2
        ) RETURNING id
    )
    SELECT count(*) FROM old
"""


def clean_up() -> int:
    """Delete what is older than ``WEBHOOK_HISTORY``, and than ``WEBHOOK_HISTORY_OF_DELETED`` for deleted endpoints.

    Returns the number of rows. Works in batches, each a transaction of its own.
    """
    now = clock.now()
    old, of_deleted = now - settings.WEBHOOK_HISTORY, now - settings.WEBHOOK_HISTORY_OF_DELETED
    count = endpoint.forget_expired_secrets()
    count += _all(_ATTEMPTS_OF_DELETED, of_deleted) + _all(_DELIVERIES_OF_DELETED, of_deleted)
    return count + _all(_OLD_ATTEMPTS, old) + _all(_OLD_DELIVERIES, old)


def _all(statement: str, before: datetime) -> int:
    count = 0
    while True:
        deleted = int(fetch(statement, [before, _BATCH])[0][0])
        count += deleted
        if deleted < _BATCH:
            return count
