"""The worker applies open notices in time and once, and finally gives up with an error in the log."""

from __future__ import annotations

import base64
import logging
from datetime import timedelta

import pytest
import time_machine
from django.db import OperationalError, transaction

from core import clock
from ledger.services import balance
from payments.models import Deposit, Payment
from payments.providers.base import MoneyReceived
from tests.concurrency.threads import at_once
from tests.factories.oxxo import RECEIVED, attach, inbox, make_payment, told
from tests.problems import rows
from webhooks.inbound.jobs.provider_event import sweep_provider_events
from webhooks.inbound.services import applying, sweeper
from webhooks.inbound.services.store import IncomingNotice, insert
from webhooks.models import Channel, ProviderEvent, ProviderEventTransition

RESTS = [2 * 2**n for n in range(11)] + [3600]
"""Seconds before each try of the worker: 2, 4, … 2048, an hour; their sum is a bit over two hours."""
WEEK = timedelta(days=7)


def steps(event: ProviderEvent) -> list[tuple[str, str, str]]:
    return list(event.transitions.values_list("from_status", "to_status", "cause"))


def break_applying(monkeypatch, error: Exception) -> None:
    def broken(*args, **kwargs):
        raise error

    monkeypatch.setattr(applying.notice_service, "apply", broken)


def store_only(account, raw: bytes, key: str) -> ProviderEvent:
    """A notice whose process died between storing it and applying it."""
    with transaction.atomic():
        notice = IncomingNotice(account, Channel.STP_DEPOSITS, raw, clock.now())
        event = notice.event(digest=notice.digest, event_id=key, event_type="stp.deposit")
        insert(notice, event)
    assert event is not None
    return event


def test_a_failing_notice_is_dead_after_twelve_attempts_and_an_error_is_logged(
    committed_db, merchant, conekta, monkeypatch, caplog
):
    payment = attach(make_payment(merchant))
    break_applying(monkeypatch, ZeroDivisionError())
    tries = [clock.now()]
    with time_machine.travel(tries[0], tick=False) as clock_:
        assert conekta.post(conekta.event(payment)).status_code == 500
        for _ in range(12):
            event = ProviderEvent.objects.get()
            clock_.move_to(event.next_at - timedelta(milliseconds=1))
            sweeper.sweep()
            assert ProviderEvent.objects.get().attempts == event.attempts  # not before its time
            clock_.move_to(event.next_at)
            tries.append(clock.now())
            sweeper.sweep()

        event = ProviderEvent.objects.get()
        assert (event.status, event.attempts, event.next_at) == ("dead", 12, None)
        clock_.shift(timedelta(days=1))
        assert sweeper.sweep(now=clock.now() + timedelta(days=1)) == 0

    rests = [(b - a).total_seconds() for a, b in zip(tries, tries[1:], strict=False)]
    assert all(0.8 * wanted - 0.01 <= rest <= 1.2 * wanted + 0.01 for rest, wanted in zip(rests, RESTS, strict=True))
    given_up = [r for r in caplog.records if r.getMessage() == "a provider's notice was given up"]
    assert [(r.levelno, r.provider_event) for r in given_up] == [(logging.ERROR, event.public_id)]
    assert steps(event) == [
        ("received", "retry", "notice"),
        *[("retry", "retry", "worker")] * 11,
        ("retry", "dead", "worker"),
    ]


def test_a_notice_sent_again_after_it_was_given_up_is_applied(committed_db, merchant, conekta, monkeypatch, settings):
    settings.INBOX_TRIES = 0
    payment = attach(make_payment(merchant))
    raw = conekta.event(payment)
    with monkeypatch.context() as patched:
        break_applying(patched, ZeroDivisionError())
        assert conekta.post(raw).status_code == 500
    assert ProviderEvent.objects.get().status == "dead"

    assert told(conekta.post(raw)) == RECEIVED

    event = ProviderEvent.objects.get()
    assert (event.status, event.reason) == ("processed", "credited")
    assert steps(event) == [
        ("received", "dead", "notice"),
        ("dead", "retry", "notice"),
        ("retry", "processed", "notice"),
    ]
    assert Deposit.objects.count() == 1


def state(event: ProviderEvent) -> tuple[object, ...]:
    event.refresh_from_db()
    return event.status, event.attempts, event.next_at, event.last_error, event.transitions.count()


def send_state_nobody_can_read(stp, number: int):
    credentials = base64.b64encode(f"{stp.username}:{stp.secret}".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}"}
    body = f'{{"id": {number}}}'
    return stp.client.post("/webhooks/stp/orders", body, content_type="application/json", headers=headers)


def test_repetitions_during_a_fault_count_as_no_attempt_and_delay_no_retry(
    committed_db, merchant, stp, conekta, monkeypatch
):
    paid, closed = attach(make_payment(merchant)), Payment(public_id="", amount=25_000, order_id="ord_of_nobody")
    senders = [
        (lambda: conekta.post(conekta.event(paid, event_id="fails")), 500),
        (lambda: conekta.post(conekta.event(closed, "order.expired", event_id="unmatched")), 200),
        (lambda: conekta.post(b'{"id": "unreadable", "type": "order.paid"}'), 200),
        (lambda: send_state_nobody_can_read(stp, 7), 200),
    ]
    apply = applying.notice_service.apply

    def fail_on_money(account, notice, **more):
        if isinstance(notice, MoneyReceived):
            raise ZeroDivisionError
        return apply(account, notice, **more)

    with monkeypatch.context() as patched:
        patched.setattr(applying.notice_service, "apply", fail_on_money)
        assert [send().status_code for send, _ in senders] == [status for _, status in senders]
        events = list(ProviderEvent.objects.order_by("pk"))
        first = [state(event) for event in events]
        for send, status in senders:
            assert {send().status_code for _ in range(40)} == {status}

    assert [state(event) for event in events] == first
    assert [(event.status, event.attempts) for event in events] == [("retry", 0)] * 4
    assert conekta.post(conekta.event(paid, event_id="fails")).status_code == 200
    assert state(events[0])[:2] == ("processed", 1)
    assert Deposit.objects.count() == 1


def test_repeats_at_once_with_the_worker_leave_its_twelve_tries_alone(committed_db, merchant, conekta, monkeypatch):
    payment = attach(make_payment(merchant))
    break_applying(monkeypatch, ZeroDivisionError())
    raw = conekta.event(payment)
    conekta.post(raw)
    event = ProviderEvent.objects.get()

    for tries in range(1, 4):
        at_once([lambda: conekta.post(raw).status_code] * 4 + [lambda: sweeper.sweep(now=clock.now() + WEEK)])
        if state(event)[1] < tries:  # a repetition held the row, and the worker left it to its next sweep
            sweeper.sweep(now=clock.now() + WEEK)
        assert state(event)[:2] == ("retry", tries)

    assert event.transitions.count() == 4


def test_a_repetition_of_a_dead_unreadable_notice_changes_nothing(committed_db, conekta, settings):
    settings.INBOX_TRIES = 1
    raw = b'{"id": "e", "type": "order.paid"}'
    first = conekta.post(raw)
    sweeper.sweep(now=clock.now() + WEEK)
    event = ProviderEvent.objects.get()
    before, given_up = rows(), state(event)

    again = [conekta.post(raw) for _ in range(3)]

    assert {(answer.status_code, answer.content) for answer in again} == {(200, first.content)}
    assert (state(event), event.status) == (given_up, "dead")
    assert rows() == before


@pytest.mark.django_db
def test_what_is_settled_as_it_arrives_needs_no_step_beside_its_row(merchant, conekta):
    payment = attach(make_payment(merchant))

    conekta.post(conekta.event(payment))

    assert ProviderEventTransition.objects.count() == 0
    event = ProviderEvent.objects.get()
    assert (event.status, event.attempts, event.processed_at >= event.received_at) == ("processed", 1, True)


@pytest.mark.django_db
def test_a_closing_that_overtakes_its_order_is_applied_later(merchant, conekta):
    payment = make_payment(merchant)  # our request to Conekta is on its way
    ghost = Payment(public_id="", amount=25_000, order_id="ord_overtaken")

    assert told(conekta.post(conekta.event(ghost, "order.expired"))) == RECEIVED

    event = ProviderEvent.objects.get()
    assert (event.status, event.last_error) == ("retry", "unmatched: no payment has this order")
    assert (event.response_status, event.business_key) == (200, "ord_overtaken")

    attach(payment, "ord_overtaken")
    with time_machine.travel(event.next_at, tick=False):
        sweep_provider_events(0)

    payment.refresh_from_db()
    event.refresh_from_db()
    assert (payment.status, event.status, event.object_id) == ("expired", "processed", payment.public_id)
    assert steps(event) == [("received", "retry", "notice"), ("retry", "processed", "worker")]


@pytest.mark.django_db
def test_a_closing_of_an_order_that_never_appears_is_ignored_in_the_end(merchant, conekta, settings):
    settings.INBOX_TRIES = 3
    ghost = Payment(public_id="", amount=25_000, order_id="ord_of_nobody")
    conekta.post(conekta.event(ghost, "order.expired"))

    for _ in range(3):
        sweeper.sweep(now=clock.now() + timedelta(hours=2))

    assert inbox() == [("order.expired", "ignored", "unmatched: no payment has this order")]


@pytest.mark.django_db
def test_the_worker_applies_a_notice_of_a_killed_process(merchant, stp, api):
    clabe = api.post("/v1/payments", {"method": "spei", "amount": 100_000, "currency": "MXN"}).json()["spei"]["clabe"]
    raw = stp.deposit(clabe, 100_000)
    event = store_only(stp.account, raw, "20261120:40012:MBAN01002611200012345678")
    assert sweeper.sweep() == 0

    with time_machine.travel(clock.now() + timedelta(seconds=30), tick=False):
        assert sweeper.sweep() == 1

    event.refresh_from_db()
    assert (event.status, event.reason) == ("processed", "credited")
    assert steps(event) == [("received", "processed", "worker")]
    assert told(stp.post(raw)) == (200, {"mensaje": "confirmar"})
    assert balance.of_merchant(merchant, livemode=False).available == 98_840


def test_one_bad_notice_of_a_batch_stops_none_of_the_others(committed_db, merchant, stp, monkeypatch, settings):
    settings.INBOX_BATCH = 4
    keys = [f"K{n}" for n in range(9)]
    for key in keys:
        store_only(stp.account, stp.deposit("646180157099999997", 100, claveRastreo=key), key)
    apply = applying.notice_service.apply

    def fail_on_two(account, notice, **more):
        outcome = apply(account, notice, **more)
        if notice.tracking_key in ("K2", "K7"):
            raise RuntimeError("a bug")
        return outcome

    monkeypatch.setattr(applying.notice_service, "apply", fail_on_two)

    assert sweeper.sweep(now=clock.now() + timedelta(hours=2)) == 7

    assert {e.event_id: (e.status, e.attempts) for e in ProviderEvent.objects.all()} == {
        key: ("retry", 1) if key in ("K2", "K7") else ("processed", 1) for key in keys
    }
    assert Deposit.objects.count() == 7


def test_two_sweeps_at_once_share_the_work_and_apply_everything_once(
    committed_db, merchant, stp, settings, monkeypatch
):
    settings.INBOX_BATCH = 5
    apply, applied = applying.notice_service.apply, []

    def counted(account, notice, *, event_id, **more):
        applied.append(event_id)
        return apply(account, notice, event_id=event_id, **more)

    monkeypatch.setattr(applying.notice_service, "apply", counted)
    for number in range(60):
        store_only(stp.account, stp.deposit("646180157099999997", 100, claveRastreo=f"K{number}"), f"K{number}")
    later = clock.now() + timedelta(hours=2)

    settled = at_once([lambda: sweeper.sweep(now=later) for _ in range(4)])

    assert sum(settled) == 60
    assert len(applied) == len(set(applied)) == 60  # no notice is claimed twice
    assert Deposit.objects.count() == 60
    assert set(ProviderEvent.objects.values_list("status", "attempts")) == {("processed", 1)}
    assert ProviderEventTransition.objects.count() == 60


def test_a_database_that_goes_away_counts_against_no_notice(committed_db, merchant, stp, monkeypatch):
    store_only(stp.account, stp.deposit("646180157099999997", 100), "K")
    before = rows()

    def gone(*args, **kwargs):
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patched:
        patched.setattr(applying.notice_service, "apply", gone)
        patched.setattr(applying, "fail", gone)
        with pytest.raises(OperationalError):
            sweeper.sweep(now=clock.now() + timedelta(hours=2))

    assert rows() == before
    assert ProviderEvent.objects.get().attempts == 0


def test_a_locked_payment_never_makes_its_notice_dead(
    committed_db, production_timeouts, merchant, stp, api, owner, settings
):
    settings.INBOX_TRIES = 1
    made = api.post("/v1/payments", {"method": "spei", "amount": 100_000, "currency": "MXN"}).json()
    event = store_only(
        stp.account, stp.deposit(made["spei"]["clabe"], 100_000), "20261120:40012:MBAN01002611200012345678"
    )
    owner.execute("SELECT 1 FROM payments_payment FOR UPDATE")

    sweeper.sweep(now=clock.now() + timedelta(minutes=1))

    event.refresh_from_db()
    assert (event.status, event.attempts, event.last_error) == ("retry", 1, "OperationalError")
    owner.rollback()
    assert sweeper.sweep(now=clock.now() + timedelta(minutes=1)) == 1
    assert Deposit.objects.get().status == "credited"
