"""Production's settings for a benchmark: as behind its proxy, which has ended TLS."""

from payments_site.settings.production import *  # noqa: F403

SECURE_SSL_REDIRECT = False
