"""Is the process alive, and may traffic come?"""

from __future__ import annotations

from functools import lru_cache

from django.apps import apps
from django.core.cache import cache
from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.migrations.loader import MigrationLoader
from django.http import HttpRequest, HttpResponse, JsonResponse
from redis.exceptions import RedisError

from core.db import missing_guards
from ledger.services import gate


def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers. It must not ask the database: a database outage is no reason to kill every process."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> HttpResponse:
    """200 if the database answers, has every migration this code knows, and every guard is enabled.

    Redis away, and a broken invariant of the ledger (which stops outgoing money by itself), are only ``degraded``.

    Migrations that are applied but unknown here are fine: during a rolling release the old code still serves.
    """
    try:
        missing = unapplied_migrations()
        guards = [] if missing else missing_guards(apps.get_models())
    except Error:
        return _not_ready({"database": "unavailable"})
    if missing:
        return _not_ready({"database": "ok", "migrations": f"{len(missing)} not applied: run manage.py release"})
    if guards:
        return _not_ready({"database": "ok", "guards": f"missing or disabled: {', '.join(guards)}"})
    broken = gate.broken()
    answer = {"status": "ok", "database": "ok", "migrations": "applied", "redis": "ok", "ledger": "ok"}
    try:
        cache.get("readyz")
    except (RedisError, OSError):
        answer |= {"status": "degraded", "redis": "unavailable"}
    if broken:
        answer |= {"status": "degraded", "ledger": f"broken: {', '.join(broken)}; outgoing money is stopped"}
    return JsonResponse(answer)


def unapplied_migrations(alias: str = DEFAULT_DB_ALIAS) -> list[str]:
    """Names of the migrations this code knows and the database lacks. Raises ``django.db.Error``."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT to_regclass('public.django_migrations')")
        if cursor.fetchone()[0] is None:
            return sorted(f"{app}.{name}" for app, name in _known())
        cursor.execute("SELECT app, name FROM django_migrations")
        applied = {(app, name) for app, name in cursor.fetchall()}
    return sorted(f"{app}.{name}" for app, name in _known() - applied)


@lru_cache
def _known() -> frozenset[tuple[str, str]]:
    return frozenset(MigrationLoader(None, ignore_no_migrations=True).disk_migrations)


def _not_ready(details: dict[str, str]) -> HttpResponse:
    return JsonResponse({"status": "not_ready", **details}, status=503, headers={"Retry-After": "5"})
