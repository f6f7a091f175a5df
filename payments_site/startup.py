"""What web and worker processes do when they begin to serve."""

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
    """Called in each gunicorn worker after the application was loaded."""
    metrics.sample_pool_for_ever()
    _refuse_signing_key("web")
    if is_first:
        threading.Thread(target=_log_checks, name="startup-checks", daemon=True).start()


def worker(*, signs: bool) -> None:
    """Called before the worker takes jobs. ``signs``: it runs the lane that calls providers."""
    _log_checks()
    if not signs:
        _refuse_signing_key("a worker without the lane 'providers'")


def _refuse_signing_key(process: str) -> None:
    """The key that signs calls to STP belongs to the worker that makes them, and to no other process."""
    if settings.STP_SIGNING_KEYS is not None:
        logger.error("STP_SIGNING_KEYS is set for %s: give it only to the worker's lane 'providers'", process)
        settings.STP_SIGNING_KEYS, settings.STP_SIGNING_PASSWORD = None, ""


def _log_checks() -> None:
    """Say in the log what our own checks say: a budget of connections that cannot hold, a role that may too much.

    Django's are about the code, which is checked where it is built; they would load all of the admin's.

    Nothing is refused: a database that is away or was made smaller is no reason not to come back.
    """
    try:
        for message in checks.run_checks(tags=[OURS], databases=[DEFAULT_DB_ALIAS]):
            if not message.is_silenced():
                logger.log(message.level, "%s: %s", message.id, message.msg, extra={"hint": message.hint})
    except Exception:
        logger.exception("the checks at start could not be made")
    finally:
        connections[DEFAULT_DB_ALIAS].close()
