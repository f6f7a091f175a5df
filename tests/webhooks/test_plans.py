"""The inbox costs the same however much is in it: the plans of its statements, and what they must not read."""

from __future__ import annotations

import json

import pytest
from django.db import connection
from psycopg.types.numeric import Int8

from core import clock
from core.writes import column_names, fetch
from webhooks.inbound.services import store, sweeper
from webhooks.models import Channel, ProviderEvent, ProviderEventBody

pytestmark = pytest.mark.django_db


def plan(query: str, params: list[object] | tuple[object, ...] = ()) -> str:
    """EXPLAIN as it would be of a large table: whatever an index can do, it does."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN (COSTS off) {query}", params)
        return "\n".join(row[0] for row in cursor.fetchall())


def test_storing_looks_at_one_index_and_one_partition(stp):
    now = clock.now()
    key = ["pev_1", Int8(stp.account.pk), False, Channel.STP_DEPOSITS, "k", "stp.deposit", "", "0" * 64, "", None, now]

    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    query = store._INSERT + column_names(ProviderEvent, "known") + store._KNOWN
    rows = fetch(f"EXPLAIN (COSTS off) {query}", [*key, now, json.dumps({}), b"{}"])
    said = "\n".join(line for (line,) in rows)

    assert "Conflict Arbiter Indexes: provider_event_unique" in said
    assert "Seq Scan" not in said
    assert "Insert on webhooks_providereventbody" in said


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
