"""What happens in this process, counted. ``payments_site.metrics`` adds the processes up and shows them.

With ``PROMETHEUS_MULTIPROC_DIR`` set (gunicorn's configuration does it) each process counts in a file of that folder.
Labels have few values: never an id, a path or a name.
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
    "Time from the first middleware to the answer.",
    ["route", "method"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=PROCESS,
)
RATE_LIMIT_DEGRADED = Counter(
    "rate_limit_degraded",
    "Decisions about a limit that were taken without Redis, by what is limited.",
    ["limit"],
    registry=PROCESS,
)
CALLERS_ENDED = Counter(
    "callers_ended",
    "Connections that were ended because they kept us waiting, by what we waited for.",
    ["waiting_for"],
    registry=PROCESS,
)
POOL_TIMEOUTS = Counter(
    "db_pool_timeouts", "Requests that got no database connection within the pool's timeout.", registry=PROCESS
)
POOL_CONNECTIONS = Gauge(
    "db_pool_connections",
    "Connections of the web processes' pools: how many there may be, are, and are free.",
    ["kind"],
    multiprocess_mode="livesum",
    registry=PROCESS,
)
POOL_WAITING = Gauge(
    "db_pool_waiting", "Requests that wait for a connection now.", multiprocess_mode="livesum", registry=PROCESS
)
