"""Incoming SPEI transfers: credited once or put in suspense, with the response that STP expects."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine

from core import clock
from core.state import Origin, TransitionRow
from ledger.services import balance
from merchants.models import Event
from payments.models import Deposit, Payment, ProviderAccount
from payments.services import payment as payment_service
from tests.problems import assert_problem, rows
from tests.provider_messages import StpSender
from webhooks.models import ProviderEvent

pytestmark = pytest.mark.django_db

CONFIRM = (200, {"mensaje": "confirmar"})


@pytest.fixture
def payment(api, stp):
    answer = api.post("/v1/payments", {"method": "spei", "amount": 100_000, "currency": "MXN"})
    assert answer.status_code == 201, answer.content
    return Payment.objects.get()


def told(answer):
    return answer.status_code, answer.json()


def event_types():
    return list(Event.objects.order_by("sequence").values_list("type", flat=True))


def basic(username, secret):
    return "Basic " + base64.b64encode(f"{username}:{secret}".encode()).decode()


def test_a_deposit_completes_its_payment_and_credits_the_merchant(payment, stp, merchant):
    answer = stp.post(stp.deposit(payment.clabe, 100_000))

    assert told(answer) == CONFIRM
    payment.refresh_from_db()
    assert payment.status == "completed"
    assert (payment.amount_received, payment.fee, payment.fee_tax, payment.net) == (100_000, 1_000, 160, 98_840)
    assert payment.tracking_key == "MBAN01002611200012345678"
    assert balance.of_merchant(merchant, livemode=False).available == 98_840
    assert balance.of_platform(livemode=False) == {"stp_cash": 100_000, "fee_revenue": 1_000, "iva_payable": 160}
    assert [t.to_status for t in payment.transitions.all()] == ["pending", "completed"]
    assert list(Event.objects.order_by("sequence").values_list("type", "object_sequence")) == [
        ("payment.created", 1),
        ("payment.completed", 2),
    ]
    event = ProviderEvent.objects.get()
    assert (event.status, event.reason, event.object_id) == ("processed", "credited", payment.public_id)


def test_a_notice_is_stored_byte_for_byte_with_whom_it_came_from(payment, stp):
    raw = b"  " + stp.deposit(payment.clabe, 100_000) + b"\n"

    stp.post(raw)

    event = ProviderEvent.objects.get()
    assert event.body == raw
    assert event.body_sha256 == hashlib.sha256(raw).hexdigest()
    assert (event.account, event.livemode, event.remote_address) == (stp.account, False, "127.0.0.1")
    assert (event.attempts, event.response_status, event.response_body) == (1, *CONFIRM)


def test_a_deposit_keeps_what_stp_says_of_it(payment, stp):
    stp.post(stp.deposit(payment.clabe, 100_000, conceptoPago="RENTA NOV"))

    deposit = Deposit.objects.get()
    assert deposit.paid_at == datetime.fromtimestamp(1795467600, UTC)
    assert deposit.operating_date == date(2026, 11, 20)
    assert deposit.deposit_key == "20261120:40012:MBAN01002611200012345678"
    assert (deposit.clabe, deposit.concept) == (payment.clabe, "RENTA NOV")
    assert (deposit.payer_name, deposit.payer_account, deposit.payer_institution) == (
        "JUAN PEREZ",
        "012180015025335996",
        "40012",
    )


def test_a_repeated_deposit_is_answered_like_the_first_and_changes_nothing(payment, stp, merchant):
    raw = stp.deposit(payment.clabe, 100_000)

    first, second = stp.post(raw), stp.post(raw)

    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert Deposit.objects.count() == ProviderEvent.objects.count() == 1
    assert balance.of_merchant(merchant, livemode=False).available == 98_840
    assert payment.transitions.count() == 2


def test_the_same_transfer_told_in_other_words_is_the_same_transfer(payment, stp):
    first = stp.post(stp.deposit(payment.clabe, 100_000))
    before = rows()

    again = stp.post(
        stp.deposit(payment.clabe, 100_000, id=99, fechaOperacion="20261120", institucionOrdenante="40012")
    )

    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert rows() == before


@pytest.mark.parametrize(
    ("amount", "changes"),
    [
        (100_001, {}),
        (1, {}),
        (100_000, {"cuentaBeneficiario": "646180157099999997"}),
        (5_000, {"cuentaBeneficiario": "646180157099999997"}),
        (100_000, {"tipoPago": 0}),
    ],
)
def test_one_tracking_key_told_with_other_money_is_a_conflict_and_goes_back(payment, stp, merchant, amount, changes):
    first = stp.post(stp.deposit(payment.clabe, 100_000))
    before, held = rows(), balance.of_platform(livemode=False)
    raw = stp.deposit(payment.clabe, amount, **changes)

    answers = [stp.post(raw) for _ in range(3)]

    assert told(answers[0]) == (400, {"mensaje": "devolver", "id": 30})
    assert len({(a.status_code, a.content) for a in answers}) == 1
    assert rows() == {**before, "webhooks_providerevent": 2}
    assert balance.of_platform(livemode=False) == held
    assert balance.of_merchant(merchant, livemode=False).available == 98_840
    kept, conflict = ProviderEvent.objects.order_by("pk")
    assert (kept.status, kept.reason) == ("processed", "credited")
    assert conflict.event_id == f"{kept.event_id}:{hashlib.sha256(raw).hexdigest()[:16]}"
    assert (conflict.status, conflict.body, conflict.attempts) == ("conflict", raw, 1)
    assert conflict.reason == "another notice with this id said something else"
    again = stp.post(kept.body)
    assert (again.status_code, again.content) == (first.status_code, first.content)


def test_each_contradiction_is_kept_beside_the_first(payment, stp):
    stp.post(stp.deposit(payment.clabe, 100_000))

    for amount in (1, 2, 3, 2, 1):
        assert told(stp.post(stp.deposit(payment.clabe, amount))) == (400, {"mensaje": "devolver", "id": 30})

    statuses = ProviderEvent.objects.order_by("pk").values_list("status", flat=True)
    assert list(statuses) == ["processed", "conflict", "conflict", "conflict"]
    assert Deposit.objects.count() == 1


@pytest.mark.parametrize(
    "changes", [{"claveRastreo": "OTHER"}, {"fechaOperacion": 20261123}, {"institucionOrdenante": 40014}]
)
def test_another_tracking_key_day_or_institution_is_another_transfer(payment, stp, changes):
    stp.post(stp.deposit(payment.clabe, 100_000))

    assert told(stp.post(stp.deposit(payment.clabe, 100_000, **changes))) == CONFIRM

    assert list(Deposit.objects.order_by("pk").values_list("status", "suspense_reason")) == [
        ("credited", ""),
        ("suspended", "already_paid"),
    ]


@pytest.mark.parametrize("written", ["1000", "1000.0", "1000.00", "1000.000", '"1000.00"', "1e3", "1.0E+3"])
def test_an_amount_is_read_exactly_however_it_is_written(payment, stp, written):
    raw = stp.deposit(payment.clabe, 100_000).replace(b"1000.00", written.encode())

    assert told(stp.post(raw)) == CONFIRM

    assert Deposit.objects.get().amount == 100_000


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic !!!",
        "Basic é",
        basic("stp-test", ""),
        basic("stp-test", "wrong"),
        basic("stp-test", "stp-secret-of-the-tests "),
        basic("stp-live", "stp-secret-of-the-tests"),
        basic("STP-TEST", "stp-secret-of-the-tests"),
        basic("", "stp-secret-of-the-tests"),
        basic("stp-test\0", "stp-secret-of-the-tests"),
        "Bearer stp-secret-of-the-tests",
        "Basic " + "A" * 5000,
    ],
)
def test_a_wrong_or_missing_secret_is_not_believed(payment, stp, authorization):
    before = rows()

    answer = stp.post(stp.deposit(payment.clabe, 100_000), authorization=authorization)

    assert_problem(answer, 401, "invalid_signature")
    assert answer["WWW-Authenticate"] == 'Basic realm="provider webhooks"'
    assert rows() == before


def test_a_merchants_key_opens_no_webhook_and_stps_secret_no_api(api, payment, stp):
    before = rows()

    as_stp = stp.post(stp.deposit(payment.clabe, 100_000), authorization=f"Bearer {api.secret}")
    as_merchant = api.client.get("/v1/payments", headers={"Authorization": basic(stp.username, stp.secret)})

    assert as_stp.status_code == as_merchant.status_code == 401
    assert rows() == before


def test_an_account_that_is_not_active_or_has_no_secret_is_not_believed(payment, stp):
    before = rows()

    for change in ({"takes_new": False, "hears_notices": False}, {"hears_notices": True, "webhook_secret_sha256": ""}):
        ProviderAccount.objects.filter(pk=stp.account.pk).update(**change)
        assert stp.post(stp.deposit(payment.clabe, 100_000)).status_code == 401

    assert rows() == before


def test_money_for_an_unknown_clabe_is_confirmed_and_kept_in_suspense(payment, stp, merchant):
    answer = stp.post(stp.deposit("646180157099999997", 5_000))

    assert told(answer) == CONFIRM
    deposit = Deposit.objects.get()
    assert (deposit.status, deposit.suspense_reason, deposit.payment) == ("suspended", "unknown_clabe", None)
    assert balance.of_platform(livemode=False) == {"stp_cash": 5_000, "suspense": 5_000}
    assert balance.of_merchant(merchant, livemode=False).available == 0
    event = ProviderEvent.objects.get()
    assert (event.status, event.reason, event.object_id) == ("processed", "suspended:unknown_clabe", deposit.public_id)
    assert deposit.provider_event == event.public_id
    assert [t.reason for t in deposit.transitions.all()] == ["unknown_clabe"]
    assert event_types() == ["payment.created"]


@pytest.mark.parametrize("amount", [1, 99_999, 100_001, 10_000_000])
def test_another_amount_is_kept_in_suspense_and_the_merchant_is_told(payment, stp, merchant, amount):
    assert told(stp.post(stp.deposit(payment.clabe, amount))) == CONFIRM

    payment.refresh_from_db()
    deposit = Deposit.objects.get()
    assert (payment.status, payment.amount_received) == ("pending", 0)
    why = "underpaid" if amount < 100_000 else "overpaid"
    assert (deposit.suspense_reason, deposit.payment, deposit.amount) == (why, payment, amount)
    assert balance.of_merchant(merchant, livemode=False).available == 0
    assert balance.of_platform(livemode=False) == {"stp_cash": amount, "suspense": amount}
    told_merchant = Event.objects.order_by("sequence").last()
    assert (told_merchant.type, told_merchant.data["previous"]) == ("payment.review_required", {})


def test_the_right_amount_after_a_wrong_one_still_completes_the_payment(payment, stp):
    stp.post(stp.deposit(payment.clabe, 99_999, claveRastreo="FIRST"))
    stp.post(stp.deposit(payment.clabe, 100_000, claveRastreo="SECOND"))

    payment.refresh_from_db()
    assert (payment.status, payment.tracking_key) == ("completed", "SECOND")
    assert event_types() == ["payment.created", "payment.review_required", "payment.completed"]


def test_a_second_transfer_is_kept_in_suspense_and_the_merchant_is_told(payment, stp, merchant):
    stp.post(stp.deposit(payment.clabe, 100_000, claveRastreo="FIRST"))
    stp.post(stp.deposit(payment.clabe, 100_000, claveRastreo="SECOND"))

    payment.refresh_from_db()
    assert (payment.amount_received, payment.tracking_key) == (100_000, "FIRST")
    assert Deposit.objects.get(tracking_key="SECOND").suspense_reason == "already_paid"
    assert balance.of_merchant(merchant, livemode=False).available == 98_840
    assert balance.of_platform(livemode=False)["suspense"] == 100_000
    assert event_types() == ["payment.created", "payment.completed", "payment.review_required"]


@pytest.mark.parametrize("kind", [0, 16, 17, 18, 23, 24])
def test_our_own_money_that_comes_back_is_never_a_payment(payment, stp, merchant, kind):
    assert told(stp.post(stp.deposit(payment.clabe, 100_000, tipoPago=kind))) == CONFIRM

    payment.refresh_from_db()
    deposit = Deposit.objects.get()
    assert payment.status == "pending"
    assert deposit.suspense_reason == "returned_transfer"
    assert balance.of_merchant(merchant, livemode=False).available == 0
    assert event_types() == ["payment.created", "payment.review_required"]


def test_a_return_without_a_beneficiary_account_is_kept_too(payment, stp):
    assert told(stp.post(stp.deposit("", 100_000, tipoPago=0))) == CONFIRM

    assert Deposit.objects.get().suspense_reason == "returned_transfer"


def test_a_transfer_after_the_expiry_date_is_credited(payment, stp):
    with time_machine.travel(payment.expires_at + timedelta(days=2)):
        assert told(stp.post(stp.deposit(payment.clabe, 100_000))) == CONFIRM

    payment.refresh_from_db()
    assert (payment.status, payment.amount_received) == ("completed", 100_000)


def test_the_test_accounts_word_never_touches_a_live_payment(stp, merchant, monkeypatch):
    monkeypatch.setattr(payment_service.kyc_case, "is_approved", lambda merchant: True)
    account = ProviderAccount.objects.create(
        provider="stp",
        livemode=True,
        name="EMPRESA",
        webhook_username="stp-live",
        webhook_secret_sha256=hashlib.sha256(b"live-secret").hexdigest(),
        clabe_prefix="6461801571",
        clabe_sequence=2,
    )
    wanted = payment_service.NewPayment(
        method=Payment.Method.SPEI, amount=100_000, expires_at=clock.now() + timedelta(days=1)
    )
    origin = Origin(TransitionRow.Cause.API, "key_live")
    live = payment_service.create(merchant, livemode=True, wanted=wanted, origin=origin)
    raw = stp.deposit(live.clabe, 100_000)

    by_test = stp.post(raw)
    live.refresh_from_db()
    untouched = live.status
    by_live = StpSender(stp.client, account, "stp-live", "live-secret").post(raw)

    assert told(by_test) == told(by_live) == CONFIRM
    assert untouched == "pending"
    assert Deposit.objects.get(livemode=False).suspense_reason == "unknown_clabe"
    live.refresh_from_db()
    assert live.status == "completed"
    assert balance.of_merchant(merchant, livemode=False).available == 0
    assert balance.of_merchant(merchant, livemode=True).available == 98_840


def test_another_merchant_gets_nothing_of_it(payment, stp, other_merchant):
    stp.post(stp.deposit(payment.clabe, 100_000))

    assert balance.of_merchant(other_merchant, livemode=False).available == 0
    assert Event.objects.filter(merchant=other_merchant).count() == 0


@pytest.mark.parametrize("amount", [100_000, 99_999])
def test_a_month_old_notice_is_booked_at_the_oldest_accepted_time(payment, stp, amount):
    month_ago = int((clock.now() - timedelta(days=30)).timestamp() * 1000)

    answer = stp.post(stp.deposit(payment.clabe, amount, tsLiquidacion=str(month_ago)))

    assert (answer.status_code, answer.json()) == (200, {"mensaje": "confirmar"})
    deposit = Deposit.objects.get()
    assert deposit.status == ("credited" if amount == payment.amount else "suspended")
    assert clock.now() - deposit.paid_at > timedelta(days=29)
    assert balance.of_platform(livemode=False)["stp_cash"] == amount
