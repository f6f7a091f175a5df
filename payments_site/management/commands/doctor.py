from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.management.base import BaseCommand
from django.db import Error as DatabaseError
from django.db import connection

from payments_site.checks import SPARE, Budget, allowed_connections
from payments_site.health import redis_fault, unapplied_migrations
from payments_site.models import Release


class Command(BaseCommand):
    """Looks at what an installation stands on, and says in plain words what is wrong."""

    help = "Look at environment, database, migrations, connections and Redis; exit code 1 if something is wrong."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        self._faults = 0
        for look in (self._database, self._connections, self._redis, self._checks):
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
