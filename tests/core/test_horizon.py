"""core.horizon: only an open writer of a feed holds it back, and nothing appears below what was shown."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator

import psycopg
import pytest
from django.db import transaction

from core import horizon
from ledger.models.transaction import COUNTER as POSITIONS
from merchants.models import Event
from merchants.models.event import COUNTER as EVENTS
from merchants.services import event
from payments.models import Report
from payments.services import report
from tests import cluster
from tests.concurrency.threads import beside, soon
from tests.event_rows import write
from tests.payments.report_orders import order, pay

pytestmark = pytest.mark.usefixtures("committed_db")

SETTING = "payments.merchants_event_counter"


@pytest.fixture
def app() -> Iterator[psycopg.Connection]:
    """A session of the application's role; what a test leaves open is rolled back."""
    with psycopg.connect(cluster.url("payments_app")) as session:
        yield session
        session.rollback()


@pytest.fixture
def api(merchant, make_api):
    return make_api(merchant)


def feed(merchant) -> list[str]:
    """Which objects the feed shows, oldest event first."""
    return list(event.feed(merchant, livemode=False).order_by("sequence").values_list("object_id", flat=True))


def record(merchant, name: str) -> None:
    with transaction.atomic():
        event.record(merchant, livemode=False, type="test.event", obj={"id": name})


OPEN = {
    "a number alone": ("payments_app", cluster.DATABASE, ["SELECT pg_current_xact_id()"]),
    "a row of another table": (
        "payments_app",
        cluster.DATABASE,
        ["INSERT INTO django_session VALUES ('x', '', now())"],
    ),
    "a look at a table": ("payments_app", cluster.DATABASE, ["SELECT count(*) FROM payments_payment"]),
    "a release": (
        "payments_owner",
        cluster.DATABASE,
        ["CREATE TABLE new_table (id bigint)", "GRANT SELECT ON new_table TO payments_app"],
    ),
    "another database": ("payments_owner", "postgres", ["SELECT pg_current_xact_id()"]),
    "a marker in another database": (
        "payments_owner",
        "postgres",
        [f"SELECT pg_advisory_xact_lock_shared({counter.key}, 1)" for counter in (EVENTS, POSITIONS)],
    ),
}


@pytest.mark.parametrize("what", OPEN)
def test_a_transaction_that_writes_to_no_feed_holds_nothing_back(api, stp, merchant, what):
    role, database, statements = OPEN[what]
    with psycopg.connect(cluster.url(role, database)) as session:
        for statement in statements:
            session.execute(statement)

        began = time.monotonic()
        pay(api, stp)
        shown = [found["type"] for found in api.get("/v1/events").json()["data"]]
        lines = api.get("/v1/balance/transactions").json()["data"]
        ordered = order(api, "balance_transactions")
        report.write(ordered.pk)
        seconds = time.monotonic() - began
        session.rollback()

    assert shown == ["payment.completed", "payment.created"]
    assert len(lines) == 1
    assert Report.objects.values_list("status", "rows_done").get(pk=ordered.pk) == ("completed", 1)
    assert seconds < 20, "a report waits 30 s for what holds it back"


def test_a_transaction_that_was_numbered_early_writes_behind_what_was_shown(app, merchant):
    app.execute("SELECT pg_current_xact_id()")
    record(merchant, "shown first")
    assert feed(merchant) == ["shown first"]

    write(app, merchant, "began before")
    record(merchant, "later")

    assert feed(merchant) == ["shown first"]
    app.commit()
    assert feed(merchant) == ["shown first", "began before", "later"]


def test_a_savepoint_that_is_rolled_back_takes_its_marker_along(app, merchant):
    app.execute("SELECT 1")  # the transaction is open: what follows is a savepoint
    with app.transaction() as savepoint:
        write(app, merchant, "never")
        raise psycopg.Rollback(savepoint)
    record(merchant, "meanwhile")
    assert feed(merchant) == ["meanwhile"]

    write(app, merchant, "again")
    record(merchant, "later")

    assert feed(merchant) == ["meanwhile"]
    app.commit()
    assert feed(merchant) == ["meanwhile", "again", "later"]


@pytest.mark.parametrize("forged", ["0", "-1", "9223372036854775807", "behind by half", "behind by all"])
def test_a_forged_marker_shows_nothing_too_early(app, merchant, forged):
    record(merchant, "first")
    last = EVENTS.last()
    value = {"behind by half": last - 2**30, "behind by all": last - 2**31 - 5}.get(forged, forged)
    app.execute(f"SET {SETTING} = '{value}'")
    app.execute("SAVEPOINT here")

    write(app, merchant, "open")
    record(merchant, "later")
    app.execute(f"SET {SETTING} = '{value}'")
    write(app, merchant, "open too")

    assert feed(merchant) in (["first"], [])  # near the counter's start, 0 holds the feed back
    app.commit()
    assert feed(merchant) == ["first", "open", "later", "open too"]


def test_a_transaction_takes_one_marker_however_many_rows_it_writes(app, merchant):
    for number in range(300):
        write(app, merchant, f"o{number}")

    found = app.execute(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND pid = pg_backend_pid()",
        [EVENTS.key],
    )
    assert found.fetchone() == (1,)


def test_the_marker_lies_just_below_the_first_number_of_its_writer(app, merchant):
    record(merchant, "before")
    given = EVENTS.last()

    write(app, merchant, "open")

    (marker,) = app.execute(
        "SELECT objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND classid = %s", [EVENTS.key]
    ).fetchone()
    (drawn,) = app.execute("SELECT sequence FROM merchants_event WHERE object_id = 'open'").fetchone()
    assert (marker, drawn) == (given % 2**31, given + 1)
    assert EVENTS.horizon() == drawn


def test_another_merchants_long_list_of_writes_delays_a_feed_less_than_a_second(api, stp, merchant, other_merchant):
    over = threading.Event()

    def fill() -> None:
        with psycopg.connect(cluster.url("payments_app")) as session:
            for chunk in range(20):
                session.execute(
                    "INSERT INTO merchants_event (public_id, sequence, merchant_id, livemode, type, object_id, "
                    "object_sequence, data, created_at) SELECT 'evt_' || n, 0, %s, false, 'test.event', 'o' || n, 1, "
                    "'{}', now() FROM generate_series(%s::int, %s::int) n",
                    [other_merchant.pk, chunk * 500, chunk * 500 + 499],
                )
                session.commit()
        over.set()

    delays = []
    with beside(fill, ends=threading.Event()):
        while not over.is_set() or len(delays) < 3:
            record(merchant, f"mine {len(delays)}")
            written = time.monotonic()
            assert soon(lambda: len(feed(merchant)) == len(delays) + 1)
            delays.append(time.monotonic() - written)

    assert Event.objects.filter(merchant=other_merchant).count() == 10_000
    assert min(delays) < 1
    assert max(delays) < 10


def test_a_feed_says_how_long_it_lags_and_who_holds_it_back(merchant):
    address = cluster.url("payments_app") + "?application_name=forgotten"
    with psycopg.connect(address) as session:
        assert (EVENTS.lag(), EVENTS.holders(), horizon.late()) == (0.0, [], {})
        write(session, merchant, "open")
        record(merchant, "waits")
        session.execute("SELECT 'what it did last'")

        lag = EVENTS.lag()
        (holder,) = EVENTS.holders()

        assert 0 < lag < 60
        assert (holder.pid, holder.user, holder.application) == (session.info.backend_pid, "payments_app", "forgotten")
        assert holder.end_statement == f"SELECT pg_terminate_backend({session.info.backend_pid})"
        assert re.search(r"idle in transaction, query of 20.* UTC: SELECT 'what it did last'", str(holder))
        assert POSITIONS.holders() == []
        session.rollback()
    assert (EVENTS.lag(), EVENTS.holders()) == (0.0, [])
