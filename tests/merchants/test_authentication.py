"""Who is calling: an API key, as bearer token or as the user of HTTP Basic. Everything else stays outside."""

from __future__ import annotations

import base64

import pytest
from django.test import Client

from merchants.models import ApiKey, Merchant
from merchants.services import api_key
from tests.problems import assert_problem, rows

pytestmark = pytest.mark.django_db

SPEI = {"method": "spei", "amount": 100_000, "currency": "MXN"}


def call(authorization, method="get", path="/v1/payments", **options):
    headers = {"Idempotency-Key": "k-1", **({"Authorization": authorization} if authorization is not None else {})}
    return getattr(Client(raise_request_exception=False), method)(path, headers=headers, **options)


def basic(user, password="", colon=":"):
    return "Basic " + base64.b64encode(f"{user}{colon}{password}".encode()).decode()


def test_a_key_is_a_bearer_token(api):
    assert call(f"Bearer {api.secret}").status_code == 200
    assert call(f"bearer {api.secret}").status_code == 200
    assert call(f"Bearer   {api.secret}").status_code == 200


def test_a_key_is_the_user_of_basic_with_an_empty_password(api):
    assert call(basic(api.secret)).status_code == 200
    assert call(basic(api.secret, colon="")).status_code == 200


@pytest.mark.parametrize("authorization", [None, "", "Digest username=x", "Token abc", "sk_test_" + "a" * 43])
def test_without_a_credential_we_ask_for_one(db, authorization):
    answer = call(authorization)

    assert_problem(answer, 401, "authentication_required")
    assert answer["WWW-Authenticate"] == 'Bearer realm="merchant API"'


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer",
        "Bearer ",
        "Bearer sk_test_short",
        "Bearer sk_test_" + "a" * 43,
        "Bearer sk_live_" + "a" * 43,
        "Bearer sk_prod_" + "a" * 43,
        "Bearer sk_test_" + "é" * 43,
        "Bearer " + "a" * 8000,
        "Basic",
        "Basic !!!",
        "Basic é",
        basic("sk_test_" + "a" * 43),
        basic("", "sk_test_" + "a" * 43),
        "Basic " + base64.b64encode(b"\xff\xfe:").decode(),
    ],
)
def test_a_credential_that_is_no_key_of_ours_is_refused(db, authorization):
    answer = call(authorization)

    assert_problem(answer, 401, "invalid_api_key")
    assert answer["WWW-Authenticate"] == 'Bearer realm="merchant API"'


def test_one_changed_character_makes_it_another_key(api):
    other = "A" if api.secret[-1] != "A" else "B"

    assert_problem(call(f"Bearer {api.secret[:-1]}{other}"), 401, "invalid_api_key")
    assert_problem(call(f"Bearer {api.secret.replace('sk_test_', 'sk_live_')}"), 401, "invalid_api_key")
    assert_problem(call(basic(api.secret, "password")), 401, "invalid_api_key")
    assert_problem(call(f"Bearer {api.secret} x"), 401, "invalid_api_key")


def test_nothing_is_written_for_a_stranger(api, stp):
    before = rows()

    for authorization in (None, "Bearer sk_test_" + "a" * 43, basic(api.secret, "x")):
        answer = call(authorization, "post", data=SPEI, content_type="application/json")
        assert answer.status_code == 401

    assert rows() == before


def test_a_stranger_learns_nothing_of_his_faulty_body(api, stp):
    answer = call("Bearer sk_test_" + "a" * 43, "post", data=b"{", content_type="application/json")

    assert_problem(answer, 401, "invalid_api_key")


def test_a_revoked_key_is_refused_from_the_next_request_on(api, merchant):
    assert api.get("/v1/payments").status_code == 200

    api_key.revoke(ApiKey.objects.get(merchant=merchant))

    assert_problem(api.get("/v1/payments"), 401, "invalid_api_key")
    assert_problem(api.post("/v1/payments", SPEI), 401, "invalid_api_key")


def test_revoking_one_key_leaves_the_others(api, merchant, make_api):
    second = make_api(merchant)

    api_key.revoke(ApiKey.objects.get(merchant=merchant, prefix=api.secret[:16]))

    assert second.get("/v1/payments").status_code == 200


def test_a_suspended_merchant_may_neither_write_nor_read(api, stp, merchant):
    Merchant.objects.filter(pk=merchant.pk).update(status="suspended")
    before = rows()

    assert_problem(api.post("/v1/payments", SPEI), 403, "merchant_suspended")
    assert_problem(api.get("/v1/payments"), 403, "merchant_suspended")
    assert rows() == before


@pytest.mark.parametrize("method", ["get", "head"])
@pytest.mark.parametrize(
    "path", ["/v1/payments", "/v1/payments/pay_x", "/v1/balance", "/v1/events", "/v1/events/evt_x"]
)
def test_reading_needs_the_scope_to_read(merchant, make_api, method, path):
    writer = make_api(merchant, scopes=["payments:write"])

    answer = call(f"Bearer {writer.secret}", method, path)

    assert answer.status_code == 403
    assert method == "head" or answer.json()["code"] == "key_scope_insufficient"


def test_creating_needs_the_scope_to_write(merchant, make_api, stp):
    reader = make_api(merchant, scopes=["payments:read"])
    before = rows()

    assert_problem(reader.post("/v1/payments", SPEI), 403, "key_scope_insufficient")
    assert reader.get("/v1/payments").status_code == 200
    assert rows() == before


def test_a_key_without_scopes_may_nothing(merchant, make_api, stp):
    nobody = make_api(merchant, scopes=[])

    assert_problem(nobody.get("/v1/payments"), 403, "key_scope_insufficient")
    assert_problem(nobody.post("/v1/payments", SPEI), 403, "key_scope_insufficient")


def test_the_key_decides_the_mode(api, merchant, make_api):
    live = make_api(merchant, livemode=True)

    assert live.secret.startswith("sk_live_")
    assert live.get("/v1/balance").json()["livemode"] is True
    assert api.get("/v1/balance").json()["livemode"] is False


def test_the_key_itself_is_stored_nowhere(api, owner, merchant):
    key = ApiKey.objects.get(merchant=merchant)

    values = [str(getattr(key, field.attname)) for field in ApiKey._meta.concrete_fields]

    assert not any(api.secret in value for value in values)
    assert key.prefix == api.secret[:16]
    assert len(api.secret) == 51


def test_the_last_use_is_noted_at_most_once_a_minute(api, merchant, django_assert_num_queries):
    assert ApiKey.objects.get(merchant=merchant).last_used_at is None

    api.get("/v1/merchant")
    first = ApiKey.objects.get(merchant=merchant).last_used_at
    with django_assert_num_queries(1):  # the key
        api.get("/v1/merchant")

    assert first is not None
    assert ApiKey.objects.get(merchant=merchant).last_used_at == first


def test_keys_are_not_guessable_from_one_another(merchant):
    made = {api_key.create(merchant, livemode=False)[1] for _ in range(50)}

    assert len({secret[8:16] for secret in made}) == 50
    assert {len(secret) for secret in made} == {51}


def test_a_cookie_of_the_back_office_is_no_credential(api, django_user_model):
    staff = django_user_model.objects.create_superuser("ana", "ana@example.mx", "correct horse battery")
    client = Client(raise_request_exception=False)
    client.force_login(staff)

    assert_problem(client.get("/v1/payments"), 401, "authentication_required")
