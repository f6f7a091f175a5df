"""Model of Idempotency-Keys."""

from __future__ import annotations

from functools import partial

import pgtrigger
from django.db import models
from django.utils.translation import gettext_lazy as _

from core import clock, ids
from core.db import ROWS, Frozen, Guard
from core.fields import IdentifierField


class IdempotencyKey(models.Model):
    """An Idempotency-Key: the first request that used it and its response.

    Only two-phase creations, which call a provider between two transactions, are ever visible as ``in_progress``.
    """

    class State(models.TextChoices):
        IN_PROGRESS = "in_progress", _("in progress")
        COMPLETED = "completed", _("completed")

    public_id = IdentifierField(max_length=40, unique=True, default=partial(ids.new_id, "idempotency_key"))
    merchant = models.ForeignKey("merchants.Merchant", models.PROTECT, related_name="+", db_index=False)
    livemode = models.BooleanField()
    key = models.CharField(max_length=255)
    method = models.CharField(max_length=8)
    path = models.CharField(max_length=200)
    body_sha256 = models.CharField(max_length=64)
    field_hashes = models.JSONField(
        default=dict, db_default={}, help_text="Of every top-level field: to name those that differ, not their values."
    )
    state = models.CharField(max_length=16, choices=State.choices, default=State.IN_PROGRESS)
    response_status = models.PositiveSmallIntegerField(null=True)
    response_body = models.TextField(blank=True, help_text="The bytes that were answered, kept as text.")
    object_id = models.CharField(max_length=40, blank=True)
    locked_at = models.DateTimeField(default=clock.now)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        verbose_name = _("idempotency key")
        verbose_name_plural = _("idempotency keys")
        constraints = [
            models.UniqueConstraint(fields=["merchant", "livemode", "key"], name="idempotency_key_unique"),
        ]
        triggers = [
            Frozen(
                "id",
                "public_id",
                "merchant",
                "livemode",
                "key",
                "method",
                "path",
                "body_sha256",
                "field_hashes",
                "created_at",
            ),
            # Neither of these fires for a request that is executed: WHEN skips keys in progress.
            Guard(
                name="answer_stays",
                when=pgtrigger.Before,
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__state="completed"),
                judges=dict.fromkeys(
                    ("state", "response_status", "response_body", "object_id", "locked_at"),
                    "never changes once `state = 'completed'`",
                ),
                func="""
                    RAISE EXCEPTION 'merchants_idempotencykey: a stored answer cannot change'
                        USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
                """,
            ),
            Guard(
                name="kept_thirty_days",
                when=pgtrigger.Before,
                operation=pgtrigger.Delete,
                judges={ROWS: "are deleted after thirty days at the earliest"},
                func="""
                    IF OLD.created_at > pg_catalog.now() - interval '30 days' THEN
                        RAISE EXCEPTION 'merchants_idempotencykey: a key is kept for thirty days'
                            USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
                    END IF;
                    RETURN OLD;
                """,
            ),
        ]

    def __str__(self) -> str:
        return self.key
