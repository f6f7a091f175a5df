"""Benchmark: time to drain a backlog of stored notices: ``.venv/bin/python -m bench.backlog``.

    --events 100000      ``order.paid`` events that are stored but not applied
    --hot                all orders belong to one merchant; otherwise they are spread over --merchants 100
    --workers 1          number of ``manage.py worker`` processes

Runs on its own PostgreSQL and Redis. Orders are copied by SQL; events are stored by the inbox's own statement, as if
the web processes had crashed between storing and applying them. The time is measured from the start of the workers,
startup included, to the last settled event.
"""

from __future__ import annotations

import argparse
import sys
import time
from datetime import timedelta

from bench.server import tend
from bench.storm import Storm, storm

_BATCH = 1_000
_OPEN = "SELECT count(*) FROM webhooks_providerevent WHERE status IN ('received', 'retry')"


def store(site: Storm) -> None:
    """Store each order's event as stale, so that it is due at once."""
    from django.conf import settings
    from django.db import connections, transaction

    from core import clock
    from payments.models import ProviderAccount
    from webhooks.inbound.models import Channel
    from webhooks.inbound.services.store import IncomingNotice, insert

    account = ProviderAccount.objects.get()
    received_at = clock.now() - settings.INBOX_STALE_AFTER - timedelta(seconds=1)
    for first in range(1, site.orders + 1, _BATCH):
        with transaction.atomic():
            for number in range(first, min(first + _BATCH, site.orders + 1)):
                event_id, raw = site.paid_event(number)
                notice = IncomingNotice(account, Channel.CONEKTA_EVENTS, raw, received_at)
                event = notice.event(
                    digest=notice.digest,
                    event_id=event_id,
                    event_type="order.paid",
                    business_key=f"ord_{number:09d}",
                )
                insert(notice, event)
    for connection in connections.all():
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]
    with site.connect("postgres") as database:
        tend(database)


def drain(site: Storm, workers: int) -> float:
    """Run the workers; return the seconds until no event is open."""
    began, reported = time.monotonic(), time.monotonic()
    with site.workers(workers):
        while (left := site.one(_OPEN)) > 0:
            if time.monotonic() - reported > 5:
                reported = time.monotonic()
                sys.stderr.write(f"{reported - began:6.0f} s: {left:,} left\n")
            time.sleep(0.1)
        return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.backlog")
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--hot", action="store_true", help="all orders belong to one merchant")
    parser.add_argument("--merchants", type=int, default=100)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    with storm(orders=options.events, merchants=1 if options.hot else options.merchants) as site:
        began = time.monotonic()
        store(site)
        sys.stderr.write(f"stored {options.events:,} events in {time.monotonic() - began:.0f} s\n")
        seconds = drain(site, options.workers)
        whose = "one hot merchant" if options.hot else f"{options.merchants} merchants"
        sys.stdout.write("| backlog | workers | seconds | events/s |\n|---|---|---|---|\n")
        rate = options.events / seconds
        sys.stdout.write(f"| {options.events:,} events, {whose} | {options.workers} | {seconds:.0f} | {rate:.0f} |\n\n")
        sys.stdout.write(f"{site.audit()}\n")


if __name__ == "__main__":
    main()
