"""Query plans of the inbox: its cost does not depend on its size."""

from __future__ import annotations

import pytest
from django.db import connection

from core import clock
from core.writes import fetch
from payments.providers.base import MoneyReceived
from payments.services import notice
from webhooks.inbound.services import store, sweeper
from webhooks.inbound.services.store import IncomingNotice
from webhooks.models import Channel, ProviderEvent, ProviderEventBody

pytestmark = pytest.mark.django_db


def plan(query: str, params: list[object] | tuple[object, ...] = ()) -> str:
    """EXPLAIN as for a large table: indexes are used wherever possible."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN (COSTS off) {query}", params)
        return "\n".join(row[0] for row in cursor.fetchall())


def explained(query: str, params: list[object]) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    return "\n".join(line for (line,) in fetch(f"EXPLAIN (COSTS off) {query}", params))


def test_storing_looks_at_one_index_and_one_partition(stp):
    notice = IncomingNotice(stp.account, Channel.STP_DEPOSITS, b"{}", clock.now())
    event = notice.event(digest=notice.digest, event_id="k", event_type="stp.deposit")

    said = explained(
        store._INSERT, [*store._event_values(event), *store._body_values(notice), stp.account.pk, event.event_id]
    )

    assert "Conflict Arbiter Indexes: provider_event_unique" in said
    assert "Seq Scan" not in said
    assert "Insert on webhooks_providereventbody" in said


@pytest.mark.parametrize(
    ("keys", "indexes"),
    [
        ({"clabe": "646180157000000004"}, {"payment_clabe_unique", "payment_clabe"}),
        ({"order_id": "ord_1"}, {"payment_order_unique"}),
        ({"order_id": "ord_1", "payment_id": "pay_1"}, {"payment_order_unique", "payments_payment_public_id_key"}),
    ],
)
def test_what_a_notice_is_about_is_found_by_indexes_alone(stp, keys, indexes):
    now = clock.now()
    about = notice.lock_query(stp.account, MoneyReceived("e", "t", "d", 1, "MXN", now, **keys))

    said = explained(store._find_or_lock_sql(about.text), [stp.account.pk, "e", *about.params])

    assert "Seq Scan" not in said
    assert [index for index in indexes if index in said]
    assert "One-Time Filter: (NOT" in said  # nothing is locked for a notice that is known


def test_what_is_due_is_found_by_its_own_index(stp):
    query, params = sweeper._open().filter(next_at__lte=clock.now()).order_by("next_at")[:50].query.sql_with_params()

    said = plan(query, params)

    assert "Index Scan using provider_event_due" in said
    assert "Sort" not in said


def test_a_body_is_read_from_the_one_partition_that_can_hold_it(stp):
    query, params = ProviderEventBody.objects.filter(event_id=1, received_at=clock.now()).query.sql_with_params()

    said = plan(query, params)

    assert said.count("webhooks_providereventbody_") == said.count(f"webhooks_providereventbody_{clock.now():%Y_%m}")
    assert "Index Scan" in said


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({"object_id": "pay_x"}, "provider_event_about"),
        ({"business_key": "T1"}, "provider_event_business"),
        ({"status": "dead"}, "provider_event_attention"),
    ],
)
def test_staff_finds_a_notice_by_an_index(stp, filters, index):
    query, params = ProviderEvent.objects.filter(**filters).order_by().query.sql_with_params()

    assert index in plan(query, params)
