"""What web and worker processes do when they begin to serve."""

from __future__ import annotations

import logging
import threading

from django.core import checks
from django.db import DEFAULT_DB_ALIAS, connections

from payments_site import metrics
from payments_site.checks import OURS

logger = logging.getLogger("payments_site.start")


def web(*, is_first: bool) -> None:
    """Called in each gunicorn worker after the application was loaded."""
    metrics.sample_pool_for_ever()
    if is_first:
        threading.Thread(target=_look, name="start-checks", daemon=True).start()


def worker() -> None:
    """Called before the worker takes jobs."""
    _look()


def _look() -> None:
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
