"""Settings for tests: like production, but over plain HTTP and with a fast password hasher."""

from typing import Any, cast

from payments_site.settings import base
from payments_site.settings.base import *  # noqa: F403

DEBUG = False
PROVIDER_ACCOUNT_CACHE_SECONDS = 0
STATIC_ROOT = None  # type: ignore[assignment]  # no collectstatic: files are served from their apps
WHITENOISE_USE_FINDERS = True
SESSION_COOKIE_SECURE = False
CSRF_COOKIE_SECURE = False
API_KEY_CACHE_SECONDS = 0  # rolled back rows must not be cached; the cache has its own tests
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
_OPTIONS = cast(dict[str, Any], base.DATABASES["default"]["OPTIONS"])
_IDLE = " -c idle_in_transaction_session_timeout=600s"  # a test is one transaction and may pause between statements
_OPERATOR = " -c payments.actor=operator"  # accounts created by tests count as the operator's
DATABASES = base.DATABASES | {
    "default": base.DATABASES["default"] | {"OPTIONS": {**_OPTIONS, "options": _OPTIONS["options"] + _IDLE + _OPERATOR}}
}
_PATIENT = {"socket_connect_timeout": 10, "socket_timeout": 10}  # Redis may be slow on a busy machine
CACHES = {
    name: {**cache, "OPTIONS": {**cast(dict[str, Any], cache["OPTIONS"]), **_PATIENT}}
    for name, cache in base.CACHES.items()
}
RATE_LIMITS = dict.fromkeys(("read", "write", "test"), "1000000/s")  # as above
