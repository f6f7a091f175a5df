"""gunicorn configuration: greenlet workers, since most of a request is waiting for PostgreSQL (docs/adr/0029).

``WEB_CONCURRENCY`` and ``WEB_CONNECTIONS`` set the size; each process has a pool of ``DATABASE_POOL_SIZE`` connections
to PostgreSQL (docs/guides/sizing.md). Migrations never run here.
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
"""gunicorn ignores proxy headers; Django's settings say which ones to trust."""
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
"""gunicorn's log lines are masked JSON like ours."""

_counters = tempfile.mkdtemp(prefix="payments-metrics-")
os.environ["PROMETHEUS_MULTIPROC_DIR"] = _counters
"""Folder of the metrics of all processes; must be set before prometheus_client is imported."""


def post_worker_init(worker: Any) -> None:
    """Run startup tasks once the application is loaded."""
    from payments_site import startup

    gc.set_threshold(10_000)  # a group of notices allocates thousands of objects
    startup.web(is_first=worker.age == 1)


def child_exit(server: Any, worker: Any) -> None:
    """Drop the gauges of a dead process; its counters stay."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:
    """Remove the metrics folder when the master exits."""
    shutil.rmtree(_counters, ignore_errors=True)
