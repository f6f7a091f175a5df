"""``POST /v1/payments`` with valid requests."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core import clock, ids
from core.mx import clabe
from kyc.services import case as kyc_case
from merchants.models import Event, IdempotencyKey
from payments.models import Payment, ProviderAccount
from payments.services import clabe_number
from tests.factories.payment import approve
from tests.problems import assert_problem, rows

pytestmark = pytest.mark.django_db

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z")
SPEI = {"method": "spei", "amount": 125_050, "currency": "MXN"}


def moment(text: str) -> datetime:
    assert MOMENT.match(text), text
    return datetime.fromisoformat(text)


def live_stp() -> ProviderAccount:
    return ProviderAccount.objects.create(
        provider="stp",
        livemode=True,
        name="EMPRESA",
        webhook_username="stp-live",
        webhook_secret_sha256="ab" * 32,
        clabe_prefix="6461801571",
        clabe_sequence=2,
    )


def test_a_spei_payment_answers_every_field_of_the_contract_and_nothing_else(api, stp):
    before = clock.now()

    answer = api.post("/v1/payments", SPEI)

    assert answer.status_code == 201
    assert answer["Content-Type"] == "application/json"
    body = answer.json()
    created, expires = moment(body.pop("created_at")), moment(body.pop("expires_at"))
    payment = Payment.objects.get()
    assert body == {
        "id": payment.public_id,
        "object": "payment",
        "livemode": False,
        "status": "pending",
        "method": "spei",
        "amount": 125_050,
        "currency": "MXN",
        "amount_received": 0,
        "amount_refunded": 0,
        "amount_refundable": 0,
        "fee": 0,
        "fee_tax": 0,
        "net": 0,
        "description": None,
        "external_id": None,
        "clabe_id": None,
        "customer": None,
        "provider": "stp",
        "provider_reference": payment.clabe,
        "failure": None,
        "completed_at": None,
        "payment_page_url": f"http://testserver/pay/{payment.public_id}",
        "metadata": {},
        "spei": {
            "clabe": payment.clabe,
            "bank_name": "STP",
            "beneficiary_name": "Café Luna",
            "reference_number": payment.reference_number,
            "tracking_key": None,
            "payer": None,
            "operating_date": None,
            "cep_url": None,
        },
    }
    assert ids.is_id(body["id"], "payment")
    assert before <= created <= clock.now()
    assert timedelta(days=3) - timedelta(seconds=1) < expires - created < timedelta(days=3, seconds=1)
    assert clabe.is_valid(payment.clabe)
    assert payment.clabe.startswith("6461801570")
    assert re.fullmatch(r"[0-9]{7}", payment.reference_number)


def test_what_the_merchant_sends_comes_back_as_sent(api, stp):
    sent = {
        **SPEI,
        "amount": 9_007_199_254_740_991,
        "description": "Pedido 8 <b>ñandú</b> & 🌮 %s {}",
        "external_id": "order/8",
        "customer": {"name": "Ana Núñez", "email": "ana@example.mx", "phone": "+52 55 5555 5555"},
        "metadata": {"k" * 40: "v" * 500, "ключ": "", **{f"n{i}": str(i) for i in range(48)}},
    }

    body = api.post("/v1/payments", sent).json()

    assert {name: body[name] for name in sent} == sent
    assert api.get(f"/v1/payments/{body['id']}").json() == body


def test_customer_fields_that_were_not_sent_are_null(api, stp):
    body = api.post("/v1/payments", {**SPEI, "customer": {"email": "ana@example.mx"}}).json()

    assert body["customer"] == {"name": None, "email": "ana@example.mx", "phone": None}


@pytest.mark.parametrize("empty", [{"customer": {}}, {"customer": None}, {"description": ""}, {"external_id": None}])
def test_empty_options_count_as_absent(api, stp, empty):
    answer = api.post("/v1/payments", {**SPEI, **empty})

    assert answer.status_code == 201
    assert answer.json()[next(iter(empty))] is None


@pytest.mark.parametrize(
    ("written", "offset"),
    [("%Y-%m-%dT%H:%M:%SZ", 0), ("%Y-%m-%dT%H:%M:%S.25z", 0), ("%Y-%m-%dT%H:%M:%S-06:00", 6)],
)
def test_an_expiry_is_any_rfc_3339_moment_and_is_answered_in_utc(api, stp, written, offset):
    wanted = (clock.now() + timedelta(days=10)).replace(microsecond=250_000 if ".25" in written else 0)
    sent = (wanted - timedelta(hours=offset)).strftime(written)

    body = api.post("/v1/payments", {**SPEI, "expires_at": sent}).json()

    assert moment(body["expires_at"]) == wanted.astimezone(UTC)


def test_a_creation_writes_one_payment_one_transition_one_event_and_its_key(api, stp):
    before = rows()

    answer = api.post("/v1/payments", SPEI, **{"X-Request-Id": "request-of-the-caller"})

    payment, event = Payment.objects.get(), Event.objects.get()
    added = {table: count - before[table] for table, count in rows().items() if count != before[table]}
    assert added == {
        "payments_payment": 1,
        "payments_paymenttransition": 1,
        "merchants_event": 1,
        "merchants_idempotencykey": 1,
    }
    transition = payment.transitions.get()
    assert (transition.from_status, transition.to_status, transition.cause) == ("", "pending", "api")
    assert transition.actor.startswith("key_")
    assert transition.reference == "request-of-the-caller"
    assert (event.type, event.object_id, event.object_sequence) == ("payment.created", payment.public_id, 1)
    assert event.data == {"object": answer.json(), "previous": {}}
    assert IdempotencyKey.objects.get().object_id == payment.public_id


def test_no_two_payments_share_a_clabe(api, stp):
    answers = [api.post("/v1/payments", SPEI, key=f"k-{i}").json() for i in range(20)]

    assert len({answer["spei"]["clabe"] for answer in answers}) == 20
    assert len({answer["id"] for answer in answers}) == 20


def test_every_answer_names_its_request_and_the_version(api, stp):
    ours = api.post("/v1/payments", SPEI)
    theirs = api.get("/v1/payments", **{"X-Request-Id": "Aa0_-678"})

    assert re.fullmatch(r"req_[0-9a-f]{24}", ours["X-Request-Id"])
    assert theirs["X-Request-Id"] == "Aa0_-678"
    for answer in (ours, theirs):
        assert answer["API-Version"] == "2026-11-23"
        assert answer["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "given", ["short-1", "x" * 65, "with spaces in it", "line\tbreak-1", "ünïcödé-123", "<script>alert</script>", ""]
)
def test_a_malformed_request_id_is_replaced(api, given):
    answer = api.get("/v1/payments", **{"X-Request-Id": given})

    assert re.fullmatch(r"req_[0-9a-f]{24}", answer["X-Request-Id"])


@pytest.mark.parametrize(
    "language", ["es", "en", "es-MX,es;q=0.9", "en-US,en;q=0.5", "fr", "*", "", ";;q=1,,", "x" * 3000, "zz-ZZ-" * 400]
)
def test_the_language_never_changes_a_code_nor_breaks_an_answer(api, stp, language):
    refused = api.post("/v1/payments", {**SPEI, "amount": 0, "x": 1}, **{"Accept-Language": language})
    made = api.post("/v1/payments", SPEI, **{"Accept-Language": language})

    body = assert_problem(refused, 400, "invalid_amount", "amount", "x")
    assert {error["code"] for error in body["errors"]} == {"unknown_field", "invalid_amount"}
    assert made.status_code == 201
    assert made.json()["status"] == "pending"


def test_live_mode_needs_an_approved_verification(merchant, make_api, staff_origin):
    live_stp()
    live = make_api(merchant, livemode=True)
    kyc_case.open_case(merchant, origin=staff_origin)
    before = rows()

    refused = live.post("/v1/payments", SPEI)

    assert_problem(refused, 403, "kyc_required")
    assert rows() == before


def test_live_mode_works_once_the_verification_is_approved(merchant, make_api, staff_origin):
    account = live_stp()
    approve(merchant, staff_origin)

    answer = make_api(merchant, livemode=True).post("/v1/payments", SPEI)

    assert answer.status_code == 201
    assert answer.json()["livemode"] is True
    assert answer.json()["spei"]["clabe"].startswith("6461801571")
    assert Payment.objects.get().provider_account == account


def test_the_refusal_for_want_of_verification_is_not_kept(merchant, make_api, staff_origin):
    live_stp()
    live = make_api(merchant, livemode=True)
    assert live.post("/v1/payments", SPEI, key="a").status_code == 403
    approve(merchant, staff_origin)

    again = live.post("/v1/payments", SPEI, key="a")

    assert again.status_code == 201
    assert not again.has_header("Idempotent-Replayed")


def test_a_method_without_a_provider_account_is_503_and_writes_nothing(api):
    before = rows()

    answer = api.post("/v1/payments", SPEI)

    assert_problem(answer, 503, "provider_unavailable")
    assert answer["Retry-After"] == "30"
    assert rows() == before


def test_a_payment_costs_one_statement_beside_those_of_its_key(api, stp):
    clabe_number.forget()
    api.post("/v1/payments", SPEI, key="a")  # fetches a handful of numbers

    with CaptureQueriesContext(connection) as asked:
        assert api.post("/v1/payments", SPEI, key="b").status_code == 201

    said = [query["sql"] for query in asked.captured_queries]
    said = [sql for sql in said if "merchants_apikey" not in sql and "provideraccount" not in sql]  # known for a while
    said = [sql for sql in said if "SAVEPOINT" not in sql]
    assert [sql.partition(" ")[0] for sql in said] == ["WITH"]
