"""One merchant never sees nor touches what is another's: every route of the schema, with every kind of caller."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from django.test import Client

from core import ids
from merchants.models import ApiKey, Event, Merchant
from merchants.services import api_key
from payments.models import Payment
from tests.problems import rows

pytestmark = pytest.mark.usefixtures("committed_db")

SPEI = {"method": "spei", "amount": 100_000, "currency": "MXN"}
VERBS = ("get", "post", "put", "patch", "delete")
BODIES = {("post", "/v1/payments"): SPEI}
"""A valid body for every operation that takes one: a new operation needs a line here."""


def operations() -> list[tuple[str, str]]:
    """(verb, path) of everything that the schema offers to merchants."""
    paths = Client().get("/v1/openapi.json").json()["paths"]
    return [
        (verb, path)
        for path, item in paths.items()
        for verb, operation in item.items()
        if verb in VERBS and operation["tags"] != ["provider webhooks"]
    ]


@pytest.fixture
def victim(api, stp) -> dict[str, Any]:
    """Another merchant's objects, by the name of the path parameter that would name them."""
    created = api.post("/v1/payments", {**SPEI, "external_id": "secret-order", "customer": {"name": "Ana"}}).json()
    assert stp.post(stp.deposit(created["spei"]["clabe"], 100_000)).status_code == 200
    event = Event.objects.order_by("sequence").last()
    end = time.monotonic() + 20
    while api.get(f"/v1/events/{event.public_id}").status_code != 200 and time.monotonic() < end:
        time.sleep(0.05)
    return {"payment_id": created["id"], "event_id": event.public_id}


def call(verb: str, path: str, secret: str | None, *, key: str = "tenancy") -> Any:
    headers = {"Idempotency-Key": key} | ({"Authorization": f"Bearer {secret}"} if secret else {})
    body = BODIES.get((verb, path))
    options = {"data": body, "content_type": "application/json"} if body is not None else {}
    return getattr(Client(raise_request_exception=False), verb)(path, headers=headers, **options)


def traces(victim: dict[str, Any]) -> list[bytes]:
    """What must not be in any answer to somebody else."""
    payment = Payment.objects.get(public_id=victim["payment_id"])
    known = [*victim.values(), payment.clabe, "secret-order", payment.tracking_key, payment.merchant.public_id]
    return [text.encode() for text in known]


def test_the_schema_names_the_routes_that_exist():
    assert sorted(operations()) == [
        ("get", "/v1/balance"),
        ("get", "/v1/events"),
        ("get", "/v1/events/{event_id}"),
        ("get", "/v1/payments"),
        ("get", "/v1/payments/{payment_id}"),
        ("post", "/v1/payments"),
    ]


def test_every_operation_that_takes_a_body_has_one_here():
    assert {(verb, path) for verb, path in operations() if verb in ("post", "put", "patch")} == set(BODIES)


def test_the_owner_reads_every_object_by_its_id(api, victim):
    for verb, path in operations():
        if "{" in path:
            assert call(verb, path.format(**victim), api.secret).status_code == 200, path


@pytest.mark.promise("P10", "every operation of the schema with another merchant's ids", unit="kinds of caller")
@pytest.mark.parametrize("reader", ["another merchant", "the other mode"])
def test_nobody_elses_object_can_be_reached_in_any_way(victim, merchant, other_merchant, make_api, reader):
    intruder = make_api(other_merchant) if reader == "another merchant" else make_api(merchant, livemode=True)
    secrets, before = traces(victim), rows()
    tried = 0

    for verb, path in operations():
        for verb_tried in (verb, "head", "options", "post", "put", "patch", "delete") if "{" in path else ():
            answer = call(verb_tried, path.format(**victim), intruder.secret)
            tried += 1
            if verb_tried == verb:
                assert answer.status_code == 404, path
                assert answer.json()["code"] == "not_found"
                unknown = call(
                    verb, path.format(payment_id=ids.new_id("payment"), event_id=ids.new_id("event")), intruder.secret
                )
                assert set(unknown.json()) == set(answer.json())
                assert unknown.json()["detail"] == answer.json()["detail"]
            assert (
                answer.status_code in (200, 404, 405) if verb_tried == "options" else answer.status_code in (404, 405)
            )
            body = answer.content.replace(answer.wsgi_request.path.encode(), b"")
            assert not any(secret in body for secret in secrets), (verb_tried, path)

    assert tried == 14
    assert rows() == before


def test_lists_and_balances_are_free_of_other_merchants(victim, other_merchant, make_api):
    intruder, secrets = make_api(other_merchant), traces(victim)
    queries = ["", "?limit=100", "?status=completed", "?method=spei", "?after_sequence=0"]
    filters = {"/v1/payments": {"?status=completed", "?method=spei"}, "/v1/events": {"?after_sequence=0"}}

    for verb, path in operations():
        if verb == "get" and "{" not in path:
            for query in queries:
                answer = call("get", path + query, intruder.secret)
                assert not any(secret in answer.content for secret in secrets)
                if path in filters and query not in {"", "?limit=100", *filters[path]}:  # it has no such filter
                    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_field"), (path, query)
                    continue
                assert answer.status_code == 200, (path, query, answer.content)
                assert answer.json().get("data", []) == []

    assert json.loads(call("get", "/v1/balance", intruder.secret).content)["available"] == 0


def test_another_merchants_idempotency_key_and_external_id_are_not_noticed(victim, other_merchant, make_api):
    intruder = make_api(other_merchant)
    before = Payment.objects.count()

    answer = intruder.post("/v1/payments", {**SPEI, "external_id": "secret-order"}, key="k-1")  # the victim's own key

    assert answer.status_code == 201
    assert "Idempotent-Replayed" not in answer
    assert answer.json()["id"] != victim["payment_id"]
    assert Payment.objects.count() == before + 1


def test_a_merchant_cannot_name_another_as_its_own(victim, merchant, other_merchant, make_api):
    intruder = make_api(other_merchant)
    before = rows()

    for field in ("merchant", "merchant_id", "livemode", "status", "id", "clabe", "fee"):
        answer = intruder.post("/v1/payments", {**SPEI, field: merchant.public_id}, key=f"as-{field}")
        assert (answer.status_code, answer.json()["code"]) == (400, "unknown_field")
    for query in (f"?merchant={merchant.public_id}", f"?merchant_id={merchant.pk}", "?livemode=true"):
        refused = intruder.get(f"/v1/payments{query}")
        assert (refused.status_code, refused.json()["code"]) == (400, "unknown_field")

    assert rows() == before


def strangers(merchant, other_merchant) -> dict[str, tuple[str | None, int, str]]:
    """Callers that must not get in anywhere: credential, status, code."""
    revoked, revoked_secret = api_key.create(merchant, livemode=False)
    api_key.revoke(revoked)
    _, suspended_secret = api_key.create(other_merchant, livemode=False)
    Merchant.objects.filter(pk=other_merchant.pk).update(status="suspended")
    _, powerless_secret = api_key.create(merchant, livemode=False, scopes=[])
    return {
        "nobody": (None, 401, "authentication_required"),
        "an unknown key": ("sk_test_" + "a" * 43, 401, "invalid_api_key"),
        "a revoked key": (revoked_secret, 401, "invalid_api_key"),
        "a suspended merchant": (suspended_secret, 403, "merchant_suspended"),
        "a key without scopes": (powerless_secret, 403, "key_scope_insufficient"),
    }


@pytest.mark.promise("P11", "every operation of the schema without a valid key", unit="rounds over all routes")
def test_no_route_lets_a_stranger_in(victim, merchant, other_merchant):
    callers, secrets = strangers(merchant, other_merchant), traces(victim)
    before = rows()
    tried = 0

    for verb, path in operations():
        for name, (secret, status, code) in callers.items():
            answer = call(verb, path.format(**victim) if "{" in path else path, secret)
            tried += 1
            assert (answer.status_code, answer.json()["code"]) == (status, code), (name, verb, path)
            body = answer.content.replace(answer.wsgi_request.path.encode(), b"")
            assert not any(found in body for found in secrets)

    assert tried == 5 * len(operations())
    assert rows() == before


@pytest.mark.promise("P11", "a revoked key, on every route", unit="rounds over all routes")
def test_revoking_a_key_closes_every_route_at_once(api, victim, merchant):
    key = ApiKey.objects.get(merchant=merchant)
    for verb, path in operations():
        assert call(verb, path.format(**victim), api.secret).status_code < 400, path

    api_key.revoke(key)

    for verb, path in operations():
        assert call(verb, path.format(**victim), api.secret, key="after").status_code == 401, path
