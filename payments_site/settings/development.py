"""Settings for development and the demo: plain HTTP on loopback."""

from datetime import timedelta

from payments_site.settings.base import *  # noqa: F403

DEBUG = True
STATIC_ROOT = None  # type: ignore[assignment]  # no collectstatic: files are served from their apps
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
SESSION_COOKIE_SECURE = False
CSRF_COOKIE_SECURE = False
PAYOUT_INQUIRIES = (timedelta(seconds=1), *PAYOUT_INQUIRIES[1:])  # noqa: F405
"""The simulator is asked soon about a payout whose answer was lost."""
