"""Removal of broken idle connections from the pool, for example after PostgreSQL was restarted."""

from __future__ import annotations

import logging
import threading

from django.db import DEFAULT_DB_ALIAS, connections

logger = logging.getLogger(__name__)

_check_running = threading.Lock()


def discard_broken() -> None:
    """Check the pool's idle connections in a background thread and return at once; one check runs at a time.

    Called when a connection turned out to be broken: each of the other broken ones would fail one more request.
    Checking every connection before every use would cost a round trip each time.
    """
    if _check_running.acquire(blocking=False):
        threading.Thread(target=_discard_broken, name="discard-broken", daemon=True).start()


def _discard_broken() -> None:
    try:
        pool = getattr(connections[DEFAULT_DB_ALIAS], "pool", None)
        if pool is not None and not pool.closed:
            pool.check()
    except Exception:
        logger.exception("idle connections could not be checked")
    finally:
        _check_running.release()
