"""``GET /v1/idempotency-keys/{key}``: what happened to my request?"""

from __future__ import annotations

from urllib.parse import quote

import pytest

from core import clock
from payments.services import payment as payment_service
from tests.factories.idempotency import OXXO, SPEI
from tests.problems import assert_problem

pytest_plugins = ["tests.sandbox_process"]


@pytest.mark.django_db
def test_a_request_that_was_carried_out_says_what_it_made(api, stp):
    made = api.post("/v1/payments", SPEI, key="order:8")

    found = api.get("/v1/idempotency-keys/order:8").json()

    assert found.pop("id").startswith("idk_")
    assert found.pop("created_at") <= clock.to_rfc3339(clock.now())
    assert found == {
        "object": "idempotency_key",
        "livemode": False,
        "key": "order:8",
        "state": "completed",
        "method": "POST",
        "path": "/v1/payments",
        "response_status": 201,
        "resource": {"object": "payment", "id": made.json()["id"]},
    }


@pytest.mark.django_db
@pytest.mark.parametrize("sent", ['"order:8"', ' "order:8" ', "order:8"])
def test_a_key_is_found_as_it_was_sent(api, stp, sent):
    made = api.post("/v1/payments", SPEI, key=sent).json()

    for asked in (quote(sent), "order:8", quote('"order:8"')):
        assert api.get(f"/v1/idempotency-keys/{asked}").json()["resource"]["id"] == made["id"]


@pytest.mark.django_db
def test_a_request_that_was_refused_says_so_and_made_nothing(api, stp):
    api.post("/v1/payments", {**SPEI, "external_id": "8"}, key="a")
    api.post("/v1/payments", {**SPEI, "external_id": "8"}, key="b")

    found = api.get("/v1/idempotency-keys/b").json()

    assert (found["state"], found["response_status"], found["resource"]) == ("completed", 422, None)


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["never-used", "x" * 256, "with%20space", "%00", "k%2F1"])
def test_a_key_that_carried_nothing_out_is_404(api, stp, key):
    api.post("/v1/payments", {**SPEI, "amount": 0}, key="never-used")

    assert_problem(api.get(f"/v1/idempotency-keys/{key}"), 404, "not_found")


@pytest.mark.django_db
def test_the_same_key_of_another_merchant_or_mode_is_another(api, stp, merchant, other_merchant, make_api):
    api.post("/v1/payments", SPEI, key="k-1")

    for stranger in (make_api(other_merchant), make_api(merchant, livemode=True)):
        assert_problem(stranger.get("/v1/idempotency-keys/k-1"), 404, "not_found")


def test_a_creation_in_phases_is_in_progress_and_names_its_payment(committed_db, api, at_conekta, monkeypatch):
    def die(*args, **kwargs):
        raise SystemError("the process is gone")

    with monkeypatch.context() as patched:
        patched.setattr(payment_service, "attach_voucher", die)
        assert api.post("/v1/payments", OXXO, key="k-1").status_code == 500

    found = api.get("/v1/idempotency-keys/k-1").json()

    assert (found["state"], found["response_status"]) == ("in_progress", None)
    assert api.get(f"/v1/payments/{found['resource']['id']}").json()["status"] == "pending"
