"""Startup tasks of web and worker processes."""

from __future__ import annotations

import logging
import threading

from django.conf import settings
from django.core import checks
from django.db import DEFAULT_DB_ALIAS, connections

from payments_site import metrics
from payments_site.checks import OURS

logger = logging.getLogger("payments_site.startup")


def web(*, is_first: bool) -> None:
    """Called in each gunicorn worker once the application is loaded."""
    metrics.sample_pool_for_ever()
    _refuse_signing_key("web")
    if is_first:
        threading.Thread(target=_log_checks, name="startup-checks", daemon=True).start()


def worker(*, signs: bool) -> None:
    """Called before the worker fetches jobs. ``signs``: it runs the lane that calls providers."""
    _log_checks()
    if not signs:
        _refuse_signing_key("a worker without the lane 'providers'")


def _refuse_signing_key(process: str) -> None:
    """Drop STP's signing key in processes that do not call STP, and log an error."""
    if settings.STP_SIGNING_KEYS is not None:
        logger.error("STP_SIGNING_KEYS is set for %s: give it only to the worker's lane 'providers'", process)
        settings.STP_SIGNING_KEYS, settings.STP_SIGNING_PASSWORD = None, ""


def _log_checks() -> None:
    """Log the results of our own system checks, e.g. an exceeded connection budget or a role with too many rights.

    Django's checks are about the code and run at build time; here they would load the whole admin. The process starts
    even if a check fails: an unavailable or shrunk database is no reason to stay down.
    """
    try:
        for message in checks.run_checks(tags=[OURS], databases=[DEFAULT_DB_ALIAS]):
            if not message.is_silenced():
                logger.log(message.level, "%s: %s", message.id, message.msg, extra={"hint": message.hint})
    except Exception:
        logger.exception("the checks at start could not be made")
    finally:
        connections[DEFAULT_DB_ALIAS].close()
