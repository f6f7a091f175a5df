"""gunicorn: greenlets, because SPEI and OXXO wait for PostgreSQL, and a thread for each wait is dear (docs/adr/0029).

``WEB_CONCURRENCY`` and ``WEB_CONNECTIONS`` set the size; each process has ``DATABASE_POOL_SIZE`` connections to
PostgreSQL (docs/guides/sizing.md). Migrations never run here.
"""

import gc
import os
import shutil
import tempfile
from typing import Any

from payments_site import env

_size = env.Web.from_env()

bind = _size.bind
workers = _size.workers
worker_connections = _size.connections
worker_class = "payments_site.server.Worker"
logger_class = "payments_site.server.QuietLogger"
timeout = 30
graceful_timeout = 20
keepalive = 5
max_requests = 0
forwarded_allow_ips = "*"
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""
"""gunicorn believes no header of a proxy, whoever sends it; Django's settings say which to believe."""
accesslog = None
control_socket_disable = True
logconfig_dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "payments_site.logging.JsonFormatter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"level": "INFO", "handlers": ["console"]},
    "loggers": {"gunicorn.error": {"level": "INFO", "handlers": ["console"], "propagate": False}},
}
"""gunicorn's own lines as JSON and masked, like ours."""

_counters = tempfile.mkdtemp(prefix="payments-metrics-")
os.environ["PROMETHEUS_MULTIPROC_DIR"] = _counters
"""Where every process counts its requests; prometheus_client reads this when it is imported, so not before here."""


def post_worker_init(worker: Any) -> None:
    """The application is loaded and about to serve."""
    from payments_site import startup

    gc.set_threshold(10_000)  # a group of notices alone makes some thousands of objects
    startup.web(is_first=worker.age == 1)


def child_exit(server: Any, worker: Any) -> None:
    """Its counters stay, its gauges go."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:
    """Nobody asks any more."""
    shutil.rmtree(_counters, ignore_errors=True)
