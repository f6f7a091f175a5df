"""What of gunicorn we do otherwise."""

from __future__ import annotations

from gunicorn.glogging import Logger  # type: ignore[import-untyped]


class QuietLogger(Logger):  # type: ignore[misc, unused-ignore]
    """No access log: ``payments_site.middleware`` writes a line for each request.

    Because ``logconfig_dict`` is set, gunicorn would put its own together all the same, and find nobody to take it.
    """

    access_log_enabled = False
