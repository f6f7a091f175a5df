"""Settings shared by all environments. Environment variables are read in ``payments_site.env``."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _
from redis.backoff import NoBackoff
from redis.retry import Retry

from payments_site import env
from payments_site.settings.unfold import UNFOLD as UNFOLD

BASE_DIR = Path(__file__).resolve().parent.parent.parent
SITE = env.Site.from_env()
DATABASE = env.Database.from_env()
REDIS = env.Redis.from_env()
SIGNING = env.Signing.from_env()
RATES = env.RateLimits.from_env()
ENCRYPTION = env.Encryption.from_env()
SANDBOX = env.Sandbox.from_env()
WEBHOOKS = env.Webhooks.from_env()
MAIL = env.Mail.from_env()

SECRET_KEY = SITE.secret_key
ALLOWED_HOSTS = list(SITE.allowed_hosts)
DEBUG = False
ROOT_URLCONF = "payments_site.urls"
WSGI_APPLICATION = "payments_site.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "backoffice.apps.BackofficeAdminConfig",  # django.contrib.admin with our AdminSite
    "staff",  # before auth: overrides createsuperuser and changepassword
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "procrastinate.contrib.django",
    "pgtrigger",
    "django_ratelimit",
    "merchants",
    "ledger",
    "kyc",
    "payments",
    "webhooks",
    "backoffice",
    "payments_site",
]

MIDDLEWARE = [
    "payments_site.middleware.RequestMiddleware",
    "payments_site.api_middleware.ApiMiddleware",  # requests of programs go on with API_MIDDLEWARE
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "payments_site.middleware.ReleaseMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "payments_site.middleware.UnavailableMiddleware",
]
API_MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "payments_site.api_middleware.ProgramMiddleware",
    "payments_site.middleware.ReleaseMiddleware",
    "payments_site.middleware.UnavailableMiddleware",
]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]


def postgres(name: str, url: str, options: dict[str, Any]) -> dict[str, Any]:
    """The DATABASES entry for the PostgreSQL URL in variable ``name``."""
    parts = env.connection_parameters(name, url)
    further = {key: parts[key] for key in parts.keys() - {"host", "port", "user", "password", "dbname"}}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": parts["host"],
        "PORT": parts.get("port", ""),
        "USER": parts["user"],
        "PASSWORD": parts.get("password", ""),
        "NAME": parts["dbname"],
        "CONN_MAX_AGE": 0,
        "OPTIONS": {"connect_timeout": 2, "server_side_binding": True, "prepare_threshold": None, **options, **further},
    }


# The pool waits 2 s and then fails: an overloaded site answers 503 rather than hanging.
DATABASES = {
    "default": postgres(
        "DATABASE_URL",
        DATABASE.url,
        {
            "pool": {"min_size": 1, "max_size": DATABASE.pool_size, "timeout": 2, "max_idle": 300},
            "options": "-c statement_timeout=5s -c lock_timeout=2s"
            " -c idle_in_transaction_session_timeout=10s -c jit=off",
        },
    )
}
if DATABASE.owner_url is not None:
    DATABASES["owner"] = postgres("RELEASE_DATABASE_URL", DATABASE.owner_url, {"options": "-c lock_timeout=5s"})

# Connecting and reading take 0.3 s at most; redis-py's default retries would take seconds.
CACHES: dict[str, Any] = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS.url,
        "OPTIONS": {"socket_connect_timeout": 0.15, "socket_timeout": 0.15, "retry": Retry(NoBackoff(), 0)},
    }
}
SILENCED_SYSTEM_CHECKS = ["django_ratelimit.W001"]  # RedisCache increments atomically
RATE_LIMITS = {"read": RATES.read, "write": RATES.write, "test": RATES.test}
"""Limits per API key and class of route; ``test`` is for the helpers under /v1/test."""
SIGN_IN_PER_ACCOUNT = 5
SIGN_IN_PER_ADDRESS = 20

IDEMPOTENCY_KEY_LIFETIME = timedelta(days=31)
"""How long an Idempotency-Key is kept; the database enforces at least thirty days."""
API_KEY_CACHE_SECONDS = 0.8
"""How long a process caches an API key: a revocation takes effect everywhere within a second."""

FIELD_ENCRYPTION_KEYS = list(ENCRYPTION.keys)
PROCRASTINATE_AUTODISCOVER_MODULE_NAME = "jobs"

EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if MAIL.host else 'dummy'}.EmailBackend"
EMAIL_HOST, EMAIL_PORT = MAIL.host, MAIL.port
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = MAIL.user, MAIL.password
EMAIL_USE_SSL = MAIL.tls and MAIL.port == 465
EMAIL_USE_TLS = MAIL.tls and not EMAIL_USE_SSL
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = MAIL.sender

LANGUAGE_CODE = "es-mx"
LANGUAGES = [("es-mx", _("Spanish (Mexico)")), ("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "America/Mexico_City"
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
MEDIA_ROOT = SITE.media_root
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024 + 1

LOGIN_URL = reverse_lazy("admin:login")
LOGIN_REDIRECT_URL = reverse_lazy("admin:index")  # unfold's login form carries no "next"
SESSION_COOKIE_AGE = 8 * 3600
SESSION_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "DENY"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
APPEND_SLASH = False
PASSWORD_HASHERS = ["staff.hashers.ThreadedPBKDF2"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["core.api.parsers.StrictJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "payments_site.openapi.operation.OperationSchema",
    "EXCEPTION_HANDLER": "core.api.errors.exception_handler",
}
API_VERSION = "2026-11-23"
API_VERSIONS = (API_VERSION,)
"""Versions that callers may pin. The resources render the newest; docs/adr describes downgrading."""
SPECTACULAR_SETTINGS = {
    "TITLE": "Payments API",
    "VERSION": API_VERSION,
    "LICENSE": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "POSTPROCESSING_HOOKS": ["payments_site.openapi.complete.complete"],
}

STP_SIGNING_KEYS = SIGNING.stp_keys
STP_SIGNING_PASSWORD = SIGNING.stp_password
"""Folder and password of the keys that sign calls to STP; set only for the worker."""
STP_REFUSAL_STATUS = 400
"""HTTP status of the answer ``devolver`` to STP."""
CONEKTA_CUSTOMER_EMAIL = "sin-correo@example.mx"
CONEKTA_CUSTOMER_PHONE = "5500000000"
"""Sent to Conekta if the merchant gave no e-mail or phone of the payer: Conekta requires both."""
OXXO_AMOUNTS = (1_000, 1_000_000)
"""Minimum and maximum of a voucher, in centavos."""
IVA_RATES = ((date(2010, 1, 1), Decimal("0.16")),)
"""(first day, rate) of the VAT on fees, oldest first; a payment keeps the rate of its day."""
REVIEW_WITHIN = timedelta(days=1)
"""Time until an undecided review case is overdue."""

JOB_STALLED_SECONDS = 30.0
"""A worker without a heartbeat for this long is considered dead; its jobs are retried."""

INBOX_TRIES = 12
"""Attempts of the worker before a notice is marked dead, within about two hours and eight minutes."""
INBOX_RETRY_FIRST = timedelta(seconds=2)
INBOX_RETRY_MOST = timedelta(hours=1)
"""Delay before the worker's first retry of a notice; doubled for each further one, up to the maximum."""
INBOX_STALE_AFTER = timedelta(seconds=30)
"""Age after which the worker applies a stored notice whose web process died."""
INBOX_TOGETHER = 8
"""Maximum of concurrent notices applied in one transaction (group commit)."""
INBOX_BATCH = 50
"""Notices the worker applies in one transaction."""
INBOX_POLL_GRACE = timedelta(minutes=2)
"""How long to wait for a notice before polling for it."""
PAYOUT_INQUIRIES = (
    timedelta(seconds=15),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=3),
)
"""After which time a provider is asked about a payout, and asked again; then hourly for a day, then daily."""
PAYOUT_NOT_FOUND_WINDOW = timedelta(hours=24)
"""How long after sending "not found" is no failure."""
PAYOUT_NOT_FOUND_APART = timedelta(minutes=30)
"""How far apart two answers "not found" must be to agree."""
CLOSED_BANKS = {"40143": date(2025, 10, 10)}
"""SPEI code of institutions that the catalogue lists and that take no transfers any more, since when (CIBanco)."""
PROVIDER_QUOTAS = {"efws": 100}
"""Requests that a company may make to its provider in an hour, by quota: STP refuses more to efws."""
PROVIDER_ACCOUNT_CACHE_SECONDS = 1.0
"""How long a process caches provider accounts; a removed secret is refused after that."""
INBOX_TALLY_SECONDS = 10.0
"""How often a process flushes its counts of repeated and refused notices."""
INBOX_BODY_DAYS = 400
"""How long the raw bytes of notices are kept (at least 90 days); their rows are kept forever."""

WEBHOOK_ALLOW_HTTP = WEBHOOKS.allow_http
"""Whether merchants' endpoints may have http URLs, any port, and loopback addresses; for development only."""
WEBHOOK_SENDERS = 100
"""Requests to merchants' endpoints that one worker has in flight at most; each is a thread without a connection."""
WEBHOOK_HISTORY = timedelta(days=90)
"""How long finished deliveries and attempts are kept; the database enforces at least thirty days."""
WEBHOOK_HISTORY_OF_DELETED = timedelta(days=30)
"""The same for deleted endpoints, from their deletion on."""

REPORT_KEPT = timedelta(days=30)
"""How long a report's file can be downloaded."""
REPORT_LINK_LIFETIME = timedelta(hours=1)
"""How long a report's download link is valid."""

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "payments_site.logging.JsonFormatter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {
        "django": {"level": "INFO"},
        "django.request": {"level": "ERROR"},
        "httpx2": {"level": "WARNING"},
        "procrastinate": {"level": "WARNING"},
    },
}
