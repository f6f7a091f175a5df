"""Model of events."""

from __future__ import annotations

from functools import partial

import pgtrigger
from django.db import models
from django.utils.translation import gettext_lazy as _

from core import clock, ids
from core.db import AppendOnly, Guard
from core.fields import IdentifierField
from core.horizon import Counter

COUNTER = Counter("events", "merchants_event_counter", 473_701, "merchants_event", "sequence", "created_at")
"""Assigns the sequence numbers of events; ``core.horizon`` explains how they are read."""


class Event(models.Model):
    """A change of a merchant's object, for the feed and outbound webhooks.

    ``sequence`` comes from ``COUNTER``, so that the feed can end before uncommitted events
    (``merchants.services.event.feed``). The database assigns it and overwrites a given value. ``object_sequence``
    numbers an object's events from 1 without gaps, under that object's row lock, which is taken before the event is
    inserted: both sequences order an object's events alike.
    """

    public_id = IdentifierField(max_length=40, unique=True, default=partial(ids.new_id, "event"))
    sequence = models.BigIntegerField(_("sequence"), unique=True, default=0)
    merchant = models.ForeignKey("merchants.Merchant", models.PROTECT, related_name="events", db_index=False)
    livemode = models.BooleanField(_("live"))
    type = models.CharField(_("type"), max_length=64)
    object_id = models.CharField(_("object"), max_length=40)
    object_sequence = models.PositiveIntegerField()
    data = models.JSONField(help_text="The object as the API showed it at that moment, and what changed.")
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ["-sequence"]
        constraints = [
            models.UniqueConstraint(fields=["object_id", "object_sequence"], name="event_object_sequence"),
        ]
        indexes = [models.Index(fields=["merchant", "livemode", "sequence"], name="event_feed")]
        triggers = [
            AppendOnly(),
            Guard(
                name="assign_sequence",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                declare=COUNTER.declare,
                func=f"{COUNTER.draw} RETURN NEW;",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.object_id}"
