"""Room for the raw bytes of notices: a partition for each month, made ahead, dropped when its time is over.

The application's role may not change the schema. Two functions of the database, which run with the owner's rights, do
exactly these two things; the second refuses to drop what is younger than 90 days or was never applied.
"""

from __future__ import annotations

import logging

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

logger = logging.getLogger(__name__)

MONTHS_AHEAD = 3


def make_partitions(ahead: int = MONTHS_AHEAD, *, using: str = DEFAULT_DB_ALIAS) -> int:
    """Partitions for this month and ``ahead`` more; how many were missing. Without one, rows go to a default one."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT webhooks_make_body_partitions(%s)", [ahead])
        made = int(cursor.fetchone()[0])
    if made:
        logger.info("partitions for the bodies of notices were made", extra={"made": made})
    return made


def drop_old(days: int | None = None, *, using: str = DEFAULT_DB_ALIAS) -> list[str]:
    """Drop every partition that is wholly older than ``days`` (``INBOX_BODY_DAYS``); their names."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT webhooks_drop_body_partitions(%s)", [settings.INBOX_BODY_DAYS if days is None else days])
        dropped = [name for (name,) in cursor.fetchall()]
    for name in dropped:
        logger.warning("bodies of notices were dropped", extra={"partition": name})
    return dropped
