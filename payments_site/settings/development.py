"""A laptop and the demo: plain HTTP on loopback."""

from payments_site.settings.base import *  # noqa: F403

DEBUG = True
STATIC_ROOT = None  # type: ignore[assignment]  # nothing is collected: files are served from where they are
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
SESSION_COOKIE_SECURE = False
CSRF_COOKIE_SECURE = False
