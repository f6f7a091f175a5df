"""Model of the position up to which the feed of events has been fanned out."""

from __future__ import annotations

from django.db import models

from core.db import Frozen, NoDelete
from core.guards import OnlyIf


class FeedCursor(models.Model):
    """One row: every event up to ``sequence`` has its deliveries.

    The transaction that inserts deliveries locks and advances it. Its lock also serialises changes to which endpoints
    take part: creation, pause and rejoining.
    """

    sequence = models.BigIntegerField()

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="feed_cursor_single")]
        triggers = [
            NoDelete(),
            Frozen("id"),
            OnlyIf("forward", "NEW.sequence >= OLD.sequence", "sequence", says="cannot step back"),
        ]

    def __str__(self) -> str:
        return str(self.sequence)
