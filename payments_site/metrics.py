"""``GET /metrics`` for Prometheus, authenticated with ``METRICS_TOKEN``; 404 if no token is set.

Two sources: counters of the processes (``core.metrics``), and database queries with bounded cost, which each process
runs at most every ten seconds over the unpooled connection.
"""

from __future__ import annotations

import hmac
import os
import threading
import time
from collections.abc import Iterable

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from core import invariants
from core.metrics import (
    POOL_CONNECTIONS,
    POOL_TIMEOUTS,
    POOL_WAITING,
    PROCESS,
    REQUEST_SECONDS,
    REQUESTS,
)
from ledger.services import gate
from payments_site import metrics_queries
from payments_site.logging import METHODS
from payments_site.unpooled import unpooled

FRESH = 10.0
"""Seconds that database results are cached."""
SAMPLE_EVERY = 5.0
"""Seconds between samples of the connection pool."""


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Metrics of all processes of this gunicorn; 401 for a wrong token."""
    token = settings.SITE.metrics_token
    if not token:
        raise Http404
    given = request.headers.get("Authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        return HttpResponse(status=401, headers={"WWW-Authenticate": 'Bearer realm="metrics"'})
    sample_pool()
    registry = CollectorRegistry()
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    else:
        registry.register(_ThisProcess())
    registry.register(_DATABASE)
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def count(route: str, method: str, status: int, seconds: float) -> None:
    """Count one response. Costs a few microseconds; every label has few values."""
    counters = _counters.get((route, method, status))
    if counters is None:
        counters = _counters_of(route, method, status)
    counters[0].inc()
    counters[1].observe(seconds)


_counters: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
"""Cached label lookups, which cost more than counting."""


def _counters_of(route: str, method: str, status: int) -> tuple[Counter, Histogram]:
    known = method if method in METHODS else "other"
    found = REQUESTS.labels(route, known, str(status)), REQUEST_SECONDS.labels(route, known)
    if known == method:
        _counters[route, method, status] = found
    return found


def route_of(request: HttpRequest) -> str:
    """The URL template, or one value for all URLs without one."""
    match = request.resolver_match
    if match is not None:
        return str(match.route) or "home"
    return "static" if request.path_info.startswith(settings.STATIC_URL) else "unmatched"


def sample_pool() -> None:
    """Update the gauges of this process's connection pool."""
    pool = connections[DEFAULT_DB_ALIAS].pool  # type: ignore[attr-defined]
    if pool is None:
        return
    found = pool.get_stats()
    POOL_CONNECTIONS.labels("max").set(found["pool_max"])
    POOL_CONNECTIONS.labels("open").set(found["pool_size"])
    POOL_CONNECTIONS.labels("available").set(found["pool_available"])
    POOL_WAITING.set(found["requests_waiting"])
    with _seen_lock:
        errors = found.get("requests_errors", 0)
        if errors > _seen["errors"]:
            POOL_TIMEOUTS.inc(errors - _seen["errors"])
        _seen["errors"] = errors


_seen = {"errors": 0}
_seen_lock = threading.Lock()


def sample_pool_for_ever() -> None:
    """Start a daemon thread that samples the pool every ``SAMPLE_EVERY`` seconds."""

    def look() -> None:
        while True:
            sample_pool()
            time.sleep(SAMPLE_EVERY)

    threading.Thread(target=look, name="pool-sampler", daemon=True).start()


class _ThisProcess(Collector):
    """Metrics of this process, without gunicorn's multiprocess folder."""

    def collect(self) -> Iterable[GaugeMetricFamily]:
        yield from PROCESS.collect()  # type: ignore[misc]


class _Database(Collector):
    """Results of the database queries, cached; ``database_answers`` is 0 if they failed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: list[GaugeMetricFamily] = []
        self._until = 0.0

    def collect(self) -> Iterable[GaugeMetricFamily]:
        with self._lock:
            if time.monotonic() > self._until:
                self._known = self._ask()
                self._until = time.monotonic() + FRESH
            return self._known

    def forget(self) -> None:
        """Clear the cache."""
        self._until = 0.0

    def _ask(self) -> list[GaugeMetricFamily]:
        answers = GaugeMetricFamily("database_answers", "1 if the database answered these queries, else 0.")
        try:
            found = unpooled.run(_query_database, timeout=2.0)
        except (Error, TimeoutError):
            answers.add_metric([], 0)
            return [answers]
        answers.add_metric([], 1)
        return [*found, answers]


def _query_database() -> list[GaugeMetricFamily]:
    broken = {found.name: found for found in gate.broken()}
    whole = GaugeMetricFamily(
        "ledger_invariant_broken", "1 while this invariant is broken in this mode.", labels=["name", "mode"]
    )
    for invariant in invariants.all_invariants():
        found = broken.get(invariant.name)
        whole.add_metric([invariant.name, "live"], float(found is not None and found.live))
        whole.add_metric([invariant.name, "test"], float(found is not None and found.test))
    return [*metrics_queries.collect(), whole]


_DATABASE = _Database()
