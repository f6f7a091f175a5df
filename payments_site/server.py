"""gunicorn's worker and logger classes: bounded waits for slow clients, and no access log."""

from __future__ import annotations

from typing import Any

from gunicorn.glogging import Logger  # type: ignore[import-untyped]
from gunicorn.workers.ggevent import GeventWorker  # type: ignore[import-untyped]

from payments_site import env
from payments_site.callers import Caller, Callers


class Worker(GeventWorker):  # type: ignore[misc, unused-ignore]
    """gunicorn's gevent worker, with each connection wrapped in a ``Caller``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        size = env.Web.from_env()
        self._callers = Callers(self.worker_connections, size.connections_per_address, size.trusted_proxies)

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        self._callers.open += 1
        self._callers.make_room()
        try:
            super().handle(listener, Caller(client, addr, self._callers), addr)
        finally:
            self._callers.open -= 1

    def handle_request(self, listener_name: Any, req: Any, sock: Caller, addr: Any) -> Any:
        sock.begin(req)
        try:
            return super().handle_request(listener_name, req, sock, addr)
        finally:
            sock.request = None


class QuietLogger(Logger):  # type: ignore[misc, unused-ignore]
    """Disables the access log; ``payments_site.middleware`` writes it.

    gunicorn would otherwise format each line because ``logconfig_dict`` is set.
    """

    access_log_enabled = False
