"""Database queries behind /metrics; their cost does not grow with the tables.

Exact counts use partial indexes and stop at ``MOST`` rows; totals of whole tables are PostgreSQL's estimates as of the
last ANALYZE.
"""

from __future__ import annotations

from typing import Any

from django.db import connection
from prometheus_client.core import GaugeMetricFamily

from core import horizon

MOST = 10_000
"""Limit of exact counts."""


def collect() -> list[GaugeMetricFamily]:
    """Run all queries. Raises ``django.db.Error``."""
    with connection.cursor() as cursor:
        return [
            *_payments(cursor),
            *_payouts(cursor),
            *_inbox(cursor),
            *_webhooks(cursor),
            *_jobs(cursor),
            _feeds(),
            _release(cursor),
        ]


def _payments(cursor: Any) -> list[GaugeMetricFamily]:
    total = GaugeMetricFamily(
        "payments", "Payments by method and state; estimated from PostgreSQL's statistics.", labels=["method", "state"]
    )
    cursor.execute("SELECT names, items, shares, total FROM public.payments_by_method_and_state()")
    for names, values, shares, rows in cursor.fetchall():
        if values is None:
            continue
        method, state = names.index("method"), names.index("status")
        for value, share in zip(values, shares, strict=True):
            total.add_metric([value[method], value[state]], round(share * rows))
    recent = GaugeMetricFamily(
        "payments_created_last_15_minutes",
        f"Payments created in the last 15 minutes, by method and present state; the newest {MOST} at most.",
        labels=["method", "state"],
    )
    cursor.execute(
        "SELECT method, status, count(*) FROM (SELECT method, status FROM payments_payment"
        " WHERE created_at > now() - interval '15 minutes' ORDER BY created_at DESC LIMIT %s) AS newest GROUP BY 1, 2",
        [MOST],
    )
    for method, state, number in cursor.fetchall():
        recent.add_metric([method, state], number)
    return [total, recent]


def _payouts(cursor: Any) -> list[GaugeMetricFamily]:
    """Open payouts exactly, from partial indexes; all payouts by state, estimated."""
    waiting = GaugeMetricFamily(
        "payouts_open", f"Payouts that have not ended, by state; {MOST} at most.", labels=["state"]
    )
    cursor.execute(
        "SELECT status, count(*) FROM (SELECT status FROM payments_payout WHERE next_attempt_at IS NOT NULL"
        " AND status IN ('pending', 'processing') LIMIT %s) AS due GROUP BY 1"
        " UNION ALL SELECT 'pending_approval', count(*) FROM (SELECT FROM staff_approval"
        " WHERE kind = 'payments.payout' AND status = 'pending' LIMIT %s) AS asked",
        [MOST, MOST],
    )
    found = dict(cursor.fetchall())
    for status in ("pending_approval", "pending", "processing"):
        waiting.add_metric([status], found.get(status, 0))
    people = GaugeMetricFamily("payouts_for_people", f"Payouts that need a person or are delayed; {MOST} at most.")
    unknown = GaugeMetricFamily(
        "payouts_oldest_unknown_seconds",
        "Since when the outcome of the oldest payout that may have left has been unknown; 0 if there is none.",
    )
    cursor.execute(
        "SELECT count(*), coalesce(extract(epoch FROM now() - min(send_started_at)"
        " FILTER (WHERE status = 'processing' AND send_outcome = 'unknown')), 0) FROM (SELECT status, send_outcome,"
        " send_started_at FROM payments_payout WHERE needs_staff <> '' OR delayed ORDER BY id LIMIT %s) AS marked",
        [MOST],
    )
    number, seconds = cursor.fetchone()
    people.add_metric([], number)
    unknown.add_metric([], max(0.0, float(seconds)))
    return [_by_state(cursor, "payouts", "Payouts", "payments_payout"), waiting, people, unknown]


def _inbox(cursor: Any) -> list[GaugeMetricFamily]:
    """Unsettled notices exactly, from partial indexes; all notices by state, estimated."""
    age = GaugeMetricFamily("inbox_oldest_seconds", "Age of the oldest notice that is not settled; 0 if there is none.")
    waiting = GaugeMetricFamily(
        "inbox_open", f"Notices that wait or need a person, by state; {MOST} at most.", labels=["state"]
    )
    cursor.execute(
        "SELECT status, count(*), extract(epoch FROM now() - min(received_at)) FROM (SELECT status, received_at"
        " FROM webhooks_providerevent WHERE status IN ('received', 'retry') ORDER BY next_at LIMIT %s) AS due"
        " GROUP BY 1",
        [MOST],
    )
    found = {status: (number, seconds) for status, number, seconds in cursor.fetchall()}
    cursor.execute(
        "SELECT status, count(*) FROM (SELECT status FROM webhooks_providerevent WHERE status IN ('conflict', 'dead')"
        " ORDER BY status, id DESC LIMIT %s) AS kept GROUP BY 1",
        [MOST],
    )
    kept = dict(cursor.fetchall())
    for status in ("conflict", "dead"):
        waiting.add_metric([status], kept.get(status, 0))
    for status in ("received", "retry"):
        waiting.add_metric([status], found.get(status, (0, 0))[0])
    age.add_metric([], max((max(0.0, float(seconds)) for _, seconds in found.values()), default=0.0))
    return [age, waiting, _by_state(cursor, "inbox", "Notices", "webhooks_providerevent")]


def _webhooks(cursor: Any) -> list[GaugeMetricFamily]:
    """Deliveries that are due and endpoints that fail, exactly, from partial indexes."""
    endpoints = GaugeMetricFamily(
        "webhook_endpoints_unwell", "Merchants' endpoints that fail or are paused, by state.", labels=["state"]
    )
    cursor.execute(
        "SELECT status, count(*) FROM webhooks_endpoint WHERE status IN ('failing', 'paused') GROUP BY 1",
    )
    found = dict(cursor.fetchall())
    for status in ("failing", "paused"):
        endpoints.add_metric([status], found.get(status, 0))
    late = GaugeMetricFamily(
        "webhook_oldest_first_attempt_seconds",
        f"How long the oldest of {MOST} due deliveries has been waiting for its first attempt, without endpoints that "
        "are on hold.",
    )
    cursor.execute(
        "SELECT coalesce(extract(epoch FROM now() - min(next_attempt_at)), 0) FROM (SELECT d.next_attempt_at"
        " FROM webhooks_endpoint e JOIN merchants_merchant m ON m.id = e.merchant_id AND m.status = 'active',"
        " LATERAL (SELECT next_attempt_at, tries FROM webhooks_delivery WHERE endpoint_id = e.id"
        " AND status = 'pending' AND next_attempt_at <= now() ORDER BY next_attempt_at LIMIT 10) d"
        " WHERE e.status = 'active' AND coalesce(e.hold_until <= now(), true) AND d.tries = 0 LIMIT %s) AS due",
        [MOST],
    )
    late.add_metric([], max(0.0, float(cursor.fetchone()[0])))
    return [endpoints, late]


def _by_state(cursor: Any, name: str, what: str, table: str) -> GaugeMetricFamily:
    """All rows of ``table`` by state, estimated."""
    total = GaugeMetricFamily(name, f"{what} by state; estimated from PostgreSQL's statistics.", labels=["state"])
    cursor.execute(
        "SELECT most_common_vals::text::text[], most_common_freqs, reltuples FROM pg_stats"
        " JOIN pg_class ON pg_class.relname = tablename AND pg_class.relnamespace = schemaname::regnamespace"
        " WHERE schemaname = 'public' AND tablename = %s AND attname = 'status'",
        [table],
    )
    for values, shares, rows in cursor.fetchall():
        for value, share in zip(values or (), shares or (), strict=True):
            total.add_metric([value], round(share * rows))
    return total


def _jobs(cursor: Any) -> list[GaugeMetricFamily]:
    jobs = GaugeMetricFamily("jobs", f"Background jobs that wait or run; {MOST} at most.", labels=["state"])
    age = GaugeMetricFamily("jobs_oldest_seconds", "How long the oldest runnable job has been waiting.")
    cursor.execute(
        "SELECT status::text, count(*), max(extract(epoch FROM now() - coalesce(scheduled_at, now())))"
        " FROM (SELECT status, scheduled_at FROM procrastinate_jobs WHERE status IN ('todo', 'doing') LIMIT %s) AS open"
        " GROUP BY 1",
        [MOST],
    )
    found = {status: (number, seconds) for status, number, seconds in cursor.fetchall()}
    for status, name in (("todo", "waiting"), ("doing", "running")):
        jobs.add_metric([name], found.get(status, (0, 0))[0])
    cursor.execute(
        "SELECT extract(epoch FROM now() - min(at)) FROM procrastinate_events JOIN (SELECT id FROM procrastinate_jobs"
        " WHERE status = 'todo' AND coalesce(scheduled_at, now()) <= now() ORDER BY id LIMIT 1) AS first"
        " ON first.id = procrastinate_events.job_id"
    )
    age.add_metric([], max(0.0, float(cursor.fetchone()[0] or 0)))
    return [jobs, age]


def _feeds() -> GaugeMetricFamily:
    lag = GaugeMetricFamily(
        "feed_lag_seconds",
        "How long the oldest committed row has been hidden from readers; 0 if there is none.",
        labels=["feed"],
    )
    for counter in horizon.counters():
        lag.add_metric([counter.feed], counter.lag())
    return lag


def _release(cursor: Any) -> GaugeMetricFamily:
    info = GaugeMetricFamily("build_info", "Always 1: the release that the schema belongs to.", labels=["version"])
    cursor.execute("SELECT version FROM payments_site_release ORDER BY id DESC LIMIT 1")
    for (version,) in cursor.fetchall():
        info.add_metric([version], 1)
    return info
