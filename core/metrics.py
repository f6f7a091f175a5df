"""Prometheus metrics of this process. ``payments_site.metrics`` aggregates all processes and serves them.

With ``PROMETHEUS_MULTIPROC_DIR`` set (gunicorn's configuration sets it) each process writes to a file in that folder.
Labels have low cardinality: never an id, a path or a name.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]

PROCESS = CollectorRegistry()

REQUESTS = Counter(
    "http_requests", "Requests answered, by route template.", ["route", "method", "code"], registry=PROCESS
)
REQUEST_SECONDS = Histogram(
    "http_request_seconds",
    "Time from the first middleware to the response.",
    ["route", "method"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=PROCESS,
)
RATE_LIMIT_DEGRADED = Counter(
    "rate_limit_degraded",
    "Rate limit decisions taken without Redis, by limit.",
    ["limit"],
    registry=PROCESS,
)
CALLERS_ENDED = Counter(
    "callers_ended",
    "Client connections closed after a timeout, by what was awaited.",
    ["waiting_for"],
    registry=PROCESS,
)
POOL_TIMEOUTS = Counter(
    "db_pool_timeouts", "Requests that got no database connection within the pool's timeout.", registry=PROCESS
)
POOL_CONNECTIONS = Gauge(
    "db_pool_connections",
    "Connections in the web processes' pools: maximum, current and idle.",
    ["kind"],
    multiprocess_mode="livesum",
    registry=PROCESS,
)
POOL_WAITING = Gauge(
    "db_pool_waiting", "Requests waiting for a connection.", multiprocess_mode="livesum", registry=PROCESS
)
