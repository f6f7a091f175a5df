"""Counters of repeated and refused notices: counted in memory and added to the row of the hour every few seconds.

A repetition writes nothing else, and a flood of forged notices costs one statement per ten seconds. A killed process
loses the counts of its last seconds; they are statistics on which nothing depends.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from datetime import datetime

from django.conf import settings
from django.db import DatabaseError, connection

from core import clock
from webhooks.inbound.models import InboxTally

logger = logging.getLogger(__name__)

_ADD = (
    "INSERT INTO webhooks_inboxtally (hour, channel, kind, count) VALUES (%s, %s, %s, %s) "
    "ON CONFLICT (hour, channel, kind) DO UPDATE SET count = webhooks_inboxtally.count + excluded.count"
)
_lock = threading.Lock()
_counts: Counter[tuple[datetime, str, str]] = Counter()
_written = 0.0


def count(channel: str, kind: InboxTally.Kind) -> None:
    """Count one notice and write the counters if that is due. Never raises; must be outside any transaction."""
    hour = clock.now().replace(minute=0, second=0, microsecond=0)
    with _lock:
        _counts[hour, channel, kind] += 1
    _write_if_due()


def _write_if_due() -> None:
    global _written  # noqa: PLW0603 - one timestamp per process
    with _lock:
        now = time.monotonic()
        if _written and now - _written < settings.INBOX_TALLY_SECONDS:
            return
        _written = now
        due = sorted(_counts.items())
        _counts.clear()
    try:
        with connection.cursor() as cursor:
            for (hour, channel, kind), number in due:
                cursor.execute(_ADD, [hour, channel, kind, number])
    except DatabaseError as error:
        with _lock:
            _counts.update(dict(due))
        logger.warning("counts of notices could not be written", exc_info=error)
        return
    for (_, channel, kind), number in due:
        if kind == InboxTally.Kind.REFUSED:
            logger.warning("notices were refused", extra={"channel": channel, "count": number})
