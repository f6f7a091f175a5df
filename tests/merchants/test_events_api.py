"""``GET /v1/events``: the feed from which a merchant fetches what it missed."""

from __future__ import annotations

import itertools

import psycopg
import pytest

from core import ids
from merchants.models import Event
from payments.models import Payment
from tests import cluster
from tests.event_rows import write
from tests.problems import assert_problem

pytestmark = pytest.mark.usefixtures("committed_db")

SPEI = {"method": "spei", "amount": 100_000, "currency": "MXN"}


def shown(api, query=""):
    """The feed's events."""
    answer = api.get(f"/v1/events{query}")
    assert answer.status_code == 200, answer.content
    return answer.json()["data"]


def pay(api, stp):
    created = api.post("/v1/payments", SPEI, key=f"e-{Payment.objects.count()}").json()
    assert stp.post(stp.deposit(created["spei"]["clabe"], 100_000, claveRastreo=created["id"])).status_code == 200
    return created["id"]


def test_an_event_has_every_field_of_the_contract_and_nothing_else(api, stp):
    created = api.post("/v1/payments", SPEI).json()

    (event,) = shown(api)

    record = Event.objects.get()
    assert event.pop("created_at").endswith("Z")
    assert ids.is_id(event["id"], "event")
    assert event == {
        "id": record.public_id,
        "object": "event",
        "livemode": False,
        "type": "payment.created",
        "sequence": record.sequence,
        "object_sequence": 1,
        "data": {"object": created, "previous": {}},
    }


def test_an_event_tells_what_changed(api, stp):
    paid = pay(api, stp)

    completed, created = shown(api)

    assert (completed["type"], completed["object_sequence"]) == ("payment.completed", 2)
    assert completed["data"]["previous"] == {"status": "pending"}
    assert completed["data"]["object"] == api.get(f"/v1/payments/{paid}").json()
    assert completed["sequence"] > created["sequence"]


def test_an_event_is_read_by_its_id_as_it_is_listed(api, stp):
    api.post("/v1/payments", SPEI)
    (event,) = shown(api)

    answer = api.get(f"/v1/events/{event['id']}")

    assert (answer.status_code, answer.json()) == (200, event)


def test_an_event_that_is_nobodys_is_404(api):
    for public_id in ("1", "evt_", "%00", ids.new_id("event"), "a" * 3000):
        assert_problem(api.get(f"/v1/events/{public_id}"), 404, "not_found")


def test_the_newest_come_first_and_after_a_sequence_the_oldest(api, stp):
    for _ in range(3):
        pay(api, stp)
    newest = shown(api)

    assert [e["sequence"] for e in newest] == sorted((e["sequence"] for e in newest), reverse=True)
    assert shown(api, "?after_sequence=0") == newest[::-1]
    assert shown(api, f"?after_sequence={newest[3]['sequence']}") == newest[2::-1]
    assert shown(api, f"?after_sequence={newest[0]['sequence']}") == []


def test_pages_of_any_size_in_either_direction_show_everything_once(api, stp):
    for _ in range(3):
        pay(api, stp)
    newest = shown(api)

    for limit, direction in itertools.product((1, 2, 4), ("", "&after_sequence=0")):
        expected = newest[::-1] if direction else newest
        seen, cursor = [], ""
        while True:
            page = api.get(f"/v1/events?limit={limit}{direction}{cursor}").json()
            seen += page["data"]
            if not page["has_more"]:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert seen == expected


def test_an_object_counts_its_events_without_gaps(api, stp):
    paid = [pay(api, stp) for _ in range(3)]
    events = shown(api)

    for public_id in paid:
        assert [e["object_sequence"] for e in events if e["data"]["object"]["id"] == public_id] == [2, 1]


def test_a_sequence_or_limit_that_is_none_is_refused(api):
    for after in ("", "-1", "x", "1.5", "%D9%A1", "9" * 19, "%00"):
        assert_problem(api.get(f"/v1/events?after_sequence={after}"), 400, "invalid_request", "after_sequence")
    for limit in ("0", "101", "abc"):
        assert_problem(api.get(f"/v1/events?limit={limit}"), 400, "invalid_request", "limit")


@pytest.mark.parametrize("name", ["after", "type", "status", "livemode", "After_Sequence"])
def test_an_unknown_filter_is_refused(api, name):
    assert_problem(api.get(f"/v1/events?{name}=1&limit=5&after_sequence=0"), 400, "unknown_field", name)


def test_a_foreign_cursor_is_refused(api, stp, other_merchant, make_api):
    others = make_api(other_merchant)
    others.post("/v1/payments", SPEI)
    others.post("/v1/payments", SPEI, key="k-2")
    shown(others)
    cursor = others.get("/v1/events?limit=1").json()["next_cursor"]

    assert cursor
    assert_problem(api.get(f"/v1/events?cursor={cursor}"), 422, "invalid_request", "cursor")
    assert_problem(api.get("/v1/events?cursor=x"), 400, "invalid_cursor", "cursor")


def test_no_event_is_shown_while_an_earlier_one_may_still_appear(api, stp, merchant):
    with psycopg.connect(cluster.url("payments_app")) as unfinished:
        write(unfinished, merchant, "earlier")

        api.post("/v1/payments", SPEI)
        held_back = shown(api)
        (event,) = Event.objects.all()
        by_id = api.get(f"/v1/events/{event.public_id}")
        unfinished.rollback()

    assert held_back == []
    assert by_id.status_code == 404
    assert [e["id"] for e in shown(api)] == [event.public_id]


def test_the_feed_holds_one_merchants_events_in_one_mode(api, stp, merchant, other_merchant, make_api):
    others, live = make_api(other_merchant), make_api(merchant, livemode=True)
    mine = api.post("/v1/payments", SPEI).json()["id"]
    theirs = others.post("/v1/payments", SPEI).json()["id"]

    assert [e["data"]["object"]["id"] for e in shown(api)] == [mine]
    assert [e["data"]["object"]["id"] for e in shown(others)] == [theirs]
    assert shown(live) == []
