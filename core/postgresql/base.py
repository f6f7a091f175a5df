"""Django's PostgreSQL backend without repeated setup of pooled connections.

Django treats a connection from its pool like a newly opened one: it builds the connection parameters, reads the
isolation level, sets autocommit and sends ``connection_created``. The pool has already opened, configured and rolled
back the connection, so only this wrapper's own state needs a reset.

All other cases (no pool, the first connection that this wrapper takes from a pool, an error, an open transaction,
autocommit off) are left to Django.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.backends.postgresql import base
from django.db.backends.signals import connection_created


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's wrapper with a cheaper checkout from the pool; see the module."""

    _connection_pools: ClassVar[dict[str, Any]]  # Django's
    _known_pool: Any = None
    """The pool from which Django's code has already taken a connection for this wrapper."""

    def ensure_connection(self) -> None:
        if self.connection is None:
            super().ensure_connection()

    def connect(self) -> None:
        pool = self._connection_pools.get(self.alias)
        if pool is None or pool is not self._known_pool:
            super().connect()
            settings = self.settings_dict
            ordinary = settings["AUTOCOMMIT"] and "isolation_level" not in settings["OPTIONS"]
            self._known_pool = self.pool if ordinary else None
            self.connection.__dict__["_core_announced"] = True
            return
        self.in_atomic_block = self.needs_rollback = self.closed_in_transaction = self.errors_occurred = False
        self.savepoint_ids, self.atomic_blocks = [], []
        self.health_check_done = True
        self.connection = raw = pool.getconn()
        if not raw.autocommit:
            raw.autocommit = True
        self.autocommit = True
        if "_core_announced" not in raw.__dict__:
            raw.__dict__["_core_announced"] = True
            connection_created.send(sender=type(self), connection=self)
        self.run_on_commit = []

    def close_if_unusable_or_obsolete(self) -> None:
        """Return the connection to its pool; called at the end of a request."""
        raw = self.connection
        if raw is None:
            return
        if self._known_pool is None or self.in_atomic_block or self.errors_occurred or not self.autocommit:
            super().close_if_unusable_or_obsolete()
            return
        self.validate_thread_sharing()
        self.run_on_commit = []
        self.connection = None
        with self.wrap_database_errors:
            raw._pool.putconn(raw)
