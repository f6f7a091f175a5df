"""Sequence numbers of feeds, and the horizon below which a reader misses no row.

A ``Counter`` is a database sequence that numbers the rows of one table. Numbers are committed in another order than
they are assigned, so a reader that asks for "everything after my last number" would skip rows that commit late. Each
writer therefore publishes a marker until its transaction ends:

1. the trigger reads the counter's last number L,
2. takes a shared transaction-level advisory lock whose key contains L: the marker, visible in ``pg_locks``,
3. draws its numbers, all of them above L.

The reader (SQL function ``horizon``) first reads the counter's last number G and then the markers. The horizon is one
above the lowest marker, or one above G without markers. Any number up to G was drawn before G was read, so its writer's
marker was visible by then. Either the marker still exists and the horizon lies below that number, or the transaction
has ended and a later snapshot sees its rows: PostgreSQL releases locks after the transaction has ended. A number above
G is above the horizon. Hence two rules for readers: read the rows in a later statement than the horizon, and at
isolation level READ COMMITTED.

Transactions that draw no number do not hold the horizon back, nor do other databases of the cluster. The horizon may
step back while a writer has read L but not yet taken its marker; rows never appear below a horizon that was returned
once.

The marker's key holds 31 bits of L. The trigger does not reuse a marker that is more than 2^29 numbers old.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from core.statements import fetch

LATE = 15.0
"""Lag in seconds from which a feed needs attention; a healthy one lags less than a second."""

_HOLDERS = """
    SELECT activity.pid, activity.usename, activity.application_name, prepared.gid,
        extract(epoch FROM now() - coalesce(activity.xact_start, prepared.prepared))::double precision,
        activity.state, activity.query_start, activity.query
    FROM (
        SELECT DISTINCT pid, virtualtransaction FROM pg_catalog.pg_locks
        WHERE locktype = 'advisory' AND objsubid = 2 AND classid = %s::oid AND granted
            AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
    ) marker
    LEFT JOIN pg_catalog.pg_stat_activity activity USING (pid)
    LEFT JOIN pg_catalog.pg_prepared_xacts prepared
        ON marker.pid IS NULL AND prepared.transaction::text = split_part(marker.virtualtransaction, '/', 2)
    ORDER BY 5 DESC NULLS LAST, 1
"""


@dataclass(frozen=True, slots=True)
class Holder:
    """An open transaction that holds the horizon back.

    A prepared transaction has a name in ``prepared`` and no ``pid``. For sessions of another role, ``seconds``,
    ``state``, ``query_at`` and ``query`` are None or a placeholder unless the role has ``pg_read_all_stats``.
    """

    pid: int | None
    user: str | None
    application: str | None
    prepared: str | None
    seconds: float | None
    state: str | None
    query_at: datetime | None
    query: str | None

    @property
    def end_statement(self) -> str:
        """SQL that ends the transaction and rolls it back."""
        return (
            f"SELECT pg_terminate_backend({self.pid})"
            if self.prepared is None
            else f"ROLLBACK PREPARED '{self.prepared}'"
        )

    def __str__(self) -> str:
        age = "for an unknown time" if self.seconds is None else f"for {self.seconds:.0f} s"
        if self.pid is None:
            return f"prepared transaction {self.prepared!r}, open {age}"
        began = "unknown time" if self.query_at is None else f"{self.query_at:%Y-%m-%d %H:%M:%S} UTC"
        return (
            f"pid {self.pid}, user {self.user}, application {self.application or '-'}, transaction open {age}, "
            f"{self.state or 'state unknown'}, query of {began}: {' '.join((self.query or '-').split())[:200]}"
        )


@dataclass(frozen=True, slots=True)
class Counter:
    """A sequence in schema ``public`` that numbers the rows of a feed.

    ``key`` is the first half of its markers' advisory lock key, ``column`` the numbered column of ``table``, ``moment``
    the column with a row's creation time. Each counter registers itself for ``counters``.
    """

    feed: str
    sequence: str
    key: int
    table: str
    column: str
    moment: str

    def __post_init__(self) -> None:
        _COUNTERS[self.feed] = self

    @property
    def declare(self) -> list[tuple[str, str]]:
        """The variables that a trigger with ``draw`` declares."""
        return [
            ("given", f"bigint := pg_sequence_last_value('public.{self.sequence}'::regclass)"),
            ("marker", f"bigint := nullif(current_setting('payments.{self.sequence}', true), '')::bigint"),
            ("kept", "text"),
        ]

    @property
    def draw(self) -> str:
        """PL/pgSQL of a BEFORE INSERT trigger: mark the transaction, then number ``NEW``.

        A transaction-local setting remembers the marker, so that a transaction takes one lock for all its rows. The
        setting can be forged; the lock is still taken, on a number that was already assigned.
        """
        return f"""
            IF marker IS NULL OR marker > given OR marker < given - 536870912 THEN
                marker := given;
                kept := set_config('payments.{self.sequence}', marker::text, true);
            END IF;
            IF NOT pg_try_advisory_xact_lock_shared({self.key}, (marker & 2147483647)::integer) THEN
                RAISE EXCEPTION '{self.sequence}: another session locks the marker of this transaction'
                    USING ERRCODE = 'lock_not_available', TABLE = TG_TABLE_NAME;
            END IF;
            NEW.{self.column} := nextval('public.{self.sequence}'::regclass);
        """

    @property
    def horizon_sql(self) -> str:
        """SQL of ``horizon`` for use in PL/pgSQL, where each statement has its own snapshot."""
        return f"public.horizon('public.{self.sequence}'::regclass, {self.key})"

    def horizon(self) -> int:
        """The lowest number that may still appear; all rows that will ever exist below it are committed.

        Read the rows in a later statement, at READ COMMITTED.
        """
        found = fetch("SELECT public.horizon($1::regclass, $2::integer)", [f"public.{self.sequence}", str(self.key)])
        return int(found[0][0])

    def last(self) -> int:
        """The highest number assigned; its row may not be committed yet."""
        return int(fetch("SELECT pg_sequence_last_value($1::regclass)", [f"public.{self.sequence}"])[0][0])

    def lag(self) -> float:
        """Age in seconds of the oldest committed row at or above the horizon; 0 if there is none."""
        query = f"""
            SELECT extract(epoch FROM now() - {self.moment})::double precision FROM public.{self.table}
            WHERE {self.column} >= $1 ORDER BY {self.column} LIMIT 1
        """  # noqa: S608 - constants
        found = fetch(query, [self.horizon()])
        return max(0.0, found[0][0]) if found else 0.0

    def holders(self) -> list[Holder]:
        """Open transactions that hold the horizon back, the oldest first."""
        with connection.cursor() as cursor:
            cursor.execute(_HOLDERS, [self.key])
            return [Holder(*row) for row in cursor.fetchall()]


_COUNTERS: dict[str, Counter] = {}


def counters() -> list[Counter]:
    """Every counter, in the order in which the apps declare them."""
    return list(_COUNTERS.values())


def late() -> dict[str, float]:
    """Feed -> lag in seconds, for feeds that lag ``LATE`` or more. Raises ``django.db.Error``."""
    lags = {counter.feed: counter.lag() for counter in counters()}
    return {feed: seconds for feed, seconds in lags.items() if seconds >= LATE}
