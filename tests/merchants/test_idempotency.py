"""Idempotency-Key: one intention, one effect, one answer."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.db.models import F
from django.test import Client

from core import clock
from core.clock import to_rfc3339
from merchants.models import Event, IdempotencyKey
from payments.models import Payment, ProviderAccount
from payments.services import payment as payment_service
from tests.factories.idempotency import OXXO, SPEI, assert_replays, raw_post
from tests.history import rewrite
from tests.problems import assert_problem, rows

pytest_plugins = ["tests.sandbox_process"]


@pytest.mark.django_db
def test_a_creation_without_a_key_is_refused(api, stp):
    before = rows()

    for key in (None, "", "   ", '""'):
        assert_problem(api.post("/v1/payments", SPEI, key=key), 400, "idempotency_key_required", "Idempotency-Key")

    assert rows() == before


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["with space", "k/1", "é", "x" * 256, "k;1", "k\x7f", '"k', "k,2"])
def test_a_malformed_key_is_refused(api, stp, key):
    before = rows()

    assert_problem(api.post("/v1/payments", SPEI, key=key), 400, "invalid_request", "Idempotency-Key")

    assert rows() == before


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["x" * 255, "A-b_c:d.9", "8e03978e-40d5-43e8-bc93-6894a57f9324", "0"])
def test_any_well_formed_key_is_taken(api, stp, key):
    assert api.post("/v1/payments", SPEI, key=key).status_code == 201


@pytest.mark.django_db
def test_a_repetition_gets_the_same_bytes_and_creates_nothing(api, stp):
    first = api.post("/v1/payments", SPEI)
    before = rows()

    second, third = api.post("/v1/payments", SPEI), api.post("/v1/payments", SPEI)

    assert first.status_code == 201
    assert_replays(second, first)
    assert_replays(third, first)
    assert rows() == before


@pytest.mark.django_db
def test_a_repetition_gets_the_first_answer_although_the_payment_went_on(api, stp):
    first = api.post("/v1/payments", SPEI)
    stp.post(stp.deposit(first.json()["spei"]["clabe"], 100_000))

    assert_replays(api.post("/v1/payments", SPEI), first)


@pytest.mark.django_db
def test_a_quoted_key_is_the_same_key(api, stp):
    first = api.post("/v1/payments", SPEI, key="k-1")

    assert_replays(api.post("/v1/payments", SPEI, key='"k-1"'), first)


@pytest.mark.django_db
def test_key_order_and_white_space_do_not_make_another_request(api, stp):
    first = raw_post(api, b'{"method":"spei","amount":100000,"currency":"MXN","metadata":{"a":"1","b":"2"}}')

    second = raw_post(
        api,
        b' {"currency" : "MXN", "metadata": {"b": "2", "a": "\\u0031"},\n "amount": 100000, "method": "spei"}\n',
    )

    assert_replays(second, first)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [
        {"amount": 100_001},
        {"description": ""},
        {"metadata": {}},
        {"metadata": {"a": "1"}},
        {"customer": {"name": "Ana"}},
        {"external_id": "1"},
    ],
)
def test_another_body_under_the_same_key_is_refused(api, stp, change):
    first = api.post("/v1/payments", SPEI)
    before = rows()

    answer = api.post("/v1/payments", {**SPEI, **change})

    assert_problem(answer, 422, "idempotency_key_reused", *change)  # the fields, never their former values
    assert b"100000" not in answer.content
    assert rows() == before
    assert_replays(api.post("/v1/payments", SPEI), first)


@pytest.mark.django_db
def test_a_business_refusal_is_an_answer_and_is_kept(api, stp):
    api.post("/v1/payments", {**SPEI, "external_id": "order-8"}, key="a")
    before = rows()

    first = api.post("/v1/payments", {**SPEI, "external_id": "order-8"}, key="b")
    second = api.post("/v1/payments", {**SPEI, "external_id": "order-8"}, key="b")

    assert_problem(first, 422, "duplicate_external_id")
    assert_replays(second, first)
    after = rows()
    assert after.pop("merchants_idempotencykey") == before.pop("merchants_idempotencykey") + 1
    assert after == before


@pytest.mark.django_db
def test_an_external_id_is_unique_per_merchant_and_mode_only(api, stp, other_merchant, make_api):
    body = {**SPEI, "external_id": "order-8"}

    assert api.post("/v1/payments", body).status_code == 201
    assert make_api(other_merchant).post("/v1/payments", body).status_code == 201


@pytest.mark.django_db
def test_a_malformed_request_leaves_its_key_free(api, stp):
    assert_problem(api.post("/v1/payments", {**SPEI, "amount": 0}), 400, "invalid_amount", "amount")
    assert raw_post(api, b"{").status_code == 400
    assert IdempotencyKey.objects.count() == 0

    assert api.post("/v1/payments", SPEI).status_code == 201


@pytest.mark.django_db
def test_a_server_fault_leaves_its_key_free_and_nothing_behind(api, stp, monkeypatch):
    before = rows()

    def explode(*args, **kwargs):
        raise ZeroDivisionError("a bug")

    with monkeypatch.context() as patched:
        patched.setattr(payment_service, "record_payment", explode)
        failed = api.post("/v1/payments", SPEI)

    assert_problem(failed, 500, "internal_error")
    assert b"bug" not in failed.content
    assert b"Zero" not in failed.content
    assert rows() == before
    assert api.post("/v1/payments", SPEI).status_code == 201


@pytest.mark.django_db
def test_the_same_key_of_two_merchants_and_two_modes_are_four_intentions(api, stp, merchant, other_merchant, make_api):
    others, live = make_api(other_merchant), make_api(merchant, livemode=True)
    first = api.post("/v1/payments", SPEI)
    before = rows()

    theirs = others.post("/v1/payments", {**SPEI, "amount": 5})
    in_live_mode = live.post("/v1/payments", SPEI)

    assert theirs.status_code == 201
    assert theirs.json()["amount"] == 5
    assert_problem(in_live_mode, 403, "kyc_required")  # no answer for ever: the key stays free
    assert rows()["merchants_idempotencykey"] == before["merchants_idempotencykey"] + 1
    assert_replays(api.post("/v1/payments", SPEI), first)


@pytest.mark.django_db
def test_two_keys_of_one_merchant_share_their_idempotency(api, stp, merchant, make_api):
    first = api.post("/v1/payments", SPEI)

    assert_replays(make_api(merchant).post("/v1/payments", SPEI), first)


@pytest.mark.django_db
def test_a_repetition_is_answered_although_the_expiry_has_passed_meanwhile(api, stp):
    body = {**SPEI, "expires_at": to_rfc3339(clock.now() + timedelta(minutes=5))}
    first = api.post("/v1/payments", body)

    with time_machine.travel(clock.now() + timedelta(minutes=10)):
        again, fresh = api.post("/v1/payments", body), api.post("/v1/payments", body, key="other")

    assert first.status_code == 201
    assert_replays(again, first)
    assert_problem(fresh, 422, "invalid_request", "expires_at")
    assert rows()["merchants_idempotencykey"] == 1


@pytest.mark.django_db
def test_a_key_works_on_for_thirty_days(api, stp):
    first = api.post("/v1/payments", SPEI)

    with time_machine.travel(clock.now() + timedelta(days=30)):
        assert_replays(api.post("/v1/payments", SPEI), first)


@pytest.mark.parametrize("requests", [16])
def test_equal_requests_at_once_create_one_payment_and_all_get_its_answer(committed_db, api, stp, requests):
    barrier = threading.Barrier(requests)

    def post(number):
        client = Client(raise_request_exception=False)
        headers = {"Authorization": f"Bearer {api.secret}", "Idempotency-Key": "one"}
        barrier.wait()
        try:
            return client.post("/v1/payments", SPEI, content_type="application/json", headers=headers)
        finally:
            connection.close()

    with ThreadPoolExecutor(requests) as pool:
        answers = list(pool.map(post, range(requests)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sorted(answer.has_header("Idempotent-Replayed") for answer in answers) == [False] + [True] * (requests - 1)
    assert Payment.objects.count() == Event.objects.count() == IdempotencyKey.objects.count() == 1


def test_an_equal_request_waits_for_the_first_and_gives_up_after_two_seconds(production_timeouts, api, stp, owner):
    assert api.post("/v1/payments", SPEI, key="other").status_code == 201
    before = rows()
    # The first request as its transaction would hold the key, for longer than anybody waits.
    owner.execute(
        "INSERT INTO merchants_idempotencykey (public_id, merchant_id, livemode, key, method, path, body_sha256, state,"
        " response_body, object_id, locked_at, created_at) SELECT 'idk_x', merchant_id, livemode, 'k-1', method, path,"
        " body_sha256, 'in_progress', '', '', locked_at, created_at FROM merchants_idempotencykey"
    )
    started = clock.now()

    answer = api.post("/v1/payments", SPEI)

    assert_problem(answer, 409, "idempotency_in_progress")
    assert answer["Retry-After"] == "1"
    assert timedelta(seconds=1.9) < clock.now() - started < timedelta(seconds=15)
    assert rows() == before
    owner.rollback()
    assert api.post("/v1/payments", SPEI).status_code == 201


def test_a_voucher_under_way_is_409_and_is_taken_over_after_a_minute_without_a_second_order(
    committed_db, api, at_conekta, monkeypatch
):
    def die(*args, **kwargs):
        raise SystemError("the process is gone")

    with monkeypatch.context() as patched:
        patched.setattr(payment_service, "attach_voucher", die)
        assert api.post("/v1/payments", OXXO).status_code == 500  # Conekta has made the order
    payment = Payment.objects.get()
    assert len(at_conekta.orders(payment.public_id)) == 1
    before = rows()

    soon = api.post("/v1/payments", OXXO)
    other = api.post("/v1/payments", {**OXXO, "amount": 5_000})

    assert_problem(soon, 409, "idempotency_in_progress")
    assert soon["Retry-After"] == "1"
    assert_problem(other, 422, "idempotency_key_reused", "amount")
    assert rows() == before

    IdempotencyKey.objects.update(locked_at=clock.now() - timedelta(seconds=61))
    Payment.objects.update(voucher_asked_until=F("voucher_asked_until") - timedelta(seconds=61))
    taken_over = api.post("/v1/payments", OXXO)

    assert taken_over.status_code == 201
    (order,) = at_conekta.orders(payment.public_id)
    assert taken_over.json()["id"] == payment.public_id
    assert taken_over.json()["provider_reference"] == order["id"]
    assert Payment.objects.count() == 1
    assert_replays(api.post("/v1/payments", OXXO), taken_over)


def test_no_account_at_the_provider_leaves_the_key_free(committed_db, api, stp):
    ProviderAccount.objects.filter(pk=stp.account.pk).update(takes_new=False)
    assert_problem(api.post("/v1/payments", SPEI), 503, "provider_unavailable")

    ProviderAccount.objects.filter(pk=stp.account.pk).update(takes_new=True)

    assert api.post("/v1/payments", SPEI).status_code == 201


def test_a_repetition_is_answered_although_it_would_be_refused_now(committed_db, api, stp):
    first = api.post("/v1/payments", SPEI)
    ProviderAccount.objects.filter(pk=stp.account.pk).update(takes_new=False)
    before = rows()

    assert_replays(api.post("/v1/payments", SPEI), first)
    assert_problem(api.post("/v1/payments", {**SPEI, "amount": 5}), 422, "idempotency_key_reused", "amount")
    assert_problem(api.post("/v1/payments", SPEI, key="other"), 503, "provider_unavailable")
    assert rows() == before


def test_a_repetition_uses_up_no_clabe(committed_db, api, stp):
    first = api.post("/v1/payments", SPEI, key="a").json()
    for _ in range(3):
        api.post("/v1/payments", SPEI, key="a")

    second = api.post("/v1/payments", SPEI, key="b").json()

    assert int(second["spei"]["reference_number"]) == int(first["spei"]["reference_number"]) + 1


def test_who_waits_for_something_else_than_the_key_is_not_told_that_the_key_is_in_use(
    production_timeouts, api, stp, owner
):
    api.post("/v1/payments", {**SPEI, "external_id": "order-7"}, key="a")
    same = '{"id": 99, "public_id": "pay_x", "clabe": "646180157000000990", "external_id": "order-8"}'
    copy = "INSERT INTO payments_payment SELECT (jsonb_populate_record(p, %s)).* FROM payments_payment p"
    owner.execute(copy, [same])  # and does not commit

    assert_problem(api.post("/v1/payments", {**SPEI, "external_id": "order-8"}), 503, "database_unavailable")

    assert IdempotencyKey.objects.count() == 1


def test_what_is_replayed_is_what_was_stored_byte_for_byte(committed_db, api, stp):
    first = api.post("/v1/payments", {**SPEI, "description": "ñandú 🌮 </script>", "metadata": {"z": "1", "a": "2"}})

    stored = IdempotencyKey.objects.get()

    assert first.content == stored.response_body.encode()
    assert json.loads(stored.response_body)["metadata"] == {"z": "1", "a": "2"}
    assert (stored.state, stored.response_status) == ("completed", 201)


def test_tigerbeetle_what_was_refused_stays_refused_although_it_would_succeed_now(committed_db, api, stp):
    api.post("/v1/payments", {**SPEI, "external_id": "order-8"}, key="a")
    refused = api.post("/v1/payments", {**SPEI, "external_id": "order-8"}, key="b")
    rewrite(Payment.objects.all(), external_id="order-7")

    again = api.post("/v1/payments", {**SPEI, "external_id": "order-8"}, key="b")

    assert_problem(refused, 422, "duplicate_external_id")
    assert_replays(again, refused)
    assert Payment.objects.count() == 1
