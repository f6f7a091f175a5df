"""Health checks: ``/healthz`` (liveness) and ``/readyz`` (readiness)."""

from __future__ import annotations

import pkgutil
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.core.cache import cache
from django.db import DEFAULT_DB_ALIAS, Error, OperationalError, connections
from django.http import HttpRequest, HttpResponse, JsonResponse
from psycopg.errors import QueryCanceled, TooManyConnections
from redis.exceptions import RedisError, ResponseError

from core import horizon
from core.api.views import ApiResponse
from core.db import missing_guards
from ledger.services import gate
from payments_site.unpooled import TIMEOUT, unpooled

MAX_TIMEOUTS = 3
"""Consecutive timeouts after which the process is not ready."""


def healthz(request: HttpRequest) -> HttpResponse:
    """Liveness. Does not query the database: an outage is no reason to restart every process."""
    return ApiResponse({"status": "ok"})


def readyz(request: HttpRequest) -> HttpResponse:
    """Readiness: 200 if the database answers, all known migrations are applied and all guards are enabled.

    A Redis that does not count, a broken ledger invariant (which stops outgoing money by itself) and a feed held back
    by an open transaction only make it ``degraded``. So does a database that is briefly slow: taking processes out of
    service would make an overload worse.

    Applied migrations that this code does not know are fine: old code keeps serving during a rolling release.
    """
    try:
        status = probe.check()
    except Error:
        return _not_ready({"database": "unavailable"})
    if status is None:
        return _not_ready({"database": f"no answer within {TIMEOUT} s, {probe.timeouts} times in a row"})
    if status.read_only:
        return _not_ready({"database": "read-only: a standby, or default_transaction_read_only"})
    if status.missing:
        return _not_ready({"database": "ok", "migrations": f"{len(status.missing)} not applied: run manage.py release"})
    if status.guards:
        return _not_ready({"database": "ok", "guards": f"missing or disabled: {', '.join(status.guards)}"})
    answer = {"status": "ok", "database": "ok", "migrations": "applied", "redis": "ok", "ledger": "ok", "feeds": "ok"}
    if probe.timeouts:
        answer |= {"status": "degraded", "database": "slow"}
    fault = redis_fault()
    if fault:
        answer |= {"status": "degraded", "redis": fault}
    if status.broken:
        names = ", ".join(map(str, status.broken))
        answer |= {"status": "degraded", "ledger": f"broken: {names}; outgoing money in their scope is stopped"}
    if status.late:
        lags = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in status.late.items())
        answer |= {"status": "degraded", "feeds": f"behind: {lags}; manage.py doctor names the transaction"}
    return JsonResponse(answer)


@dataclass(frozen=True, slots=True)
class DatabaseStatus:
    """Result of a database check: read-only mode, unapplied migrations, disabled guards, broken invariants, and the lag
    of late feeds in seconds.
    """

    read_only: bool
    missing: list[str]
    guards: list[str]
    broken: list[gate.Broken]
    late: dict[str, float]


class DatabaseProbe:
    """Checks the database; keeps the last result and the number of consecutive timeouts."""

    def __init__(self) -> None:
        self.timeouts = 0
        self._last: DatabaseStatus | None = None

    def check(self) -> DatabaseStatus | None:
        """The current status, or the last one after a timeout; None after three consecutive timeouts.

        Raises ``django.db.Error`` if the database is unavailable.
        """
        try:
            self._last = unpooled.run(_check_database, TIMEOUT)
        except TimeoutError:
            return self._timed_out()
        except OperationalError as error:
            if isinstance(error.__cause__, QueryCanceled | TooManyConnections):
                return self._timed_out()
            raise
        self.timeouts = 0
        return self._last

    def _timed_out(self) -> DatabaseStatus | None:
        self.timeouts += 1
        return self._last if self.timeouts < MAX_TIMEOUTS else None


probe = DatabaseProbe()


def _check_database() -> DatabaseStatus:
    with connections[DEFAULT_DB_ALIAS].cursor() as cursor:
        cursor.execute("SELECT current_setting('transaction_read_only') = 'on'")
        read_only = bool(cursor.fetchone()[0])
    missing = [] if read_only else unapplied_migrations()
    if read_only or missing:
        return DatabaseStatus(read_only, missing, [], [], {})
    return DatabaseStatus(False, [], missing_guards(apps.get_models()), gate.broken(), horizon.late())


def redis_fault() -> str:
    """What is wrong with Redis; "" if nothing is.

    The check writes: a full Redis, a read-only replica and a user without permission still answer reads.
    """
    try:
        cache.add("readyz", 1, 60)
    except ResponseError:
        return "refuses to count"
    except (RedisError, OSError):
        return "unavailable"
    return ""


def unapplied_migrations(alias: str = DEFAULT_DB_ALIAS) -> list[str]:
    """Names of migrations that are not applied. Raises ``django.db.Error``."""
    return sorted(f"{app}.{name}" for app, name in _known_migrations() - _applied_migrations(alias))


def apps_with_other_migrations(alias: str = DEFAULT_DB_ALIAS) -> list[str]:
    """Our apps that have applied migrations, but not the first one of this code: other migrations made their tables.

    Raises ``django.db.Error``.
    """
    ours = {app.label for app in apps.get_app_configs() if Path(app.path).parent == settings.BASE_DIR}
    first = dict(sorted(_known_migrations(), reverse=True))  # of several names, the lowest stays
    applied = _applied_migrations(alias)
    return sorted({app for app, _ in applied if app in ours & first.keys() and (app, first[app]) not in applied})


def _applied_migrations(alias: str) -> set[tuple[str, str]]:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT to_regclass('public.django_migrations')")
        if cursor.fetchone()[0] is None:
            return set()
        cursor.execute("SELECT app, name FROM django_migrations")
        return set(cursor.fetchall())


@lru_cache
def _known_migrations() -> frozenset[tuple[str, str]]:
    """From file names: importing the migrations would cost megabytes of memory."""
    return frozenset(
        (app.label, module.name)
        for app in apps.get_app_configs()
        for module in pkgutil.iter_modules([str(Path(app.path) / "migrations")])
        if module.name[0] not in "_~"
    )


def _not_ready(details: dict[str, str]) -> HttpResponse:
    return JsonResponse({"status": "not_ready", **details}, status=503, headers={"Retry-After": "5"})
