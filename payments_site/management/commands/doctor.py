"""``manage.py doctor``: diagnoses database, connections, feeds and Redis."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.management.base import BaseCommand
from django.db import Error as DatabaseError
from django.db import connection

from core import horizon
from payments.services import provider_client
from payments_site.checks import SPARE, Budget, allowed_connections
from payments_site.health import redis_fault, unapplied_migrations
from payments_site.models import Release

OPEN_LONG = 600
"""Open transactions older than this many seconds are reported."""

_OPEN_LONG = r"""
    SELECT format(
        'pid %%s, user %%s, application %%s, database %%s, transaction since %%s, query since %%s, %%s: %%s',
        pid, usename, coalesce(nullif(application_name, ''), '-'), coalesce(datname, '-'), xact_start::timestamptz(0),
        query_start::timestamptz(0), coalesce(state, 'state unknown'), left(regexp_replace(query, '\s+', ' ', 'g'), 200)
    )
    FROM pg_stat_activity
    WHERE backend_type NOT IN ('autovacuum worker', 'walsender') AND coalesce(backend_xid, backend_xmin) IS NOT NULL
        AND (now() - xact_start > %s::interval
            OR xact_start IS NULL AND age(coalesce(backend_xmin, backend_xid)) > 100000)
    UNION ALL
    SELECT format('prepared transaction %%L, user %%s, database %%s, since %%s',
        gid, owner, database, prepared::timestamptz(0))
    FROM pg_prepared_xacts WHERE now() - prepared > %s::interval
    UNION ALL
    SELECT format('replication slot %%s, %%s, %%s transactions behind', slot_name,
        CASE WHEN active THEN 'active' ELSE 'inactive' END, greatest(age(xmin), age(catalog_xmin)))
    FROM pg_replication_slots WHERE greatest(age(xmin), age(catalog_xmin)) > 100000
    UNION ALL
    SELECT format('standby %%s (hot_standby_feedback), %%s transactions behind', application_name, age(backend_xmin))
    FROM pg_stat_replication WHERE age(backend_xmin) > 100000
"""
"""Without ``pg_read_all_stats`` other roles' timestamps are hidden; those sessions are judged by transaction age."""


class Command(BaseCommand):
    """Checks what an installation depends on and reports each fault."""

    help = "Check environment, database, migrations, connections and Redis; exit code 1 if something is wrong."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        self._faults = 0
        for look in (
            self._database,
            self._feeds,
            self._open_transactions,
            self._connections,
            self._redis,
            self._signing_keys,
            self._checks,
        ):
            look()
        if self._faults:
            raise SystemExit(1)

    def _say(self, is_well: bool, what: str) -> None:
        self._faults += not is_well
        self.stdout.write(f"{'ok   ' if is_well else 'WRONG'} {what}")

    def _database(self) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT current_setting('server_version'), current_user, current_setting('transaction_read_only')"
                )
                version, role, read_only = cursor.fetchone()
            missing = unapplied_migrations()
            last = None if missing else Release.objects.order_by("-id").first()
        except DatabaseError as error:
            return self._say(False, f"database: {type(error.__cause__ or error).__name__}; is DATABASE_URL right?")
        self._say(True, f"database: PostgreSQL {version} as {role}")
        if read_only == "on":
            self._say(False, "database: read-only: a standby, or default_transaction_read_only is set")
        self._say(
            not missing, f"migrations: {f'{len(missing)} not applied: run manage.py release' if missing else 'applied'}"
        )
        if last is not None:
            self._say(True, f"release: {last.version}, {last.finished_at:%Y-%m-%d %H:%M} UTC")
        return None

    def _feeds(self) -> None:
        for counter in horizon.counters():
            try:
                seconds = counter.lag()
                holders = counter.holders() if seconds >= horizon.LATE else []
            except DatabaseError:
                continue
            held = ", held back by a transaction that wrote to it" if holders else ""
            self._say(seconds < horizon.LATE, f"feed of {counter.feed}: {seconds:.0f} s behind{held}")
            for holder in holders:
                self.stdout.write(f"      {holder}")
                self.stdout.write(f"      to end it: {holder.end_statement}")

    def _open_transactions(self) -> None:
        """Report what keeps VACUUM from removing dead rows anywhere in the cluster; feeds do not wait for it."""
        try:
            with connection.cursor() as cursor:
                cursor.execute(_OPEN_LONG, [f"{OPEN_LONG} seconds"] * 2)
                found = [what for (what,) in cursor.fetchall()]
        except DatabaseError:
            return
        if not found:
            self._say(True, f"open transactions: none is older than {OPEN_LONG} s")
        for what in found:
            self._say(False, f"open for long, so VACUUM removes no dead rows: {what}")

    def _connections(self) -> None:
        budget = Budget.from_env()
        try:
            with connection.cursor() as cursor:
                allowed = allowed_connections(cursor)
        except DatabaseError:
            return
        self._say(budget.needed <= allowed - SPARE, f"connections: {budget} of {allowed}, {SPARE} of them to spare")

    def _redis(self) -> None:
        fault = redis_fault()
        if not fault:
            return self._say(True, "redis: counts")
        hint = (
            "Is REDIS_URL right?"
            if fault == "unavailable"
            else "It may be full (maxmemory), a read-only replica, or its user may not write."
        )
        meanwhile = "sign-ins are counted in PostgreSQL and requests of API keys not at all"
        return self._say(False, f"redis: {fault}; meanwhile {meanwhile}. {hint}")

    def _signing_keys(self) -> None:
        """Report whether this environment can sign calls to providers, which only one kind of process may."""
        if settings.STP_SIGNING_KEYS is None:
            return self._say(True, "signing keys: none here; only the worker's lane 'providers' needs them")
        try:
            faults = provider_client.signing_key_faults()
        except DatabaseError:
            return None
        for fault in faults:
            self._say(False, f"signing key of {fault}")
        where = "this environment can send money: give it only to the worker's lane 'providers'"
        return self._say(True, f"signing keys: {where}")

    def _checks(self) -> None:
        try:
            found = checks.run_checks(include_deployment_checks=not settings.DEBUG, databases=["default"])
        except DatabaseError:
            return
        known = {"payments_site.E006", "payments_site.W005"}
        for message in found:
            if message.id not in known and not message.is_silenced():
                self._say(not message.is_serious(), f"{message.id}: {message.msg}")
                if message.hint:
                    self.stdout.write(f"      {message.hint}")
