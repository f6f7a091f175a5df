"""Invalid input of ``POST /v1/payments``: a 400 that names the field, and nothing is written."""

from __future__ import annotations

import json
from datetime import timedelta
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import clock
from core.clock import to_rfc3339
from payments.models import Payment
from tests.factories.payment import FAULTY_BODIES, SPEI, raw_post
from tests.problems import assert_problem, rows

pytestmark = pytest.mark.django_db

QUICK = settings(max_examples=120)


@pytest.mark.parametrize(("body", "code", "field"), FAULTY_BODIES)
def test_a_faulty_field_is_named_and_nothing_is_written(api, stp, body, code, field):
    before = rows()

    answer = api.post("/v1/payments", body)

    assert_problem(answer, 400, code, field)
    assert rows() == before


@pytest.mark.parametrize(
    "expiry",
    [
        "",
        "tomorrow",
        "2026-11-26",
        "18:00:00Z",
        "20991126T180000Z",
        "2099-W48-4T18:00:00Z",
        "2099-02-30T18:00:00Z",
        "2099-11-26T25:00:00Z",
        "2099-11-26T18:00:00Z ",
        "2099-11-26T18:00:00+99:00",
        "٢٠٩٩-11-26T18:00:00Z",
        "1795000000",
        1_795_000_000,
        {"at": 1},
        True,
    ],
)
def test_an_expiry_that_is_no_moment_is_refused(api, stp, expiry):
    answer = api.post("/v1/payments", {**SPEI, "expires_at": expiry})

    assert_problem(answer, 400, "invalid_request", "expires_at")


@pytest.mark.parametrize("expiry", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2099-06-30T23:59:60Z"])
def test_an_expiry_outside_of_what_can_be_computed_is_refused(api, stp, expiry):
    assert_problem(api.post("/v1/payments", {**SPEI, "expires_at": expiry}), 422, "invalid_request", "expires_at")


@pytest.mark.parametrize("separator", ["T", " ", "-", "+"])
def test_an_expiry_without_its_offset_is_refused(api, stp, separator):
    soon = clock.now() + timedelta(days=2)

    answer = api.post("/v1/payments", {**SPEI, "expires_at": soon.strftime(f"%Y-%m-%d{separator}%H:%M:%S")})

    assert_problem(answer, 400, "invalid_request", "expires_at")


@pytest.mark.parametrize("ahead", [timedelta(seconds=-1), timedelta(days=-900), timedelta(days=30, seconds=5)])
def test_an_expiry_that_is_over_or_too_far_is_refused(api, stp, ahead):
    before = rows()

    answer = api.post("/v1/payments", {**SPEI, "expires_at": to_rfc3339(clock.now() + ahead)})

    assert_problem(answer, 422, "invalid_request", "expires_at")
    assert rows() == before


def test_all_faulty_fields_are_named_at_once(api, stp):
    answer = api.post("/v1/payments", {"amount": 1.5, "currency": "USD", "customer": {"email": "x", "y": 1}, "z": 1})

    body = assert_problem(
        answer, 400, "invalid_amount", "amount", "currency", "customer.email", "customer.y", "method", "z"
    )
    assert len(body["errors"]) == 6


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"{",
        b"{'amount': 1}",
        b"amount=1",
        b'{"method": "spei",}',
        b'{"method": "spei"} {}',
        b"[]",
        b'"spei"',
        b"null",
        b"1",
        b'{"amount": NaN}',
        b'{"amount": -Infinity}',
        b'{"amount": 1, "amount": 2}',
        b'{"metadata": {"a": "1", "a": "2"}}',
        b'{"amount": 01}',
        b'{"amount": 1e999999999999999999999}',
        b'{"amount": 1e400}',
        b'{"amount": ' + b"9" * 5000 + b"}",
        b'{"description": "\\ud800"}',
        b'{"\\udfff": 1}',
        b'{"description": "a\nb"}',
        b'{"description": "caf\xe9"}',
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\0}\0",
        b"\0",
        b"[" * 60_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    ],
)
def test_a_body_that_is_not_one_json_object_is_refused(api, stp, raw):
    before = rows()

    answer = raw_post(api, raw)

    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "invalid_request"
    assert rows() == before


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [
        *[(number, 422, "invalid_request") for number in ("1e3", "1E3", "1000.0", "1.0", "125050.00")],
        *[(number, 400, "invalid_amount") for number in ("-0", "-0.0", "1e-2", "1.5", "9007199254740992.0")],
    ],
)
def test_an_amount_is_written_as_an_integer_or_refused(api, stp, number, status, code):
    """To a schema, ``1.0`` is an integer."""
    before = rows()

    answer = raw_post(api, json.dumps(SPEI).replace("125050", number).encode())

    assert_problem(answer, status, code, "amount")
    assert rows() == before


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "",
        "json",
    ],
)
def test_another_content_type_is_refused(api, stp, content_type):
    before = rows()

    answer = raw_post(api, json.dumps(SPEI).encode(), content_type)

    assert_problem(answer, 400, "invalid_request", "Content-Type")
    assert rows() == before


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_by_any_of_its_spellings_is_taken(api, stp, content_type):
    answer = raw_post(api, json.dumps(SPEI).encode(), content_type)

    assert answer.status_code == 201


def test_a_body_of_64_kib_is_taken_and_one_byte_more_is_refused(api, stp):
    full = json.dumps(SPEI).encode().ljust(64 * 1024)
    before = rows()

    refused, announced = raw_post(api, full + b" "), raw_post(api, b"{}", CONTENT_LENGTH="99999999999999999999")
    nothing_written = rows() == before
    taken = raw_post(api, full)

    for answer in (refused, announced):
        assert_problem(answer, 400, "invalid_request")
        assert "64 KiB" in answer.json()["detail"]
    assert nothing_written
    assert taken.status_code == 201


def test_oxxo_limits_do_not_bind_spei(api, stp):
    assert api.post("/v1/payments", {**SPEI, "amount": 1}, key="a").status_code == 201
    assert api.post("/v1/payments", {**SPEI, "amount": 1_000_001}, key="b").status_code == 201


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
@pytest.mark.parametrize(
    "path", ["/v1/payments", "/v1/payments/pay_x", "/v1/balance", "/v1/events", "/v1/events/evt_x"]
)
def test_a_method_that_a_path_does_not_know_is_405(api, method, path):
    answer = getattr(api.client, method)(path, headers={"Authorization": f"Bearer {api.secret}"})

    assert_problem(answer, 405, "invalid_request")
    assert "GET" in answer["Allow"]


@pytest.mark.parametrize("path", ["/v1/payments/", "/v1/payment", "/v1/payments/a/b", "/v1/%00", "/webhooks/paypal"])
def test_a_path_that_does_not_exist_is_404(api, path):
    answer = api.get(path)

    assert_problem(answer, 404, "not_found")


any_text = st.text(st.characters(), max_size=12)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | any_text
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4)
)
fields = st.sampled_from(
    ["method", "amount", "currency", "description", "external_id", "customer", "expires_at", "metadata"]
)


@QUICK
@given(changes=st.dictionaries(fields | any_text, anything, min_size=1, max_size=5))
def test_no_json_body_breaks_the_api(api, stp, changes):
    answer = raw_post(api, json.dumps({**SPEI, **changes}).encode())

    assert answer.status_code in (201, 400, 422)
    assert answer.status_code != 201 or Payment.objects.filter(public_id=answer.json()["id"]).exists()


@QUICK
@given(raw=st.binary(max_size=200) | st.binary(max_size=60).map(lambda tail: b'{"amount": 1, "description": "' + tail))
def test_no_bytes_break_the_api(api, stp, raw):
    before = rows()

    answer = raw_post(api, raw)

    assert answer.status_code == 400
    assert rows() == before


latin = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40)


@QUICK
@given(
    name=st.sampled_from(["Authorization", "Idempotency-Key", "X-Request-Id", "Accept-Language", "Accept"]), value=latin
)
def test_no_header_breaks_the_api(api, stp, name, value):
    answer = api.post("/v1/payments", SPEI, **{name: value})

    assert answer.status_code in (201, 400, 401, 406, 422)
    assert answer.status_code == 201 or answer["Content-Type"] == "application/problem+json"


@QUICK
@given(
    path=st.sampled_from(["/v1/payments", "/v1/payments/{}", "/v1/events", "/v1/events/{}", "/v1/balance", "/pay/{}"]),
    name=st.sampled_from(["limit", "cursor", "status", "method", "after_sequence", "format"]),
    value=any_text | st.binary(max_size=12).map(lambda raw: raw.decode("latin-1")),
)
def test_no_address_breaks_the_api(api, stp, path, name, value):
    text = quote(value, safe="", errors="replace")

    answer = api.get(f"{path.format(text)}?{name}={text}")

    assert answer.status_code in (200, 400, 404)
