"""Conekta's events that need review: conflicts and unreadable events."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import pytest

from ledger.services import balance
from payments.models import Deposit, Payment
from payments.providers.conekta.messages import parse_event
from payments.services import payment as payment_service
from tests.factories.oxxo import (
    RECEIVED,
    attach,
    event_types,
    inbox,
    live_account,
    make_payment,
    sign_with,
    sweep_all,
    told,
)
from tests.problems import rows
from webhooks.inbound.services.dialect import DIALECTS
from webhooks.models import Channel, ProviderEvent

pytestmark = pytest.mark.django_db


@pytest.fixture
def payment(merchant, conekta) -> Payment:
    return attach(make_payment(merchant))


@pytest.mark.parametrize(
    "other",
    [
        {"amount": 99_999},
        {"charge_id": "another"},
        {"event_type": "charge.paid"},
        {"event_type": "order.expired"},
        {"event_type": "order.created"},
        {"data": {"object": None}},
    ],
)
def test_one_event_id_that_says_something_else_is_a_conflict_and_books_nothing(payment, conekta, merchant, other):
    first = conekta.post(conekta.event(payment, event_id="evt-1"))
    before, held = rows(), balance.of_platform(livemode=False)
    raw = conekta.event(payment, event_id="evt-1", **other)

    answers = [conekta.post(raw) for _ in range(3)]

    assert {(a.status_code, a.content) for a in answers} == {(first.status_code, first.content)}
    assert rows() == {**before, "webhooks_providerevent": 2}
    assert balance.of_platform(livemode=False) == held
    kept, conflict = ProviderEvent.objects.order_by("pk")
    assert (kept.event_id, kept.status, kept.reason) == ("evt-1", "processed", "credited")
    assert (conflict.event_id, conflict.body) == (f"evt-1:{hashlib.sha256(raw).hexdigest()[:16]}", raw)
    assert (conflict.status, conflict.reason, conflict.attempts) == (
        "conflict",
        "another notice with this id said something else",
        1,
    )
    assert conekta.post(kept.body).content == first.content
    assert sweep_all() == 0


def test_one_event_id_of_another_order_or_currency_is_a_conflict(payment, conekta):
    raw = conekta.event(payment, event_id="evt-1")
    conekta.post(raw)
    before = rows()

    for changed in (raw.replace(b"ord_2xayxSvfWzQ2TLz7r", b"ord_other"), raw.replace(b'"MXN"', b'"USD"')):
        assert told(conekta.post(changed)) == RECEIVED

    assert rows() == {**before, "webhooks_providerevent": 3}
    assert [status for _, status, _ in inbox()] == ["processed", "conflict", "conflict"]


def test_a_deposit_reported_again_with_another_amount_is_a_conflict(payment, conekta, merchant):
    conekta.post(conekta.event(payment, "charge.paid", event_id="evt-1"))
    before = rows()
    raw = conekta.event(payment, "order.paid", event_id="evt-2", amount=25_001)

    assert told(conekta.post(raw)) == told(conekta.post(raw)) == RECEIVED

    assert rows() == {**before, "webhooks_providerevent": 2}
    assert inbox()[-1] == ("order.paid", "conflict", "conflict: the deposit it reports is booked otherwise")
    assert ProviderEvent.objects.order_by("pk").last().object_id == Deposit.objects.get().public_id
    assert Deposit.objects.get().amount == 25_000


@pytest.mark.parametrize("event_type", ["order.paid", "charge.paid", "order.expired", "order.canceled"])
def test_an_event_that_says_the_other_mode_is_a_conflict_and_books_nothing(payment, conekta, event_type):
    before = rows()
    raw = conekta.event(payment, event_type, livemode=True)

    answers = [conekta.post(raw) for _ in range(2)]

    assert [told(answer) for answer in answers] == [RECEIVED, RECEIVED]
    payment.refresh_from_db()
    assert (payment.status, payment.amount_received) == ("pending", 0)
    assert rows() == {**before, "webhooks_providerevent": 1}
    assert inbox() == [(event_type, "conflict", "conflict: it says live, the account is not")]
    assert ProviderEvent.objects.get().livemode is False


def test_a_test_event_signed_by_the_live_key_is_a_conflict(merchant, conekta, second_key, monkeypatch):
    monkeypatch.setattr(payment_service.kyc_case, "is_approved", lambda merchant: True)
    live_account(second_key)
    live = attach(make_payment(merchant, livemode=True), "ord_live")
    raw = conekta.event(live, livemode=False)

    assert told(conekta.post(raw, digest=sign_with(second_key, raw))) == RECEIVED

    live.refresh_from_db()
    assert live.status == "pending"
    assert inbox() == [("order.paid", "conflict", "conflict: it says test, the account is not")]


@pytest.mark.parametrize("unsaid", [None, "true", 1, "absent"])
def test_an_event_that_says_no_mode_has_its_accounts(payment, conekta, unsaid):
    body = json.loads(conekta.event(payment, livemode=unsaid))
    if unsaid == "absent":
        del body["livemode"]

    assert told(conekta.post(json.dumps(body).encode())) == RECEIVED

    assert inbox() == [("order.paid", "processed", "credited")]


def without_charges(conekta, payment: Payment) -> bytes:
    """``order.paid`` as Conekta's documentation shows it."""
    order = {"id": payment.order_id, "object": "order", "amount": 25_000, "currency": "MXN", "payment_status": "paid"}
    return conekta.event(payment, data={"object": order | {"livemode": False}, "previous_attributes": {}})


def two_paid_charges(conekta, payment: Payment) -> bytes:
    body = json.loads(conekta.event(payment))
    charges = body["data"]["object"]["charges"]["data"]
    charges.append(charges[0] | {"id": "67c72196e777ac0001f2ffff"})
    return json.dumps(body).encode()


def float_amount(conekta, payment: Payment) -> bytes:
    return conekta.event(payment).replace(b'"amount": 25000', b'"amount": 25000.0')


UNREADABLE = pytest.mark.parametrize("write", [without_charges, two_paid_charges, float_amount])


@UNREADABLE
def test_a_paid_event_that_cannot_be_read_is_kept_for_another_try(payment, conekta, write):
    raw, before = write(conekta, payment), rows()

    answers = [conekta.post(raw) for _ in range(3)]

    assert {(a.status_code, a.content) for a in answers} == {(200, b'{"received":true}')}
    assert rows() == {**before, "webhooks_providerevent": 1}
    event = ProviderEvent.objects.get()
    assert (event.event_id, event.event_type) == ("6307a60c41de27127515a575", "order.paid")
    assert (event.status, event.attempts, event.body) == ("retry", 0, raw)
    assert event.last_error.startswith("unreadable: data.object.charges")
    assert event.processed_at is None
    assert sweep_all() == 0
    event.refresh_from_db()
    assert (event.status, event.attempts) == ("retry", 1)


@UNREADABLE
def test_an_unreadable_event_is_applied_once_it_can_be_read(payment, conekta, merchant, monkeypatch, write):
    conekta.post(write(conekta, payment))
    raw = conekta.event(payment)

    def read_better(_, *, received_at):
        return parse_event(raw, received_at=received_at)

    better = dataclasses.replace(DIALECTS[Channel.CONEKTA_EVENTS], parse=read_better)
    monkeypatch.setitem(DIALECTS, Channel.CONEKTA_EVENTS, better)

    assert sweep_all() == 1
    assert sweep_all() == 0

    payment.refresh_from_db()
    assert (payment.status, payment.amount_received) == ("completed", 25_000)
    assert event_types() == ["payment.completed"]
    event = ProviderEvent.objects.get()
    assert (event.status, event.reason, event.attempts) == ("processed", "credited", 1)
    assert (event.object_id, event.response_status, event.response_body) == (payment.public_id, *RECEIVED)


def test_a_readable_event_beside_an_unreadable_one_books_nothing_twice(payment, conekta):
    conekta.post(two_paid_charges(conekta, payment))

    conekta.post(conekta.event(payment, "charge.paid", event_id="evt-2"))

    payment.refresh_from_db()
    assert payment.status == "completed"
    assert [status for _, status, _ in inbox()] == ["retry", "processed"]
    assert sweep_all() == 0
    assert Deposit.objects.count() == 1


@pytest.mark.parametrize("event_type", ["order.expired", "charge.expired", "order.canceled"])
def test_a_closing_that_cannot_be_read_is_kept_for_another_try(payment, conekta, event_type):
    assert told(conekta.post(conekta.event(payment, event_type, data={"object": {}}))) == RECEIVED

    payment.refresh_from_db()
    assert payment.status == "pending"
    assert inbox() == [(event_type, "retry", "")]
