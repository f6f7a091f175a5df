"""One endpoint's error does not keep the others waiting."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.db import connection

logger = logging.getLogger(__name__)


def isolated(work: Callable[..., int], *args: int) -> int | None:
    """What ``work`` returns; None if it failed, which is logged. An error is raised if the database is lost."""
    try:
        return work(*args)
    except Exception:
        if not connection.is_usable():
            raise
        logger.exception("upkeep of webhook deliveries failed", extra={"step": work.__name__, "arguments": args})
        return None
