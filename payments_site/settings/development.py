"""Settings for development and the demo: plain HTTP on loopback."""

from payments_site.settings.base import *  # noqa: F403

DEBUG = True
STATIC_ROOT = None  # type: ignore[assignment]  # no collectstatic: files are served from their apps
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
SESSION_COOKIE_SECURE = False
CSRF_COOKIE_SECURE = False
