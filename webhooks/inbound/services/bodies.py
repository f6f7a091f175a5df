"""Monthly partitions for the raw bodies of notices: created in advance, dropped after their retention.

The application's role may not change the schema. Two database functions with the owner's rights create and drop
partitions; the latter refuses partitions with bodies younger than 90 days or of notices that were never applied.
"""

from __future__ import annotations

import logging

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

logger = logging.getLogger(__name__)

MONTHS_AHEAD = 3


def make_partitions(ahead: int = MONTHS_AHEAD, *, using: str = DEFAULT_DB_ALIAS) -> int:
    """Create the partitions of this month and ``ahead`` more; returns how many were missing.

    Rows of a month without a partition go to the default partition.
    """
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT webhooks_make_body_partitions(%s)", [ahead])
        made = int(cursor.fetchone()[0])
    if made:
        logger.info("partitions for the bodies of notices were made", extra={"made": made})
    return made


def drop_old(days: int | None = None, *, using: str = DEFAULT_DB_ALIAS) -> list[str]:
    """Drop every partition that is entirely older than ``days`` (``INBOX_BODY_DAYS``); returns their names."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT webhooks_drop_body_partitions(%s)", [settings.INBOX_BODY_DAYS if days is None else days])
        dropped = [name for (name,) in cursor.fetchall()]
    for name in dropped:
        logger.warning("bodies of notices were dropped", extra={"partition": name})
    return dropped
