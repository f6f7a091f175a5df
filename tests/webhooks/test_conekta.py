"""Conekta's events: accepted only with a valid signature, applied once, in any order."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest

from ledger.services import balance
from payments.models import Deposit, Payment, ProviderAccount
from payments.services import payment as payment_service
from tests.factories.oxxo import RECEIVED, attach, event_types, inbox, live_account, make_payment, pem, sign_with, told
from tests.problems import assert_problem, rows
from webhooks.inbound.services import health
from webhooks.models import ProviderEvent

pytestmark = pytest.mark.django_db

FEES = {"fee": 950, "fee_tax": 152}  # 2.6 % of 250.00 + 3.00, and IVA


@pytest.fixture
def payment(merchant, conekta) -> Payment:
    return attach(make_payment(merchant))


@pytest.mark.parametrize("event_type", ["order.paid", "charge.paid"])
def test_a_paid_event_completes_its_payment_and_credits_the_merchant(payment, conekta, merchant, event_type):
    answer = conekta.post(conekta.event(payment, event_type))

    assert told(answer) == RECEIVED
    payment.refresh_from_db()
    assert (payment.status, payment.amount_received, payment.net) == ("completed", 25_000, 23_898)
    assert {"fee": payment.fee, "fee_tax": payment.fee_tax} == FEES
    deposit = Deposit.objects.get()
    assert (deposit.status, deposit.deposit_key) == ("credited", "67c72196e777ac0001f2140c")
    assert deposit.paid_at == datetime.fromtimestamp(1795467600, UTC)
    available, pending = (getattr(balance.of_merchant(merchant, livemode=False), n) for n in ("available", "pending"))
    assert available + pending == 23_898
    assert balance.of_platform(livemode=False)["conekta_receivable"] == 25_000
    assert event_types() == ["payment.completed"]
    assert inbox() == [(event_type, "processed", "credited")]


def test_the_two_events_of_one_payment_are_one_deposit(payment, conekta):
    first = conekta.post(conekta.event(payment, "charge.paid", event_id="evt-1"))
    after_first = rows()
    second = conekta.post(conekta.event(payment, "order.paid", event_id="evt-2"))

    assert told(first) == told(second) == RECEIVED
    assert Deposit.objects.count() == 1
    assert event_types() == ["payment.completed"]
    assert inbox() == [("charge.paid", "processed", "credited"), ("order.paid", "ignored", "duplicate")]
    assert rows() == {**after_first, "webhooks_providerevent": 2}


@pytest.mark.promise("P13", "a signed event repeated: the same bytes, no second effect", unit="repeated events")
def test_a_repeated_event_is_answered_byte_for_byte_and_changes_nothing(payment, conekta):
    raw = conekta.event(payment)
    first = conekta.post(raw)
    before = rows()

    again = [conekta.post(raw) for _ in range(5)]

    assert {(a.status_code, a.content) for a in again} == {(first.status_code, first.content)}
    assert rows() == before


def test_one_event_id_whose_body_differs_in_what_books_nothing_is_a_repetition(payment, conekta):
    first = conekta.post(conekta.event(payment, event_id="evt-1"))
    before = rows()

    for changes in ({"webhook_status": "successful"}, {"created_at": 1795469999}, {"webhook_logs": [{"n": 1}]}):
        second = conekta.post(conekta.event(payment, event_id="evt-1", **changes))
        assert (second.status_code, second.content) == (first.status_code, first.content)

    assert rows() == before


def assert_not_believed(answer, before):
    assert_problem(answer, 401, "invalid_signature")
    assert answer["WWW-Authenticate"] == "DIGEST"
    assert rows() == before


def test_the_signature_is_over_the_raw_bytes(payment, conekta):
    raw = conekta.event(payment)
    digest = base64.b64encode(conekta.sign(raw)).decode()
    before = rows()

    for other in (
        json.dumps(json.loads(raw), separators=(",", ":")).encode(),
        json.dumps(json.loads(raw), indent=1).encode(),
        raw + b"\n",
        b" " + raw,
        raw.replace(b"25000", b"25001"),
    ):
        assert_not_believed(conekta.post(other, digest=digest), before)


def test_one_changed_bit_anywhere_is_not_believed(payment, conekta):
    raw = conekta.event(payment)
    digest = base64.b64encode(conekta.sign(raw)).decode()
    before = rows()

    for position in range(0, len(raw), 29):
        altered = bytearray(raw)
        altered[position] ^= 1 << position % 8
        assert_not_believed(conekta.post(bytes(altered), digest=digest), before)


@pytest.mark.parametrize(
    "digest", ["", " ", "x", "AAAA", "=", "é", "a" * 344, "A" * 5000, "sha256=AAAA", "Basic AAAA", "\0", "null"]
)
def test_a_missing_or_senseless_signature_is_not_believed(payment, conekta, digest):
    before = rows()

    assert_not_believed(conekta.post(conekta.event(payment), digest=digest), before)


def test_the_signature_of_another_body_or_key_is_not_believed(payment, conekta, second_key):
    raw = conekta.event(payment)
    before = rows()

    assert_not_believed(conekta.post(raw, digest=base64.b64encode(conekta.sign(b"{}")).decode()), before)
    assert_not_believed(conekta.post(raw, digest=sign_with(second_key, raw)), before)


def test_two_keys_are_believed_while_they_are_exchanged(payment, conekta, second_key):
    first_key = conekta.account.webhook_public_keys
    conekta.account.webhook_public_keys = [*first_key, pem(second_key)]
    conekta.account.save(update_fields=["webhook_public_keys"])
    charge = conekta.event(payment, "charge.paid", event_id="evt-1")
    order = conekta.event(payment, "order.paid", event_id="evt-2")

    by_old, by_new = conekta.post(charge), conekta.post(order, digest=sign_with(second_key, order))
    conekta.account.webhook_public_keys = [pem(second_key)]
    conekta.account.save(update_fields=["webhook_public_keys"])
    before = rows()

    assert told(by_old) == told(by_new) == RECEIVED
    assert_not_believed(conekta.post(conekta.event(payment, event_id="evt-3")), before)


def test_an_account_that_is_not_active_is_not_believed(payment, conekta):
    ProviderAccount.objects.filter(pk=conekta.account.pk).update(takes_new=False, hears_notices=False)
    before = rows()

    assert_not_believed(conekta.post(conekta.event(payment)), before)


def test_a_test_accounts_event_never_touches_a_live_payment(merchant, conekta, second_key, monkeypatch):
    monkeypatch.setattr(payment_service.kyc_case, "is_approved", lambda merchant: True)
    live_account(second_key)
    live = attach(make_payment(merchant, livemode=True), "ord_live")

    paid = conekta.post(conekta.event(live, event_id="evt-1"))
    expired = conekta.post(conekta.event(live, "order.expired", event_id="evt-2"))

    assert told(paid) == told(expired) == RECEIVED
    live.refresh_from_db()
    assert (live.status, live.amount_received) == ("pending", 0)
    deposit = Deposit.objects.get()
    assert (deposit.livemode, deposit.status, deposit.suspense_reason) == (False, "suspended", "unknown_order")
    assert balance.of_platform(livemode=True) == {}
    assert event_types() == []


def test_the_live_accounts_key_says_that_it_is_live(merchant, conekta, second_key, monkeypatch):
    monkeypatch.setattr(payment_service.kyc_case, "is_approved", lambda merchant: True)
    account = live_account(second_key)
    live = attach(make_payment(merchant, livemode=True), "ord_live")
    raw = conekta.event(live, livemode=True)

    conekta.post(raw, digest=sign_with(second_key, raw))

    live.refresh_from_db()
    event = ProviderEvent.objects.get()
    assert (live.status, event.account, event.livemode) == ("completed", account, True)
    assert balance.of_merchant(merchant, livemode=False).available == 0


def test_an_event_that_overtakes_the_answer_finds_its_payment_by_our_own_id(merchant, conekta):
    payment = make_payment(merchant)

    assert told(conekta.post(conekta.event(payment))) == RECEIVED

    payment.refresh_from_db()
    assert (payment.status, payment.order_id) == ("completed", None)
    assert Deposit.objects.get().status == "credited"


def test_an_unknown_order_is_money_in_suspense(payment, conekta):
    ghost = Payment(public_id="pay_00000000000000000000000000", amount=7_700, order_id="ord_unknown")

    assert told(conekta.post(conekta.event(ghost))) == RECEIVED

    deposit = Deposit.objects.get()
    assert (deposit.status, deposit.suspense_reason, deposit.payment) == ("suspended", "unknown_order", None)
    assert balance.of_platform(livemode=False) == {"conekta_receivable": 7_700, "suspense": 7_700}
    assert event_types() == []


def test_dollars_are_a_conflict_and_not_booked_as_pesos(payment, conekta):
    raw = conekta.event(payment).replace(b'"MXN"', b'"USD"')

    assert told(conekta.post(raw)) == RECEIVED

    event = ProviderEvent.objects.get()
    assert (event.status, event.reason) == ("conflict", "conflict: it reports USD, the books hold MXN only")
    assert Deposit.objects.count() == 0
    assert balance.of_platform(livemode=False) == {}
    payment.refresh_from_db()
    assert payment.status == "pending"


def test_money_that_does_not_fit_is_in_suspense_and_the_merchant_is_told(payment, conekta):
    raw = conekta.event(payment, amount=24_999)

    assert told(conekta.post(raw)) == RECEIVED

    payment.refresh_from_db()
    deposit = Deposit.objects.get()
    assert (payment.status, payment.amount_received) == ("pending", 0)
    assert (deposit.status, deposit.suspense_reason, deposit.payment) == ("suspended", "underpaid", payment)
    assert event_types() == ["payment.review_required"]


def test_a_second_payment_of_one_order_is_in_suspense(payment, conekta, merchant):
    conekta.post(conekta.event(payment, event_id="evt-1"))
    before = balance.of_merchant(merchant, livemode=False)

    conekta.post(conekta.event(payment, event_id="evt-2", charge_id="67c72196e777ac0001f2ffff"))

    after = balance.of_merchant(merchant, livemode=False)
    assert (after.available, after.pending) == (before.available, before.pending)
    assert list(Deposit.objects.order_by("pk").values_list("status", "suspense_reason")) == [
        ("credited", ""),
        ("suspended", "already_paid"),
    ]
    assert event_types() == ["payment.completed", "payment.review_required"]


@pytest.mark.parametrize(
    ("event_type", "status"),
    [("order.expired", "expired"), ("charge.expired", "expired"), ("order.canceled", "cancelled")],
)
def test_an_order_that_closes_closes_its_payment(payment, conekta, event_type, status):
    assert told(conekta.post(conekta.event(payment, event_type))) == RECEIVED

    payment.refresh_from_db()
    assert payment.status == status
    assert Deposit.objects.count() == 0
    assert event_types() == [f"payment.{status}"]


@pytest.mark.parametrize("closing", ["order.expired", "order.canceled"])
def test_late_money_is_accepted(payment, conekta, closing):
    conekta.post(conekta.event(payment, closing, event_id="evt-1"))

    conekta.post(conekta.event(payment, "order.paid", event_id="evt-2"))

    payment.refresh_from_db()
    assert (payment.status, payment.amount_received) == ("completed", 25_000)
    assert Deposit.objects.get().status == "credited"
    assert event_types()[-1] == "payment.completed"


@pytest.mark.parametrize(
    "taken", ["order.refunded", "order.charged_back", "charge.refunded", "charge.chargeback.created"]
)
def test_money_that_the_provider_took_back_is_in_the_queue_and_books_nothing(payment, conekta, merchant, taken):
    conekta.post(conekta.event(payment, "order.paid", event_id="evt-1"))
    before, available = rows(), balance.of_merchant(merchant, livemode=False)
    raw = conekta.event(payment, taken, event_id="evt-2")

    assert [told(conekta.post(raw)) for _ in range(2)] == [RECEIVED] * 2

    payment.refresh_from_db()
    event = ProviderEvent.objects.get(event_id="evt-2")
    assert (event.status, event.object_id) == ("conflict", payment.public_id)
    assert event.reason == f"conflict: {taken}, which nobody here asked for"
    assert health.measure().attention["conflict"] == 1
    assert rows() == {**before, "webhooks_providerevent": 2}
    assert payment.status == "completed"
    assert balance.of_merchant(merchant, livemode=False).pending == available.pending > 0


def test_returned_money_of_an_unknown_order_needs_no_review(payment, conekta, settings):
    settings.INBOX_TRIES = 0
    ghost = Payment(public_id="pay_00000000000000000000000000", amount=1, order_id="ord_unknown")

    assert told(conekta.post(conekta.event(ghost, "order.refunded"))) == RECEIVED

    assert inbox() == [("order.refunded", "ignored", "unmatched: no payment has this order")]


@pytest.mark.parametrize("closing", ["order.expired", "order.canceled"])
def test_a_paid_payment_does_not_close_any_more(payment, conekta, closing):
    conekta.post(conekta.event(payment, "order.paid", event_id="evt-1"))
    before = rows()

    assert told(conekta.post(conekta.event(payment, closing, event_id="evt-2"))) == RECEIVED

    payment.refresh_from_db()
    assert payment.status == "completed"
    assert rows() == {**before, "webhooks_providerevent": 2}
    assert inbox()[-1] == (closing, "ignored", "stale")


def test_a_closed_order_without_a_payment_changes_nothing(payment, conekta):
    before = rows()
    ghost = Payment(public_id="pay_00000000000000000000000000", amount=1, order_id="ord_unknown")

    assert told(conekta.post(conekta.event(ghost, "order.expired"))) == RECEIVED

    assert rows() == {**before, "webhooks_providerevent": 1}


@pytest.mark.parametrize("closing", ["order.expired", "charge.expired", "order.canceled"])
def test_the_closing_of_another_order_of_the_payment_changes_nothing(payment, conekta, closing):
    before = rows()
    other = Payment(public_id=payment.public_id, amount=payment.amount, order_id="ord_made_by_an_earlier_try")

    assert told(conekta.post(conekta.event(other, closing))) == RECEIVED

    payment.refresh_from_db()
    assert payment.status == "pending"
    assert rows() == {**before, "webhooks_providerevent": 1}
    event = ProviderEvent.objects.get()
    assert (event.status, event.reason, event.object_id) == ("ignored", "another_order", payment.public_id)


def test_the_closing_of_a_payments_order_overtakes_its_voucher(merchant, conekta):
    payment = make_payment(merchant)

    assert told(conekta.post(conekta.event(payment, "order.expired"))) == RECEIVED

    payment.refresh_from_db()
    assert (payment.status, payment.order_id) == ("expired", None)


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "webhook_ping", "data": {"action": "ping", "livemode": True}},
        {"type": "order.created"},
        {"type": "order.pending_payment"},
        {"type": "charge.pending_confirmation"},
        {"type": "customer.created", "data": None},
        {"type": "x" * 64, "data": []},
        {"type": "order.fraudulent", "id": None},
    ],
)
def test_a_ping_and_types_that_change_nothing_are_received_and_ignored(payment, conekta, changes):
    before = rows()

    assert told(conekta.post(conekta.event(payment, **changes))) == RECEIVED

    assert rows() == {**before, "webhooks_providerevent": 1}
    assert ProviderEvent.objects.get().status == "ignored"
