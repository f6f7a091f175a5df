"""The same money is booked once, whatever is delivered how often, in whatever order, at the same moment.

Sixteen threads deliver notices of the same payment at once, one payment after the other, over the real webhook views
and committing transactions. Without the lock on the payment's row, two deposits credit one payment twice.
"""

from __future__ import annotations

import base64
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from django.db import transaction
from django.db.models import Count, Sum
from django.http import HttpResponse
from django.test import Client

from core import clock
from ledger.models import Entry, Transaction
from ledger.services import balance
from merchants.models import Event
from payments.models import Deposit, DepositTransition, Payment, PaymentTransition
from tests.concurrency.threads import at_once
from tests.factories.payment import AMOUNT, make_payments
from tests.promises import pick
from webhooks.inbound.services import sweeper
from webhooks.inbound.services.store import IncomingNotice, insert
from webhooks.models import Channel, ProviderEvent

THREADS = 16
ROUNDS = pick(30, 200)
"""Payments in each test."""

NET = {"spei": 98_840, "oxxo": 96_636}
"""What 1,000 pesos leave to the merchant of the fixtures: 1 %, or 2.6 % and 3 pesos, and IVA on it."""

Send = Callable[[Client], object]


def deliver(rounds: Sequence[Sequence[Send]]) -> list[list[tuple[int, bytes]]]:
    """(status, body) of every answer: in each round, every thread sends its message at the same moment."""
    together = threading.Barrier(THREADS)

    def one_thread(number: int) -> list[tuple[int, bytes]]:
        client, answers = Client(raise_request_exception=False), []
        for messages in rounds:
            together.wait(timeout=300)
            try:
                answer = messages[number](client)
            except BaseException:
                together.abort()
                raise
            answers.append((answer.status_code, answer.content))  # type: ignore[attr-defined]
        return answers

    by_thread = at_once([lambda number=number: one_thread(number) for number in range(THREADS)])
    return [list(answers) for answers in zip(*by_thread, strict=True)]


def stp_message(stp, raw: bytes) -> Send:
    return lambda client: stp.post(raw, client=client)


def conekta_message(conekta, raw: bytes) -> Send:
    digest = base64.b64encode(conekta.sign(raw)).decode()
    return lambda client: conekta.post(raw, client=client, digest=digest)


def shuffled(*messages: tuple[Send, int], seed: float) -> list[Send]:
    """Every message as often as its number says, in a random order of threads."""
    sent = [message for message, times in messages for _ in range(times)]
    assert len(sent) == THREADS
    random.Random(seed).shuffle(sent)
    return sent


def journeys() -> dict[int, list[str]]:
    """Payment -> the states it came to, in order."""
    found: dict[int, list[str]] = {}
    for payment, state in PaymentTransition.objects.order_by("id").values_list("payment_id", "to_status"):
        found.setdefault(payment, []).append(state)
    return found


def assert_each_completed_once(merchant, method: str, payments: list[Payment]) -> None:
    count, kind = len(payments), {"spei": "spei_deposit", "oxxo": "oxxo_paid"}[method]
    assert Counter(Payment.objects.values_list("status", flat=True)) == {"completed": count}
    assert Counter(Transaction.objects.filter(kind=kind).values_list("source", flat=True)) == Counter(
        Deposit.objects.filter(status="credited").values_list("public_id", flat=True)
    )
    assert Transaction.objects.filter(kind=kind).count() == count
    completed = Event.objects.filter(type="payment.completed").values_list("object_id").annotate(n=Count("id"))
    assert dict(completed) == {payment.public_id: 1 for payment in payments}
    figures = balance.of_merchant(merchant, livemode=False)
    assert figures.available + figures.pending == count * NET[method]
    assert_books_are_sound()


def assert_books_are_sound() -> None:
    assert Entry.objects.aggregate(total=Sum("amount"))["total"] == 0
    assert Transaction.objects.count() == Deposit.objects.count() == DepositTransition.objects.count()
    for payment in Payment.objects.all():
        numbers = Event.objects.filter(object_id=payment.public_id).order_by("sequence")
        assert list(numbers.values_list("object_sequence", flat=True)) == list(range(1, numbers.count() + 1))


@pytest.mark.promise("P2", "16 threads deliver one SPEI deposit")
def test_one_spei_deposit_delivered_by_sixteen_threads_is_credited_once(trials, committed_db, merchant, stp):
    payments = make_payments(merchant, "spei", ROUNDS)
    rounds = [[stp_message(stp, stp.deposit(p.clabe, AMOUNT, claveRastreo=f"T{p.pk}"))] * THREADS for p in payments]

    answers = deliver(rounds)

    assert answers == [[(200, b'{"mensaje":"confirmar"}')] * THREADS] * len(payments)
    assert_each_completed_once(merchant, "spei", payments)
    assert journeys() == {payment.pk: ["pending", "completed"] for payment in payments}
    assert Counter(ProviderEvent.objects.values_list("status", "reason", "attempts")) == {
        ("processed", "credited", 1): len(payments)
    }
    trials.done(len(payments), "payments")


@pytest.mark.promise("P2", "16 threads deliver two events of one charge")
def test_order_paid_and_charge_paid_of_one_charge_are_one_deposit(trials, committed_db, merchant, conekta):
    payments = make_payments(merchant, "oxxo", ROUNDS)
    rounds = []
    for p in payments:
        order = conekta.event(p, "order.paid", event_id=f"order{p.pk}", charge_id=f"charge{p.pk}")
        charge = conekta.event(p, "charge.paid", event_id=f"charge{p.pk}", charge_id=f"charge{p.pk}")
        both = [(conekta_message(conekta, raw), THREADS // 2) for raw in (order, charge)]
        rounds.append(shuffled(*both, seed=p.pk))

    answers = deliver(rounds)

    assert answers == [[(200, b'{"received":true}')] * THREADS] * len(payments)
    assert_each_completed_once(merchant, "oxxo", payments)
    assert journeys() == {payment.pk: ["pending", "completed"] for payment in payments}
    assert Counter(ProviderEvent.objects.values_list("status", "reason", "attempts")) == {
        ("processed", "credited", 1): len(payments),
        ("ignored", "duplicate", 1): len(payments),
    }
    trials.done(len(payments), "payments")


@pytest.mark.promise("P2", "8 threads apply a stored notice while 8 deliver another of the same charge")
def test_a_stored_notice_and_a_fresh_one_of_the_same_charge_wait_for_each_other(
    trials, committed_db, merchant, conekta
):
    """A stored one holds its inbox row, then locks the payment; a fresh one locks the payment, then writes its row."""
    payments = make_payments(merchant, "oxxo", ROUNDS)
    rounds: list[list[Send]] = []
    for p in payments:
        stored = conekta.event(p, "order.paid", event_id=f"order{p.pk}", charge_id=f"charge{p.pk}")
        fresh = conekta.event(p, "charge.paid", event_id=f"charge{p.pk}", charge_id=f"charge{p.pk}")
        apply = stored_message(conekta, stored, f"order{p.pk}")
        rounds.append(shuffled((apply, THREADS // 2), (conekta_message(conekta, fresh), THREADS // 2), seed=p.pk))

    answers = deliver(rounds)

    assert {answer for answered in answers for answer in answered} <= {(200, b'{"received":true}'), (200, b"")}
    assert all(sweeper.sweep_one(event.pk) for event in ProviderEvent.objects.filter(status__in=("received", "retry")))
    assert_each_completed_once(merchant, "oxxo", payments)
    assert Counter(ProviderEvent.objects.values_list("status", "reason", "attempts")) == {
        ("processed", "credited", 1): len(payments),
        ("ignored", "duplicate", 1): len(payments),
    }
    trials.done(len(payments), "payments")


def stored_message(conekta, raw: bytes, event_id: str) -> Send:
    """What was stored and not applied, then applied as the worker does: 200 with no body."""
    notice = IncomingNotice(conekta.account, Channel.CONEKTA_EVENTS, raw, clock.now())
    event = notice.event(digest=notice.digest, event_id=event_id, event_type="order.paid")
    with transaction.atomic():
        insert(notice, event)

    def apply(client: Client) -> HttpResponse:
        sweeper.sweep_one(event.pk)
        return HttpResponse()

    return apply


@pytest.mark.promise("P2", "16 threads: pending, paid, charged, their repetitions, expired and cancelled, shuffled")
def test_every_event_of_a_payment_shuffled_over_sixteen_threads_ends_as_paid_once(
    trials, committed_db, merchant, conekta
):
    payments = make_payments(merchant, "oxxo", ROUNDS)
    rounds = []
    for p in payments:
        times = {"order.pending_payment": 2, "order.paid": 4, "charge.paid": 4, "order.expired": 3, "order.canceled": 3}
        raws = {kind: conekta.event(p, kind, event_id=f"{kind}{p.pk}", charge_id=f"charge{p.pk}") for kind in times}
        messages = [(conekta_message(conekta, raw), times[kind]) for kind, raw in raws.items()]
        rounds.append(shuffled(*messages, seed=trials.random.random()))

    answers = deliver(rounds)

    assert answers == [[(200, b'{"received":true}')] * THREADS] * len(payments)
    assert_each_completed_once(merchant, "oxxo", payments)
    ways = Counter(tuple(way) for way in journeys().values())
    on_time, expired, cancelled = (
        ways[way]
        for way in [
            ("pending", "completed"),
            ("pending", "expired", "completed"),
            ("pending", "cancelled", "completed"),
        ]
    )
    assert on_time + expired + cancelled == len(payments)
    assert Counter(ProviderEvent.objects.values_list("event_type", "status")) == +Counter(
        {
            ("order.pending_payment", "ignored"): len(payments),
            ("order.expired", "ignored"): len(payments) - expired,
            ("order.expired", "processed"): expired,
            ("order.canceled", "ignored"): len(payments) - cancelled,
            ("order.canceled", "processed"): cancelled,
            **paid_states(),
        }
    )
    trials.done(len(payments), "payments")
    trials.done(len(payments) * THREADS, "notices")


def paid_states() -> dict[tuple[str, str], int]:
    """Of each payment's two paid events one is processed; which one, chance decides."""
    found = {
        (kind, status): ProviderEvent.objects.filter(event_type=kind, status=status).count()
        for kind in ("order.paid", "charge.paid")
        for status in ("processed", "ignored")
    }
    for status in ("processed", "ignored"):
        assert found["order.paid", status] + found["charge.paid", status] == Payment.objects.count()
    return found


@pytest.mark.parametrize("first", ["order.paid", "order.expired"])
def test_what_comes_second_cannot_undo_what_came_first(committed_db, merchant, conekta, first):
    (payment,) = make_payments(merchant, "oxxo", 1)
    both = ["order.paid", "order.expired"] if first == "order.paid" else ["order.expired", "order.paid"]
    rounds = [
        [conekta_message(conekta, conekta.event(payment, kind, event_id=kind.replace(".", "")))] * THREADS
        for kind in both
    ]

    deliver(rounds)

    assert_each_completed_once(merchant, "oxxo", [payment])
    way = ["pending", "completed"] if first == "order.paid" else ["pending", "expired", "completed"]
    assert journeys() == {payment.pk: way}


def test_money_for_an_unknown_clabe_is_in_suspense_once(committed_db, merchant, stp):
    clabes = [f"64618015709999{n:04d}" for n in range(5)]
    rounds = [[stp_message(stp, stp.deposit(clabe, AMOUNT, claveRastreo=f"U{clabe}"))] * THREADS for clabe in clabes]

    answers = deliver(rounds)

    assert answers == [[(200, b'{"mensaje":"confirmar"}')] * THREADS] * len(clabes)
    assert Counter(Deposit.objects.values_list("status", "suspense_reason", "payment")) == {
        ("suspended", "unknown_clabe", None): len(clabes)
    }
    assert balance.of_platform(livemode=False) == {
        "stp_cash": len(clabes) * AMOUNT,
        "suspense": len(clabes) * AMOUNT,
    }
    assert Event.objects.count() == 0
    assert_books_are_sound()


def test_two_events_of_one_unknown_charge_are_in_suspense_once(committed_db, merchant, conekta):
    payments = [Payment(public_id=f"unknown{n}", amount=AMOUNT) for n in range(5)]
    rounds = []
    for p in payments:
        raws = [
            conekta.event(p, kind, event_id=f"{kind[:5]}{p.public_id}", charge_id=f"charge{p.public_id}")
            for kind in ("order.paid", "charge.paid")
        ]
        rounds.append(shuffled(*[(conekta_message(conekta, raw), 8) for raw in raws], seed=p.amount))

    answers = deliver(rounds)

    assert answers == [[(200, b'{"received":true}')] * THREADS] * len(payments)
    assert Counter(Deposit.objects.values_list("status", "suspense_reason")) == {
        ("suspended", "unknown_order"): len(payments)
    }
    assert balance.of_platform(livemode=False) == {
        "conekta_receivable": len(payments) * AMOUNT,
        "suspense": len(payments) * AMOUNT,
    }
    assert_books_are_sound()


@pytest.mark.promise("P2", "16 threads deliver two deposits of one payment")
def test_of_two_deposits_for_one_payment_one_is_credited_and_the_other_kept(trials, committed_db, merchant, stp):
    payments = make_payments(merchant, "spei", ROUNDS)
    rounds = []
    for p in payments:
        raws = [stp.deposit(p.clabe, AMOUNT, claveRastreo=f"{letter}{p.pk}") for letter in "AB"]
        rounds.append(shuffled(*[(stp_message(stp, raw), 8) for raw in raws], seed=p.pk))

    answers = deliver(rounds)

    assert answers == [[(200, b'{"mensaje":"confirmar"}')] * THREADS] * len(payments)
    assert_each_completed_once(merchant, "spei", payments)
    assert journeys() == {payment.pk: ["pending", "completed"] for payment in payments}
    kept = Deposit.objects.filter(status="suspended").values_list("payment_id", "suspense_reason")
    assert sorted(kept) == sorted((payment.pk, "already_paid") for payment in payments)
    assert balance.of_platform(livemode=False) == {
        "stp_cash": 2 * len(payments) * AMOUNT,
        "suspense": len(payments) * AMOUNT,
        "fee_revenue": len(payments) * 1_000,
        "iva_payable": len(payments) * 160,
    }
    trials.done(len(payments), "payments")
