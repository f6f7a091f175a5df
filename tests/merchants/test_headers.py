"""What every answer of the API carries: a request id, the version, and errors in the caller's language."""

from __future__ import annotations

import json
import time

import pytest
from django.db import connection
from django.utils.translation import override

from core import errors
from core.translation import translated
from merchants.models import Merchant
from merchants.services import api_key
from payments_site.middleware import ReleaseMiddleware
from tests.factories.payment import FAULTY_BODIES, raw_post
from tests.problems import assert_problem, rows

pytestmark = pytest.mark.django_db

SPEI = {"method": "spei", "amount": 100_000, "currency": "MXN"}


@pytest.mark.parametrize("version", [None, "2026-11-23"])
def test_the_version_that_answers_is_named(api, version):
    answer = api.get("/v1/merchant", **({"API-Version": version} if version else {}))

    assert answer.status_code == 200
    assert answer["API-Version"] == "2026-11-23"


@pytest.mark.parametrize("version", ["2020-01-01", "v1", "", "2026-11-23,2026-11-23", "é", "x" * 4000])
@pytest.mark.parametrize("authorized", [True, False])
def test_an_unknown_version_is_refused_with_the_known_ones_before_anything_else(api, stp, version, authorized):
    before = rows()
    given = {"API-Version": version} | ({} if authorized else {"Authorization": "Bearer sk_test_x"})

    answer = api.post("/v1/payments", SPEI, **given)

    body = assert_problem(answer, 400, "invalid_request", "API-Version")
    assert "2026-11-23" in body["detail"]
    assert body["errors"][0]["code"] == "unknown_version"
    assert rows() == before


REFUSED = [
    ("Idempotency-Key", None, "idempotency_key_required"),
    ("Idempotency-Key", "", "idempotency_key_required"),
    ("Idempotency-Key", '""', "idempotency_key_required"),
    ("Idempotency-Key", "é", "invalid_request"),
    ("Idempotency-Key", "a,b", "invalid_request"),
    ("Idempotency-Key", "x" * 256, "invalid_request"),
    ("Idempotency-Key", "x" * 6000, "invalid_request"),
    ("API-Version", "2026-11-2", "invalid_request"),
    ("Content-Type", "", "invalid_request"),
    ("Content-Type", "*/*", "invalid_request"),
    ("Content-Type", "application/*", "invalid_request"),
    ("Content-Type", "text/json", "invalid_request"),
    ("Content-Type", "application/json, application/json", "invalid_request"),
    ("Content-Type", "application/json;" + "x" * 6000 + "=1;charset=utf-16", "invalid_request"),
    ("Content-Type", "application/json; charset=latin-1", "invalid_request"),
    ("Content-Type", "application/json; charset=utf-16", "invalid_request"),
    ("Content-Type", 'application/json; charset="windows-1252"', "invalid_request"),
    ("Content-Type", "application/json; charset=nonsense", "invalid_request"),
    ("Content-Type", "é" * 500, "invalid_request"),
    ("Content-Encoding", "gzip", "invalid_request"),
    ("Content-Encoding", "identity, br", "invalid_request"),
    ("Content-Encoding", "x" * 6000, "invalid_request"),
]


def post(api, **headers):
    """One payment; ``None`` leaves a header out."""
    given = {"Authorization": f"Bearer {api.secret}", "Idempotency-Key": "h-1"} | headers
    kind = given.pop("Content-Type", "application/json")
    kept = {name: value for name, value in given.items() if value is not None}
    return api.client.generic("POST", "/v1/payments", json.dumps(SPEI), content_type=kind, headers=kept)


@pytest.mark.parametrize(("name", "value", "code"), REFUSED)
def test_a_header_that_cannot_be_meant_is_named_as_a_field_of_the_body_is(api, stp, name, value, code):
    before = rows()

    said = {}
    for language in ("es", "en"):
        said[language] = assert_problem(post(api, **{name: value, "Accept-Language": language}), 400, code, name)

    assert said["es"]["detail"] != said["en"]["detail"]
    assert said["es"]["errors"][0]["message"] != said["en"]["errors"][0]["message"]
    assert rows() == before


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer " + "x" * 6000, "Basic " + "x" * 6000, "Basic é", "Digest a", "é", "," * 6000]
)
def test_an_unreadable_credential_is_401(api, value):
    answer = post(api, Authorization=value)

    assert answer.status_code == 401
    assert answer.json()["code"] in ("authentication_required", "invalid_api_key")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Content-Type", "application/json; charset=utf-8"),
        ("Content-Type", 'APPLICATION/JSON; charset="UTF-8"'),
        ("Content-Type", "application/json;profile=x"),
        ("Content-Encoding", "identity"),
        ("Content-Encoding", ""),
        ("Accept", "text/html"),
        ("Accept", "é" * 3000),
        ("Accept-Language", "x" * 6000),
        ("Accept-Encoding", "nonsense"),
        ("X-Request-Id", "x" * 6000),
        ("If-None-Match", "*"),
        ("Range", "bytes=0-1"),
        ("RateLimit-Limit", "1000000"),
        ("X-HTTP-Method-Override", "DELETE"),
        ("DIGEST", "x" * 6000),
        ("Cookie", "x" * 6000),
        ("X-Anything", "é" * 3000),
    ],
)
def test_what_http_lets_pass_changes_nothing(api, stp, name, value):
    answer = post(api, **{name: value})

    assert answer.status_code == 201
    assert answer["Content-Type"] == "application/json"
    assert len(answer["X-Request-Id"]) <= 64


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("abcd-1234_X", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ("short", False),
        ("with space", False),
        ("é" * 10, False),
    ],
)
def test_a_well_formed_request_id_is_the_callers_own(api, given, kept):
    answer = api.get("/v1/payments/pay_x", **{"X-Request-Id": given})

    assert (answer["X-Request-Id"] == given) == kept
    assert answer.json()["request_id"] == answer["X-Request-Id"]


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "es"),
        ("es", "es"),
        ("es-MX", "es"),
        ("es-AR,es;q=0.9", "es"),
        ("en", "en"),
        ("en-US,en;q=0.9,es;q=0.8", "en"),
        ("es;q=0.4, en;q=0.5", "en"),
        ("de, en;q=0.2", "en"),
        ("en;q=0, es;q=0.1", "es"),
        ("EN", "en"),
        ("fr", "es"),
        ("*", "es"),
        ("", "es"),
        ("x" * 5000, "es"),
        (";;;q=", "es"),
    ],
)
def test_the_language_is_what_the_caller_likes_best_of_ours(api, header, language):
    answer = api.get("/v1/payments/pay_x", **({"Accept-Language": header} if header is not None else {}))

    wanted = {"es": "Ese objeto no existe.", "en": "There is no such object."}
    body = assert_problem(answer, 404, "not_found")
    assert body["detail"] == wanted[language]
    assert body["title"] == {"es": "No encontrado", "en": "Not Found"}[language]
    assert answer["Content-Language"][:2] == language


@pytest.mark.parametrize(("body", "code", "field"), FAULTY_BODIES)
def test_every_fault_of_a_field_is_told_in_both_languages_under_one_code(api, stp, body, code, field):
    said = {}
    for language in ("es", "en"):
        answer = api.post("/v1/payments", body, **{"Accept-Language": language})
        said[language] = assert_problem(answer, 400, code, field)

    for spanish, english in zip(said["es"]["errors"], said["en"]["errors"], strict=True):
        assert spanish["code"] == english["code"]
        assert spanish["message"] != english["message"]
        assert "%(" not in spanish["message"] + english["message"]
    assert said["es"]["detail"] != said["en"]["detail"]
    assert said["es"]["title"] != said["en"]["title"]


@pytest.mark.parametrize(
    "raw",
    [b"{", b"[]", b'{"a": NaN}', b'{"a": 1, "a": 1}', b'{"a": "\\ud800"}', b"\xff", b" " * 70_000, b"[" * 60_000],
)
def test_a_body_that_cannot_be_read_is_told_so_in_both_languages(api, raw):
    answers = {}
    for language in ("es", "en"):
        answer = api.client.generic(
            "POST",
            "/v1/payments",
            raw,
            content_type="application/json",
            headers={"Authorization": f"Bearer {api.secret}", "Idempotency-Key": "k", "Accept-Language": language},
        )
        answers[language] = assert_problem(answer, 400, "invalid_request")

    assert answers["es"]["detail"] != answers["en"]["detail"]


def error_classes(base=errors.PaymentsError):
    yield base
    for error in base.__subclasses__():
        yield from error_classes(error)


@pytest.mark.parametrize("error", [e for e in error_classes() if e.__module__ == "core.errors"])
def test_every_error_speaks_both_languages(error):
    said = {}
    for language in ("es-mx", "en"):
        with override(language):
            said[language] = translated(error())

    assert said["es-mx"] != said["en"]


CONTRACT = {
    400: [
        "invalid_request",
        "unknown_field",
        "invalid_clabe",
        "invalid_amount",
        "idempotency_key_required",
        "invalid_cursor",
    ],
    401: ["authentication_required", "invalid_api_key"],
    403: ["key_scope_insufficient", "merchant_suspended", "kyc_required", "ip_not_allowed"],
    404: ["not_found"],
    409: ["idempotency_in_progress", "illegal_transition"],
    422: [
        "invalid_request",
        "idempotency_key_reused",
        "insufficient_funds",
        "limit_exceeded",
        "amount_exceeds_refundable",
        "duplicate_external_id",
    ],
    429: ["rate_limited"],
    503: ["database_unavailable", "provider_unavailable", "release_pending"],
}


def test_every_code_of_the_contract_has_its_status():
    raised = {(error.code, error.http_status) for error in error_classes() if error.__module__ == "core.errors"}
    of_fields = {("invalid_clabe", 400), ("unknown_field", 400), ("invalid_amount", 400)}
    given = {("idempotency_key_required", 400), ("invalid_cursor", 400)}

    assert {(code, status) for status, codes in CONTRACT.items() for code in codes} <= raised | of_fields | given


def test_the_refusals_that_this_room_gives_are_reachable(api, stp, merchant, other_merchant, make_api):
    api.post("/v1/payments", {**SPEI, "external_id": "1"}, key="first")
    _, elsewhere = api_key.create(merchant, livemode=False, networks=["203.0.113.1"])
    reader, suspended = make_api(merchant, scopes=["payments:read"]), make_api(other_merchant)
    Merchant.objects.filter(pk=other_merchant.pk).update(status="suspended")
    as_key = {"Authorization": f"Bearer {elsewhere}"}
    answers = [
        api.post("/v1/payments", {**SPEI, "method": "card"}),
        api.post("/v1/payments", {**SPEI, "x": 1}),
        api.post("/v1/payments", {**SPEI, "amount": 0}),
        api.post("/v1/payments", SPEI, key=None),
        api.get("/v1/payments?cursor=x"),
        api.client.get("/v1/merchant"),
        api.get("/v1/merchant", Authorization="Bearer x"),
        reader.post("/v1/payments", SPEI),
        suspended.get("/v1/merchant"),
        make_api(merchant, livemode=True).post("/v1/payments", SPEI),
        api.get("/v1/merchant", **as_key),
        api.get("/v1/payments/pay_x"),
        api.post("/v1/payments", SPEI, key="first"),
        api.post("/v1/payments", {**SPEI, "external_id": "1"}, key="second"),
    ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [
        (400, "invalid_request"),
        (400, "unknown_field"),
        (400, "invalid_amount"),
        (400, "idempotency_key_required"),
        (400, "invalid_cursor"),
        (401, "authentication_required"),
        (401, "invalid_api_key"),
        (403, "key_scope_insufficient"),
        (403, "merchant_suspended"),
        (403, "kyc_required"),
        (403, "ip_not_allowed"),
        (404, "not_found"),
        (422, "idempotency_key_reused"),
        (422, "duplicate_external_id"),
    ]


@pytest.fixture
def unreleased(monkeypatch):
    """A database that lacks a migration which this code knows."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    monkeypatch.setattr(ReleaseMiddleware, "released", False)
    monkeypatch.setattr(ReleaseMiddleware, "_asked_at", float("-inf"))
    missing = ["payments.0099_next"]
    monkeypatch.setattr("payments_site.middleware.unapplied_migrations", lambda: list(missing))
    return missing


def test_while_a_release_is_to_come_everything_is_503_and_liveness_goes_on(api, stp, unreleased):
    before = rows()
    answers = [
        api.post("/v1/payments", SPEI),
        api.get("/v1/merchant"),
        stp.post(stp.deposit("646180157000000004", 1)),
        api.client.get("/admin/login/"),
        api.client.get("/pay/pay_x"),
    ]

    for answer in answers:
        assert_problem(answer, 503, "release_pending")
        assert answer["Retry-After"] == "5"
    assert api.client.get("/healthz").status_code == 200
    assert rows() == before

    unreleased.clear()
    time.sleep(1.05)  # it is asked once a second
    assert api.get("/v1/merchant").status_code == 200
    assert ReleaseMiddleware.released


@pytest.mark.parametrize("path", ["/v1/merchant", "/v1/payments", "/webhooks/conekta"])
def test_a_host_that_is_not_ours_gets_a_problem_and_no_page(api, path):
    answer = api.client.get(path, headers={"Host": "evil.example"})

    assert_problem(answer, 400, "invalid_request")
    assert b"evil" not in answer.content


def test_ten_megabytes_are_refused_without_being_read(api, stp):
    answer = raw_post(api, b'{"description": "' + b"x" * 10_000_000 + b'"}')

    assert_problem(answer, 400, "invalid_request")
    assert "64 KiB" in answer.json()["detail"]
