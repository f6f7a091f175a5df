"""Production settings for benchmarks, without TLS, which the proxy terminates."""

import sys

# From requirements-dev.txt: production does not have them, and REST framework imports them if installed.
sys.modules["requests"] = sys.modules["pygments"] = None  # type: ignore[assignment]

from payments_site.settings.production import *  # noqa: E402, F403

SECURE_SSL_REDIRECT = False
STORAGES = STORAGES | {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}  # noqa: F405
