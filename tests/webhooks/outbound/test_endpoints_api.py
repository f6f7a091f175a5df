"""The API of webhook endpoints: what is refused, secrets shown once, deletion, deliveries, other tenants."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction

from core import clock
from merchants.models import IdempotencyKey
from tests.problems import assert_problem
from tests.webhooks.outbound.merchant_side import SECRET, Receiver, endpoint, happen
from webhooks.outbound import address
from webhooks.outbound.models import Delivery, Endpoint, EndpointSecret
from webhooks.outbound.services import endpoint as endpoint_service
from webhooks.outbound.services import replay
from webhooks.outbound.services.sender import deliver_due

pytestmark = pytest.mark.usefixtures("visible", "resolved")
ADDRESS = "/v1/webhook-endpoints"
WANTED: dict[str, Any] = {"url": "https://merchant.example/webhooks", "events": ["payment.*", "payout.completed"]}


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every host name has a public address; ``refused.example`` has not."""

    def check(url: str) -> None:
        address.parse(url)
        if "refused.example" in url:
            raise address.UrlRefused("address_not_allowed", "This URL leads to a private address.")

    monkeypatch.setattr(address, "check_url", check)


def send(api: Any, method: str, path: str, body: Any = None, **headers: str) -> Any:
    given = {"Authorization": f"Bearer {api.secret}", **headers}
    return api.client.generic(method, path, body, content_type="application/json", headers=given)


def test_an_endpoint_is_made_with_a_secret_that_is_shown_once(api):
    made = api.post(ADDRESS, {**WANTED, "ordered": True, "metadata": {"a": "b"}}, key="k-1")
    again = api.post(ADDRESS, {**WANTED, "ordered": True, "metadata": {"a": "b"}}, key="k-1")

    assert (made.status_code, again.status_code) == (201, 201)
    shown = made.json()
    assert shown["secret"].startswith("whsec_")
    assert again.json() == {name: value for name, value in shown.items() if name != "secret"}
    assert again["Idempotent-Replayed"] == "true"
    assert "whsec_" not in IdempotencyKey.objects.get(key="k-1").response_body
    assert EndpointSecret.objects.get().secret == shown["secret"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM webhooks_endpointsecret")
        assert shown["secret"].encode() not in bytes(cursor.fetchone()[0])
    assert api.get(f"{ADDRESS}/{shown['id']}").json() == again.json()
    assert api.get(ADDRESS).json()["data"] == [again.json()]
    assert (shown["status"], shown["events"], shown["api_version"], shown["ordered"]) == (
        "active",
        ["payment.*", "payout.completed"],
        "2026-11-23",
        True,
    )


def test_two_endpoints_are_made_without_an_idempotency_key(api):
    made = [api.post(ADDRESS, {**WANTED, "secret": SECRET}, key=None) for _ in range(2)]

    assert [answer.status_code for answer in made] == [201, 201]
    assert {answer.json()["secret"] for answer in made} == {SECRET}
    assert Endpoint.objects.count() == 2


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"url": "https://merchant.example/" + "a" * (2049 - 25)}, "url", "max_length"),
        ({"url": "merchant.example/hook"}, "url", "invalid_url"),
        ({"url": 7}, "url", "invalid"),
        ({"events": ["payment.made"]}, "events", "invalid_choice"),
        ({"events": ["pay*"]}, "events", "invalid_choice"),
        ({"events": []}, "events", "min_length"),
        ({"events": "*"}, "events", "not_a_list"),
        ({"api_version": "2020-01-01"}, "api_version", "invalid_choice"),
        ({"secret": "whsec_short"}, "secret", "invalid"),
        ({"secret": "hunter2hunter2hunter2hunter2hunter2"}, "secret", "invalid"),
        ({"ordered": "perhaps"}, "ordered", "invalid"),
        ({"description": "a" * 201}, "description", "max_length"),
        ({"status": "active"}, "status", "unknown_field"),
        ({"merchant": "mer_1"}, "merchant", "unknown_field"),
    ],
)
def test_a_wrong_field_is_refused_by_name(api, change, field, code):
    answer = api.post(ADDRESS, {**WANTED, **change})

    found = answer.json()
    assert_problem(answer, 400, found["code"], *{error["field"] for error in found["errors"]})
    assert [(error["field"].split(".")[0], error["code"]) for error in found["errors"]] == [(field, code)]
    assert (Endpoint.objects.count(), IdempotencyKey.objects.count()) == (0, 0)


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"url": "https://refused.example"}, "url", "address_not_allowed"),
        ({"url": "ftp://merchant.example"}, "url", "not_https"),
        ({"secret": "whsec_" + "a" * 33}, "secret", "invalid"),
    ],
)
def test_a_value_that_no_schema_can_refuse_is_422(api, change, field, code):
    answer = api.post(ADDRESS, {**WANTED, **change})

    assert_problem(answer, 422, "invalid_request", field)
    assert answer.json()["errors"][0]["code"] == code
    assert (Endpoint.objects.count(), IdempotencyKey.objects.count()) == (0, 0)


def test_the_longest_url_is_taken(api):
    longest = "https://merchant.example/" + "a" * (2048 - 25)

    assert api.post(ADDRESS, {**WANTED, "url": longest}).json()["url"] == longest


def test_a_seventeenth_endpoint_is_refused_until_one_is_deleted(api, merchant, make_api):
    made = [api.post(ADDRESS, WANTED, key=None).json()["id"] for _ in range(16)]

    assert_problem(api.post(ADDRESS, WANTED), 422, "limit_exceeded")
    assert make_api(merchant, livemode=True).post(ADDRESS, WANTED, key="live").status_code == 201
    assert send(api, "DELETE", f"{ADDRESS}/{made[3]}").status_code == 204
    assert api.post(ADDRESS, WANTED, key="k-2").status_code == 201
    assert Endpoint.objects.filter(livemode=False).count() == 17


def test_a_change_moves_what_waits_and_a_disabled_endpoint_gets_nothing(api, merchant):
    made = endpoint(merchant)
    happen(merchant)
    path = f"{ADDRESS}/{made.public_id}"

    changed = send(api, "PATCH", path, '{"url": "https://new.example/hook", "description": "Shop"}')
    receiver = Receiver(lambda _: 500)
    deliver_due(receiver)
    disabled = send(api, "PATCH", path, '{"status": "disabled"}')
    happen(merchant)
    enabled = send(api, "PATCH", path, '{"status": "active"}')
    deliver_due(receiver)

    assert (changed.json()["url"], changed.json()["description"]) == ("https://new.example/hook", "Shop")
    assert [received.url for received in receiver.got] == ["https://new.example/hook"]
    assert (disabled.json()["status"], disabled.json()["disabled_reason"]) == ("disabled", "merchant")
    assert (enabled.json()["status"], enabled.json()["disabled_reason"]) == ("active", None)
    assert list(Delivery.objects.values_list("status", flat=True)) == ["cancelled"]
    assert_problem(send(api, "PATCH", path, '{"url": "https://refused.example"}'), 422, "invalid_request", "url")
    assert_problem(send(api, "PATCH", path, '{"secret": "x"}'), 400, "unknown_field", "secret")


def test_a_deleted_endpoint_cancels_what_waits_and_keeps_its_history(api, merchant):
    made = endpoint(merchant)
    happen(merchant, "payment.created", "payment.completed")
    deliver_due(Receiver(lambda received: 200 if b"payment.created" in received.body else 500))
    path = f"{ADDRESS}/{made.public_id}"

    answer = send(api, "DELETE", path)

    assert (answer.status_code, answer.content) == (204, b"")
    for method, rest in (("GET", ""), ("DELETE", ""), ("PATCH", ""), ("POST", "/test"), ("POST", "/rotate-secret")):
        assert_problem(send(api, method, path + rest, "{}" if method != "GET" else None), 404, "not_found")
    history = api.get(f"{path}/deliveries").json()["data"]
    assert [found["status"] for found in history] == ["cancelled", "delivered"]
    assert api.get(ADDRESS).json()["data"] == []
    assert EndpointSecret.objects.count() == 0


def test_deliveries_show_their_attempts_and_are_filtered(api, merchant):
    made = endpoint(merchant)
    first, second = happen(merchant, "payment.created", "payment.completed")
    deliver_due(Receiver(lambda received: 200 if b"payment.created" in received.body else "timeout"))
    path = f"{ADDRESS}/{made.public_id}/deliveries"

    found = api.get(path).json()["data"]

    assert [(one["event"], one["event_type"], one["status"]) for one in found] == [
        (second.public_id, "payment.completed", "pending"),
        (first.public_id, "payment.created", "delivered"),
    ]
    (failed,), (done,) = found[0]["attempts"], found[1]["attempts"]
    assert (failed["status_code"], failed["error"], failed["response_excerpt"]) == (None, "timeout", None)
    assert (done["status_code"], done["error"], done["duration_ms"]) == (200, None, 3)
    assert found[0]["next_attempt_at"] is not None
    assert api.get(f"/v1/deliveries/{found[1]['id']}").json() == found[1]
    assert [one["id"] for one in api.get(f"{path}?status=delivered").json()["data"]] == [found[1]["id"]]
    assert [one["id"] for one in api.get(f"{path}?event={second.public_id}").json()["data"]] == [found[0]["id"]]
    assert_problem(api.get(f"{path}?status=lost"), 400, "invalid_request", "status")
    assert_problem(api.get(f"{path}?type=payment.created"), 400, "unknown_field", "type")


@pytest.mark.parametrize("key", [None, "k-7"])
def test_rotating_testing_retrying_and_replaying_with_and_without_an_idempotency_key(api, merchant, key):
    made = endpoint(merchant)
    happen(merchant)
    deliver_due(Receiver(lambda _: 500))
    delivery = Delivery.objects.get()
    path = f"{ADDRESS}/{made.public_id}"
    since = (clock.now() - timedelta(hours=1)).isoformat()
    asked = {
        f"{path}/rotate-secret": ({}, 201),
        f"{path}/test": ({}, 202),
        f"{path}/replay": ({"since": since, "only": "all"}, 202),
        f"/v1/deliveries/{delivery.public_id}/retry": ({}, 202),
    }

    for number, (address_, (body, status)) in enumerate(asked.items()):
        answers = [api.post(address_, body, key=key and f"{key}-{number}") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [status, status], answers[0].content
        if key is not None:
            assert answers[1]["Idempotent-Replayed"] == "true"

    times = 1 if key is not None else 2
    receiver = Receiver()
    deliver_due(receiver)
    assert EndpointSecret.objects.count() == 1 + times
    assert Delivery.objects.filter(kind="test", status="delivered").count() == times
    assert Delivery.objects.filter(kind="replay", status="delivered").count() == times
    assert Delivery.objects.get(pk=delivery.pk).status == "delivered"
    assert len(receiver.got) == 2 * times + 1


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, "since"),
        ({"since": "yesterday"}, 400, "since"),
        ({"since": "2020-01-01T00:00:00Z"}, 422, "since"),
        ({"since": "2030-01-02T00:00:00Z", "until": "2030-01-01T00:00:00Z"}, 422, "until"),
        ({"since": "2030-01-02T00:00:00Z", "until": "2031-01-01T00:00:00Z", "only": "lost"}, 400, "only"),
        ({"since": "2030-01-02T00:00:00Z", "until": "2031-01-01T00:00:00Z", "dry_run": "so"}, 400, "dry_run"),
        ({"since": "2030-01-02T00:00:00Z", "until": "2031-01-01T00:00:00Z", "dry_run": 1}, 400, "dry_run"),
        (
            {"since": "2030-01-02T00:00:00Z", "until": "2031-01-01T00:00:00Z", "after_sequence": -1},
            400,
            "after_sequence",
        ),
        (
            {"since": "2030-01-02T00:00:00Z", "until": "2031-01-01T00:00:00Z", "after_sequence": "7"},
            400,
            "after_sequence",
        ),
    ],
)
def test_a_replay_of_no_period_is_refused(api, merchant, body, status, field):
    answer = api.post(f"{ADDRESS}/{endpoint(merchant).public_id}/replay", body)

    assert_problem(answer, status, "invalid_request", field)


@pytest.mark.parametrize("only", ["all", "missing"])
def test_replays_get_past_their_first_page_and_are_refused_while_too_many_wait(merchant, api, monkeypatch, only):
    monkeypatch.setattr(replay, "MOST", 2)
    monkeypatch.setattr(replay, "MOST_WAITING", 3)
    owner = endpoint(merchant)
    made = happen(merchant, *["payment.updated"] * 7)
    deliver_due(Receiver(lambda _: 200 if only == "all" else 410))
    with transaction.atomic():
        endpoint_service.update(owner.pk, {"status": "active"})
    post = partial(api.post, f"{ADDRESS}/{owner.public_id}/replay", key=None)
    body = {"since": (clock.now() - timedelta(hours=1)).isoformat(), "only": only}

    first = post(body).json()
    second = post(body | {"after_sequence": first["next_after_sequence"]}).json()
    waiting = Delivery.objects.filter(kind="replay", status="pending").order_by("id")
    assert list(waiting.values_list("event_id", flat=True)) == [one.sequence for one in made[:4]]
    after = body | {"after_sequence": second["next_after_sequence"]}
    refused = post(after)
    assert (refused.status_code, refused.json()["code"], waiting.count()) == (422, "limit_exceeded", 4)
    assert post(after | {"dry_run": True}).json()["next_after_sequence"] == made[5].sequence
    deliver_due(Receiver())
    third = post(after).json()
    last = post(body | {"after_sequence": third["next_after_sequence"]}).json()

    found = [(page["events"], page["has_more"], page["next_after_sequence"]) for page in (first, second, third, last)]
    assert found == [*((2, True, made[index].sequence) for index in (1, 3, 5)), (1, False, None)]


def test_another_merchant_neither_sees_nor_retries_nor_changes(api, merchant, other_merchant, make_api):
    made = endpoint(merchant)
    happen(merchant)
    deliver_due(Receiver(lambda _: 500))
    delivery = Delivery.objects.get()
    before = Delivery.objects.values().get()
    path = f"{ADDRESS}/{made.public_id}"

    for intruder in (make_api(other_merchant), make_api(merchant, livemode=True)):
        for method, address_ in (
            ("GET", path),
            ("PATCH", path),
            ("DELETE", path),
            ("POST", f"{path}/rotate-secret"),
            ("POST", f"{path}/test"),
            ("GET", f"{path}/deliveries"),
            ("POST", f"{path}/replay"),
            ("GET", f"/v1/deliveries/{delivery.public_id}"),
            ("POST", f"/v1/deliveries/{delivery.public_id}/retry"),
        ):
            assert_problem(send(intruder, method, address_, "{}" if method != "GET" else None), 404, "not_found")

    assert Delivery.objects.values().get() == before
    assert EndpointSecret.objects.count() == 1


def test_a_disabled_endpoint_takes_no_test_replay_or_retry(api, merchant):
    made = endpoint(merchant)
    happen(merchant)
    deliver_due(Receiver(lambda _: 410))
    path = f"{ADDRESS}/{made.public_id}"

    since = {"since": (clock.now() - timedelta(hours=1)).isoformat()}

    assert_problem(api.post(f"{path}/test", {}), 409, "illegal_transition")
    assert_problem(api.post(f"{path}/replay", since), 409, "illegal_transition")
    assert api.post(f"{path}/replay", {**since, "dry_run": True}, key="k-2").json()["events"] == 1
    retry = f"/v1/deliveries/{Delivery.objects.get().public_id}/retry"
    assert_problem(api.post(retry, {}), 409, "illegal_transition")
    with transaction.atomic():
        assert Endpoint.objects.get().status == "disabled"
