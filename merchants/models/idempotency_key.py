from __future__ import annotations

from functools import partial

from django.db import models
from django.utils.translation import gettext_lazy as _

from core import clock, ids


class IdempotencyKey(models.Model):
    """One intention of a merchant's program: the request that carried the key first, and the answer it got.

    ``in_progress`` is visible only for creations that call a provider between two transactions.
    """

    class State(models.TextChoices):
        IN_PROGRESS = "in_progress", _("in progress")
        COMPLETED = "completed", _("completed")

    public_id = models.CharField(max_length=40, unique=True, default=partial(ids.new_id, "idempotency_key"))
    merchant = models.ForeignKey("merchants.Merchant", models.PROTECT, related_name="+")
    livemode = models.BooleanField()
    key = models.CharField(max_length=255)
    method = models.CharField(max_length=8)
    path = models.CharField(max_length=200)
    body_sha256 = models.CharField(max_length=64)
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

    def __str__(self) -> str:
        return self.key
