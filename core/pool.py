"""Connections that broke while nobody used them: a restart of PostgreSQL breaks all of a process's at once."""

from __future__ import annotations

import logging
import threading

from django.db import DEFAULT_DB_ALIAS, connections

logger = logging.getLogger(__name__)

_under_way = threading.Lock()


def discard_broken() -> None:
    """Have the pool's idle connections tried beside the requests, once at a time; returns at once.

    Called when one turned out to be broken: each of the others would fail the next request that gets it. Trying every
    connection before every use would cost a round trip each time.
    """
    if _under_way.acquire(blocking=False):
        threading.Thread(target=_discard_broken, name="discard-broken", daemon=True).start()


def _discard_broken() -> None:
    try:
        pool = getattr(connections[DEFAULT_DB_ALIAS], "pool", None)
        if pool is not None and not pool.closed:
            pool.check()
    except Exception:
        logger.exception("idle connections could not be tried")
    finally:
        _under_way.release()
