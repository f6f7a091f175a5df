"""What went wrong with idempotency elsewhere, each as a test that it cannot happen here."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
import time_machine

from core import clock
from core.unit_of_work import unit_of_work
from kyc.services import case as kyc_case
from kyc.services import document
from merchants.models import ApiKey, IdempotencyKey, Merchant
from merchants.services import api_key, idempotency_key
from merchants.services.idempotency_key import KeyedRequest
from payments.models import Payment, ProviderAccount
from tests.factories.idempotency import SPEI, assert_replays, raw_post
from tests.problems import assert_problem

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda merchant, key: api_key.revoke(key), "invalid_api_key"),
        (lambda merchant, key: ApiKey.objects.update(expires_at=clock.now()), "invalid_api_key"),
        (lambda merchant, key: api_key.restrict(key, networks=["203.0.113.0/24"]), "ip_not_allowed"),
        (lambda merchant, key: Merchant.objects.update(status="suspended"), "merchant_suspended"),
    ],
)
def test_adyen_a_key_that_lost_its_rights_hears_no_stored_answer(api, stp, merchant, change, code):
    first = api.post("/v1/payments", SPEI)

    change(merchant, ApiKey.objects.get())
    answer = api.post("/v1/payments", SPEI)

    assert answer.json()["code"] == code
    assert first.json()["id"].encode() not in answer.content


def test_adyen_another_key_of_the_merchant_without_the_right_hears_no_stored_answer(api, stp, merchant, make_api):
    first = api.post("/v1/payments", SPEI)

    answer = make_api(merchant, scopes=["payments:read"]).post("/v1/payments", SPEI)

    assert_problem(answer, 403, "key_scope_insufficient")
    assert first.json()["id"].encode() not in answer.content


def test_pretix_a_refusal_for_want_of_a_right_is_not_replayed_once_the_right_is_there(
    stp, merchant, make_api, staff_origin
):
    live = make_api(merchant, livemode=True)
    refused = live.post("/v1/payments", SPEI)

    case = kyc_case.open_case(merchant, origin=staff_origin)
    document.add(
        case.pk, document_type="official_id", name="a.pdf", content=io.BytesIO(b"%PDF-1.4\n%%EOF\n"), uploaded_by="ana"
    )
    kyc_case.submit(case.pk, origin=staff_origin)
    kyc_case.approve(case.pk, reason="Verified.", origin=staff_origin)
    ProviderAccount.objects.create(provider="stp", livemode=True, name="E", clabe_prefix="6461801571", clabe_sequence=2)
    answer = live.post("/v1/payments", SPEI)

    assert_problem(refused, 403, "kyc_required")
    assert answer.status_code == 201
    assert "Idempotent-Replayed" not in answer


def test_modern_treasury_a_key_used_on_another_route_is_refused(api, stp, merchant):
    other = KeyedRequest(merchant, False, "k-1", "POST", "/v1/payouts", "0" * 64, {"amount": "x"})
    with unit_of_work() as writes:
        idempotency_key.claim(writes, other, "po_x", status=201, answer="{}")

    assert_problem(api.post("/v1/payments", SPEI), 422, "idempotency_key_reused")
    assert Payment.objects.count() == 0


def test_formance_a_conflict_of_keys_is_never_a_server_fault(api, stp):
    api.post("/v1/payments", SPEI)

    for body in ({**SPEI, "amount": 1}, {**SPEI, "metadata": {"a": "ñ\u2028"}}, {**SPEI, "customer": None}):
        assert api.post("/v1/payments", body).status_code == 422


def test_fields_in_another_order_and_layout_are_the_same_request_and_other_types_are_not(api, stp):
    first = raw_post(api, b'{"method":"spei","amount":1,"currency":"MXN","external_id":"8"}')

    assert_replays(raw_post(api, b'{"external_id":"8",\n"currency":"MXN","amount":1,"method":"spei"}'), first)
    assert_problem(
        raw_post(api, b'{"method":"spei","amount":1,"currency":"MXN","external_id":null}'),
        422,
        "idempotency_key_reused",
        "external_id",
    )


def test_after_the_key_is_forgotten_the_external_id_still_stops_a_second_payment(api, stp, merchant):
    body = {**SPEI, "external_id": "order-8"}
    with time_machine.travel(clock.now() - timedelta(days=32), tick=False):
        long_ago = api.post("/v1/payments", body)
    recent = api.post("/v1/payments", SPEI, key="recent")

    assert idempotency_key.forget_old() == 1

    assert long_ago.status_code == recent.status_code == 201
    assert list(IdempotencyKey.objects.values_list("key", flat=True)) == ["recent"]
    assert_problem(api.post("/v1/payments", body), 422, "duplicate_external_id")
    assert Payment.objects.count() == 2


def test_a_key_of_thirty_days_is_not_forgotten_yet(api, stp):
    with time_machine.travel(clock.now() - timedelta(days=30, hours=-1), tick=False):
        first = api.post("/v1/payments", SPEI)

    assert idempotency_key.forget_old() == 0

    assert_replays(api.post("/v1/payments", SPEI), first)


def test_keys_are_forgotten_in_batches(api, stp, monkeypatch):
    monkeypatch.setattr(idempotency_key, "_BATCH", 2)
    with time_machine.travel(clock.now() - timedelta(days=40), tick=False):
        for number in range(5):
            assert api.post("/v1/payments", SPEI, key=f"old-{number}").status_code == 201
    api.post("/v1/payments", SPEI, key="new")

    assert idempotency_key.forget_old() == 5
    assert idempotency_key.forget_old() == 0
    assert IdempotencyKey.objects.get().key == "new"


def test_square_a_key_is_asked_for_per_intention_and_never_per_request(api, stp, client):
    paths = client.get("/v1/openapi.json").json()["paths"]
    said = [
        parameter["description"]
        for path in paths.values()
        for operation in path.values()
        for parameter in operation.get("parameters", ())
        if parameter.get("name") == "Idempotency-Key"
    ]
    said.append(api.post("/v1/payments", SPEI, key=None, **{"Accept-Language": "en"}).json()["detail"])

    assert len(said) >= 4
    assert [text for text in said if "for each" not in text or "retry" not in text] == []
