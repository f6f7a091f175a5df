"""The inbox: authentic notices are stored and applied once; others are not stored."""

from __future__ import annotations

import base64
import hashlib

import psycopg
import pytest
from django.db import OperationalError

from ledger.services import balance
from payments.models import Deposit, Payment
from payments.services import notice as notice_service
from tests import cluster
from tests.factories.notice import DEVOLVER, told
from tests.factories.oxxo import sweep_all
from tests.factories.payment import make_payment
from tests.problems import assert_problem, rows
from webhooks.inbound.jobs.provider_event import sweep_provider_events
from webhooks.inbound.services import applying, sweeper
from webhooks.models import ProviderEvent


@pytest.fixture
def payment(merchant, stp) -> Payment:
    return make_payment(merchant)


def explode_after_applying(monkeypatch, error):
    """From now on a notice is applied completely and then something unforeseen happens."""
    apply = notice_service.apply

    def exploding(*args, **kwargs):
        apply(*args, **kwargs)
        raise error

    monkeypatch.setattr(notice_service, "apply", exploding)


def assert_credited_once(payment, merchant):
    payment.refresh_from_db()
    assert payment.status == "completed"
    assert Deposit.objects.count() == 1
    assert balance.of_merchant(merchant, livemode=False).available == 98_840
    assert payment.transitions.count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize(
    "raw",
    [
        b"not json",
        b"[]",
        b"{}",
        b"null",
        b"\xff\xfe",
        b"\0",
        b'{"monto": 1, "monto": 2}',
        b'{"monto": NaN}',
        b'{"claveRastreo": "\\ud800"}',
        b"[" * 60_000,
    ],
)
def test_an_authentic_notice_that_cannot_be_read_is_stored_and_answered(payment, stp, conekta, raw):
    before = rows()

    from_stp, from_conekta = stp.post(raw), conekta.post(raw)
    again = stp.post(raw), conekta.post(raw)

    assert told(from_stp) == DEVOLVER
    assert told(from_conekta) == (200, {"received": True})
    assert [(a.status_code, a.content) for a in again] == [(a.status_code, a.content) for a in (from_stp, from_conekta)]
    assert rows() == {**before, "webhooks_providerevent": 2}
    by_stp, by_conekta = ProviderEvent.objects.order_by("pk")
    identity = ("unreadable", f"sha256:{hashlib.sha256(raw).hexdigest()}", raw)
    assert {(e.event_type, e.event_id, e.body) for e in (by_stp, by_conekta)} == {identity}
    assert (by_stp.status, by_stp.attempts, by_stp.reason[:12]) == ("ignored", 1, "unreadable: ")
    assert (by_conekta.status, by_conekta.attempts, by_conekta.last_error[:12]) == ("retry", 0, "unreadable: ")


@pytest.mark.django_db
def test_the_status_with_which_stp_hears_that_money_goes_back_is_a_setting(payment, stp, settings):
    settings.STP_REFUSAL_STATUS = 200

    assert told(stp.post(b"not json")) == (200, DEVOLVER[1])


@pytest.mark.django_db
@pytest.mark.parametrize(
    "changes",
    [
        {"monto": None},
        {"monto": 0},
        {"monto": -1},
        {"monto": 0.001},
        {"monto": "1,000.00"},
        {"monto": True},
        {"monto": [1]},
        {"claveRastreo": None},
        {"claveRastreo": "x" * 41},
        {"claveRastreo": "a\0b"},
        {"fechaOperacion": 20261399},
        {"fechaOperacion": None},
        {"institucionOrdenante": "x"},
        {"institucionOrdenante": -5},
        {"cuentaBeneficiario": None},
        {"cuentaBeneficiario": {"a": 1}},
        {"tipoPago": "x"},
    ],
)
def test_a_deposit_without_what_books_it_is_sent_back(payment, stp, changes):
    before = rows()

    assert told(stp.post(stp.deposit(payment.clabe, 100_000, **changes))) == DEVOLVER

    assert rows() == {**before, "webhooks_providerevent": 1}
    event = ProviderEvent.objects.get()
    assert (event.status, event.reason.startswith("unreadable: ")) == ("ignored", True)
    assert sweep_all() == 0


@pytest.mark.django_db
def test_a_body_over_64_kib_is_refused_and_not_stored(payment, stp, conekta):
    raw = stp.deposit(payment.clabe, 100_000).ljust(64 * 1024 + 1)
    before = rows()

    for answer in (stp.post(raw), conekta.post(raw)):
        assert_problem(answer, 400, "invalid_request")
    assert rows() == before

    assert told(stp.post(raw[: 64 * 1024])) == (200, {"mensaje": "confirmar"})


@pytest.mark.django_db
def test_a_notice_without_a_body_is_neither_stored_nor_sent_back(payment, stp, conekta):
    before = rows()

    for answer in (stp.post(b""), conekta.post(b"")):
        assert_problem(answer, 400, "invalid_notice")

    assert rows() == before


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "head"])
@pytest.mark.parametrize("path", ["/webhooks/stp/deposits", "/webhooks/conekta"])
def test_a_webhook_is_posted_to_and_nothing_else(client, method, path):
    before = rows()

    answer = getattr(client, method)(path)

    assert answer.status_code in (400, 401, 405)
    assert rows() == before


@pytest.mark.django_db
@pytest.mark.parametrize("content_type", ["", "text/plain", "application/JSON; charset=utf-8", "application/v2+json"])
def test_a_notice_is_accepted_with_any_json_content_type(payment, stp, content_type):
    authorization = "Basic " + base64.b64encode(f"{stp.username}:{stp.secret}".encode()).decode()

    answer = stp.client.generic(
        "POST",
        "/webhooks/stp/deposits",
        stp.deposit(payment.clabe, 100_000),
        content_type=content_type,
        headers={"Authorization": authorization, "Accept": "text/html"},
    )

    assert told(answer) == (200, {"mensaje": "confirmar"})
    assert answer["Content-Type"] == "application/json"


def test_a_fault_while_applying_is_5xx_leaves_no_effect_and_keeps_the_notice(
    committed_db, payment, stp, merchant, monkeypatch
):
    raw, before = stp.deposit(payment.clabe, 100_000), rows()

    with monkeypatch.context() as patched:
        explode_after_applying(patched, ZeroDivisionError("012180015025335996"))
        failed = stp.post(raw)

    assert_problem(failed, 500, "internal_error")
    assert rows() == {**before, "webhooks_providerevent": 1}
    event = ProviderEvent.objects.get()
    assert (event.status, event.attempts, event.last_error) == ("retry", 0, "ZeroDivisionError")
    assert event.body == raw
    assert event.response_status is None

    again, once_more = stp.post(raw), stp.post(raw)

    assert told(again) == told(once_more) == (200, {"mensaje": "confirmar"})
    assert_credited_once(payment, merchant)
    event.refresh_from_db()
    assert (event.status, event.attempts) == ("processed", 1)


def test_the_worker_applies_what_could_not_be_applied_once(committed_db, payment, stp, merchant, monkeypatch):
    with monkeypatch.context() as patched:
        explode_after_applying(patched, RuntimeError("a bug"))
        assert stp.post(stp.deposit(payment.clabe, 100_000)).status_code == 500
        assert sweep_all() == 0
        assert ProviderEvent.objects.get().attempts == 1

    assert sweep_all() == 1
    assert sweep_all() == 0
    sweep_provider_events(0)

    assert_credited_once(payment, merchant)
    event = ProviderEvent.objects.get()
    assert (event.status, event.attempts, event.response_status) == ("processed", 2, 200)
    assert event.response_body == {"mensaje": "confirmar"}
    repeated = stp.post(event.body)
    assert told(repeated) == (200, {"mensaje": "confirmar"})


def test_one_notice_that_always_fails_stops_none_behind_it(committed_db, payment, stp, merchant, monkeypatch):
    apply = notice_service.apply
    with monkeypatch.context() as patched:
        explode_after_applying(patched, RuntimeError("a bug"))
        stp.post(stp.deposit("646180157099999997", 1, claveRastreo="POISON"))
        stp.post(stp.deposit(payment.clabe, 100_000))

    def fail_on_poison(account, notice, **more):
        if notice.tracking_key == "POISON":
            raise RuntimeError("still a bug")
        return apply(account, notice, **more)

    monkeypatch.setattr(notice_service, "apply", fail_on_poison)

    assert sweep_all() == 1
    assert_credited_once(payment, merchant)
    assert list(ProviderEvent.objects.order_by("pk").values_list("status", "attempts")) == [
        ("retry", 1),
        ("processed", 1),
    ]


def test_a_notice_locked_by_another_transaction_is_skipped(committed_db, payment, stp, monkeypatch):
    with monkeypatch.context() as patched:
        explode_after_applying(patched, RuntimeError("a bug"))
        stp.post(stp.deposit(payment.clabe, 100_000))
    event = ProviderEvent.objects.get()

    with psycopg.connect(cluster.url("payments_owner")) as holder:
        holder.execute("SELECT 1 FROM webhooks_providerevent FOR UPDATE")
        assert sweeper.sweep_one(event.pk) is False
        assert sweep_all() == 0
        holder.rollback()

    assert sweeper.sweep_one(event.pk) is True
    assert sweeper.sweep_one(event.pk) is False


def test_what_is_applied_is_the_body_that_is_stored(committed_db, payment, stp, merchant, monkeypatch):
    first = stp.deposit(payment.clabe, 100_000, nombreOrdenante="ANA")
    with monkeypatch.context() as patched:
        explode_after_applying(patched, RuntimeError("a bug"))
        stp.post(first)

    answer = stp.post(stp.deposit(payment.clabe, 100_000, nombreOrdenante="OTRA"))  # the same, in other words

    assert told(answer) == (200, {"mensaje": "confirmar"})
    assert_credited_once(payment, merchant)
    assert Deposit.objects.get().payer_name == "ANA"
    assert ProviderEvent.objects.get().body == first


def test_another_amount_contradicts_a_notice_that_is_still_open(committed_db, payment, stp, merchant, monkeypatch):
    with monkeypatch.context() as patched:
        explode_after_applying(patched, RuntimeError("a bug"))
        stp.post(stp.deposit(payment.clabe, 100_000))

    answer = stp.post(stp.deposit(payment.clabe, 999_999_999))  # the same transfer, told with another amount

    assert told(answer) == (400, {"mensaje": "devolver", "id": 30})
    assert list(ProviderEvent.objects.order_by("pk").values_list("status", flat=True)) == ["retry", "conflict"]
    assert Deposit.objects.count() == 0
    assert sweep_all() == 1
    assert_credited_once(payment, merchant)
    assert Deposit.objects.get().amount == 100_000


def test_a_conflict_that_could_not_be_stored_is_5xx_and_stored_on_repetition(
    committed_db, payment, stp, merchant, monkeypatch
):
    stp.post(stp.deposit(payment.clabe, 100_000))
    other, before = stp.deposit(payment.clabe, 100_001), rows()

    with monkeypatch.context() as patched:
        patched.setattr(applying, "contradict", lambda *_: 1 / 0)
        assert_problem(stp.post(other), 500, "internal_error")
    assert rows() == before

    assert told(stp.post(other)) == (400, {"mensaje": "devolver", "id": 30})
    assert_credited_once(payment, merchant)


def test_a_database_that_fails_while_applying_is_503_and_nothing_is_kept(committed_db, payment, stp, monkeypatch):
    before = rows()

    with monkeypatch.context() as patched:
        explode_after_applying(patched, OperationalError("server closed the connection unexpectedly"))
        answer = stp.post(stp.deposit(payment.clabe, 100_000))

    assert_problem(answer, 503, "database_unavailable")
    assert int(answer["Retry-After"]) > 0
    assert b"server closed" not in answer.content
    assert rows() == before


def test_a_notice_about_a_locked_payment_is_503_and_can_be_repeated(production_timeouts, payment, stp, merchant):
    raw, before = stp.deposit(payment.clabe, 100_000), rows()

    with psycopg.connect(cluster.url("payments_owner")) as holder:
        holder.execute("SELECT 1 FROM payments_payment FOR UPDATE")
        answer = stp.post(raw)
        holder.rollback()

    assert_problem(answer, 503, "database_unavailable")
    assert rows() == before
    assert told(stp.post(raw)) == (200, {"mensaje": "confirmar"})
    assert_credited_once(payment, merchant)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "content_type", ["application/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "a/b"]
)
def test_what_calls_itself_no_json_is_refused_before_anything_else(payment, stp, conekta, content_type):
    before = rows()

    for path, headers in (("stp/deposits", {}), ("stp/orders", {}), ("conekta", {"DIGEST": "x"})):
        answer = stp.client.generic("POST", f"/webhooks/{path}", b"{}", content_type=content_type, headers=headers)
        assert_problem(answer, 415, "unsupported_media_type")

    assert rows() == before


@pytest.mark.django_db
def test_the_size_is_refused_before_the_secret_is_looked_at(payment, stp):
    answer = stp.post(b" " * (64 * 1024 + 1), authorization="")

    assert_problem(answer, 400, "invalid_request")


@pytest.mark.django_db
@pytest.mark.parametrize("provider", ["truora", "jumio", "x"])
def test_no_identity_provider_is_set_up_yet(client, provider):
    assert_problem(client.post(f"/webhooks/kyc/{provider}", b"{}", content_type="application/json"), 404, "not_found")
