"""Production's settings for a benchmark: as behind its proxy, which has ended TLS."""

import sys

# Of requirements-dev.txt: production does not have them, and REST framework loads whichever it finds.
sys.modules["requests"] = sys.modules["pygments"] = None  # type: ignore[assignment]

from payments_site.settings.production import *  # noqa: E402, F403

SECURE_SSL_REDIRECT = False
STORAGES = STORAGES | {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}  # noqa: F405
