"""Group commit: concurrent notices share a transaction, and a fault of one never affects another."""

from __future__ import annotations

import base64
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from django.db import connection, connections, transaction
from django.test import Client

from core import request_context
from ledger.models import Entry
from payments.models import Deposit, Payment
from payments.services import notice as notice_service
from tests.concurrency.threads import soon
from tests.factories.notice import RECEIVED, Send, assert_each_paid_once, paid, sending
from tests.factories.payment import make_payment, make_payments
from webhooks.inbound.services import group_commit
from webhooks.models import ProviderEvent, ProviderEventTransition

AMOUNT = 100_000


def deliver_together(lead: Send, sends: Sequence[Send], monkeypatch) -> list[tuple[int, bytes]]:
    """The answers of ``sends``, all of which wait while ``lead`` is being carried out."""
    carry_out, leads, goes_on = group_commit._process, threading.Event(), threading.Event()

    def holding(group):
        if not leads.is_set():
            leads.set()
            assert goes_on.wait(timeout=60)
        carry_out(group)

    def run(send: Send) -> tuple[int, bytes]:
        try:
            answer = send()
            return answer.status_code, answer.content
        finally:
            connections.close_all()

    monkeypatch.setattr(group_commit, "_process", holding)
    with ThreadPoolExecutor(len(sends) + 1) as pool:
        first = pool.submit(run, lead)
        assert leads.wait(timeout=60)
        others = [pool.submit(run, send) for send in sends]
        gathered = soon(lambda: len(group_commit._queue) == len(sends))
        goes_on.set()
        assert gathered
        assert first.result()[0] == 200
        return [other.result() for other in others]


def transactions(model: type[Any], **which: Any) -> list[int]:
    """How many rows each transaction wrote, the most first."""
    rows = model.objects.filter(**which).extra(select={"by": f"{model._meta.db_table}.xmin::text"})
    return sorted(Counter(row.by for row in rows).values(), reverse=True)


@contextmanager
def held(payment: Payment) -> Iterator[None]:
    with transaction.atomic():
        Payment.objects.select_for_update().get(pk=payment.pk)
        yield


def test_what_waits_while_another_is_carried_out_shares_a_transaction(
    committed_db, merchant, conekta, groups, monkeypatch
):
    lead, *payments = make_payments(merchant, "oxxo", 6)

    answers = deliver_together(paid(conekta, lead), [paid(conekta, p) for p in payments], monkeypatch)

    assert answers == [RECEIVED] * 5
    assert groups == [1, 5]
    assert transactions(ProviderEvent) == transactions(Deposit) == [5, 1]
    assert_each_paid_once([lead, *payments])
    assert Counter(ProviderEvent.objects.values_list("status", "reason", "attempts")) == {
        ("processed", "credited", 1): 6
    }
    assert ProviderEventTransition.objects.count() == 0


def test_a_group_is_no_larger_than_the_setting_says(committed_db, merchant, conekta, groups, monkeypatch, settings):
    settings.INBOX_TOGETHER = 2
    lead, *payments = make_payments(merchant, "oxxo", 6)

    deliver_together(paid(conekta, lead), [paid(conekta, p) for p in payments], monkeypatch)

    assert sorted(groups) == [1, 1, 2, 2]
    assert_each_paid_once([lead, *payments])


def test_a_setting_of_one_turns_group_commit_off(committed_db, merchant, conekta, groups, settings):
    settings.INBOX_TOGETHER = 1
    (payment,) = make_payments(merchant, "oxxo", 1)

    assert paid(conekta, payment)().status_code == 200

    assert groups == []
    assert_each_paid_once([payment])


def test_notices_of_different_kinds_wait_together_and_each_ends_as_it_would_alone(
    committed_db, merchant, conekta, stp, groups, monkeypatch
):
    lead, oxxo, expired, unknown = make_payments(merchant, "oxxo", 4)
    spei = make_payment(merchant, "spei")
    ignored = conekta.event(oxxo, "customer.created", event_id="ignored")
    other_order = conekta.event(unknown, event_id="unmatched").replace(unknown.public_id.encode(), b"pay_nobody")
    sends = [
        paid(conekta, oxxo),
        sending(conekta, conekta.event(expired, "order.expired", event_id="expired")),
        sending(conekta, ignored),
        sending(conekta, b'{"no": "event"}'),
        sending(conekta, other_order),
        lambda: stp.post(stp.deposit(spei.clabe, AMOUNT), client=Client()),
    ]

    answers = deliver_together(paid(conekta, lead), sends, monkeypatch)

    assert answers == [RECEIVED] * 5 + [(200, b'{"mensaje":"confirmar"}')]
    assert groups == [1, 6]
    found = dict(ProviderEvent.objects.values_list("event_id", "status"))
    assert len(found) == 7
    assert Counter(found.values()) == {"processed": 5, "ignored": 1, "retry": 1}
    assert dict(Payment.objects.values_list("pk", "status")) == {
        lead.pk: "completed",
        oxxo.pk: "completed",
        expired.pk: "expired",
        unknown.pk: "pending",
        spei.pk: "completed",
    }
    assert Deposit.objects.filter(status="suspended").count() == 1  # an unknown order


def test_a_locked_payment_delays_no_other_notice(committed_db, merchant, conekta, groups, monkeypatch):
    lead, busy, free = make_payments(merchant, "oxxo", 3)
    answered, let_go = threading.Event(), threading.Event()

    def tell() -> Any:
        answer = paid(conekta, free)()
        answered.set()
        return answer

    def hold() -> None:
        try:
            with held(busy):
                holding.set()
                assert let_go.wait(timeout=60)
        finally:
            connections.close_all()

    holding, holder = threading.Event(), threading.Thread(target=hold)
    holder.start()
    assert holding.wait(timeout=60)
    watcher = threading.Thread(target=lambda: (answered.wait(timeout=30), let_go.set()))
    watcher.start()

    answers = deliver_together(paid(conekta, lead), [paid(conekta, busy), tell], monkeypatch)

    holder.join()
    watcher.join()
    assert answers == [RECEIVED] * 2
    assert groups == [1, 2]
    assert (
        ProviderEvent.objects.get(event_id=f"order{free.pk}").pk
        < ProviderEvent.objects.get(event_id=f"order{busy.pk}").pk
    )
    assert_each_paid_once([lead, busy, free])


def test_two_notices_of_one_payment_in_a_group_are_one_after_the_other(
    committed_db, merchant, conekta, groups, monkeypatch
):
    lead, payment, neighbour = make_payments(merchant, "oxxo", 3)
    again = conekta.event(payment, "charge.paid", event_id="other", charge_id=f"charge{payment.pk}")
    sends = [paid(conekta, payment), sending(conekta, again), paid(conekta, neighbour)]

    answers = deliver_together(paid(conekta, lead), sends, monkeypatch)

    assert answers == [RECEIVED] * 3
    assert groups == [1, 3]
    assert transactions(ProviderEvent) == [2, 1, 1]  # the neighbour shares the first one's
    assert_each_paid_once([lead, payment, neighbour])
    assert Counter(ProviderEvent.objects.values_list("status", "reason")) == {
        ("processed", "credited"): 3,
        ("ignored", "duplicate"): 1,
    }


def test_the_second_notice_with_one_id_in_a_group_is_a_conflict(committed_db, merchant, conekta, groups, monkeypatch):
    lead, payment = make_payments(merchant, "oxxo", 2)
    kinds = [sending(conekta, conekta.event(payment, f"customer.{what}", event_id="one")) for what in ("new", "gone")]

    answers = deliver_together(paid(conekta, lead), kinds, monkeypatch)

    assert answers == [RECEIVED] * 2
    assert groups == [1, 2]
    assert Counter(ProviderEvent.objects.exclude(event_type="order.paid").values_list("status", flat=True)) == {
        "ignored": 1,
        "conflict": 1,
    }


def test_one_notice_twice_in_a_group_is_stored_once_and_answered_twice(
    committed_db, merchant, conekta, groups, monkeypatch
):
    lead, payment, neighbour = make_payments(merchant, "oxxo", 3)
    ignored = sending(conekta, conekta.event(payment, "customer.created", event_id="ignored"))
    monkeypatch.setattr("webhooks.inbound.services.inbox._MAX_RECENT", 0)  # as if they came to other processes
    sends = [paid(conekta, payment), paid(conekta, payment), ignored, ignored, paid(conekta, neighbour)]

    answers = deliver_together(paid(conekta, lead), sends, monkeypatch)

    assert answers == [RECEIVED] * 5
    assert groups == [1, 5]
    assert transactions(ProviderEvent, event_type="order.paid") == [2, 1]
    assert_each_paid_once([lead, payment, neighbour])
    assert ProviderEvent.objects.count() == 4


def test_a_notice_that_cannot_be_applied_does_not_take_its_neighbours_along(
    committed_db, merchant, conekta, groups, monkeypatch
):
    lead, bad, *good = make_payments(merchant, "oxxo", 5)
    apply = notice_service.apply

    def failing(account, notice, **given):
        outcome = apply(account, notice, **given)
        if getattr(notice, "payment_id", "") == bad.public_id:
            raise ArithmeticError("this one alone")
        return outcome

    monkeypatch.setattr(notice_service, "apply", failing)

    answers = deliver_together(paid(conekta, lead), [paid(conekta, p) for p in (bad, *good)], monkeypatch)

    assert [status for status, _ in answers] == [500, 200, 200, 200]
    assert dict(ProviderEvent.objects.values_list("event_id", "status")) == {
        f"order{p.pk}": "retry" if p == bad else "processed" for p in (lead, bad, *good)
    }
    assert dict(Payment.objects.values_list("pk", "status")) == {
        p.pk: "pending" if p == bad else "completed" for p in (lead, bad, *good)
    }


def test_what_the_database_refuses_of_one_notice_does_not_take_its_neighbours_along(
    committed_db, merchant, conekta, groups, monkeypatch, owner
):
    lead, bad, *good = make_payments(merchant, "oxxo", 4)
    owner.execute(f"ALTER TABLE payments_deposit ADD CHECK (deposit_key NOT LIKE '%charge{bad.pk}')")  # noqa: S608
    owner.commit()

    answers = deliver_together(paid(conekta, lead), [paid(conekta, p) for p in (bad, *good)], monkeypatch)

    assert [status for status, _ in answers] == [500, 200, 200]
    assert groups == [1, 3]
    assert dict(Payment.objects.values_list("pk", "status")) == {
        p.pk: "pending" if p == bad else "completed" for p in (lead, bad, *good)
    }
    assert Entry.objects.count() == 4 * 3


def test_notices_of_a_group_with_a_broken_connection_are_processed_individually(
    committed_db, merchant, conekta, groups, monkeypatch, owner
):
    """Nothing of the group is committed; who led hears 503 and sends again, the others use other connections."""
    lead, *payments = make_payments(merchant, "oxxo", 4)
    execute = group_commit.execute_together

    def broken(changes, *, commit):
        if len(changes) > 1:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                owner.execute("SELECT pg_terminate_backend(%s)", cursor.fetchone())
        execute(changes, commit=commit)

    monkeypatch.setattr(group_commit, "execute_together", broken)
    sends = [paid(conekta, p) for p in payments]

    answers = deliver_together(paid(conekta, lead), sends, monkeypatch)

    assert sorted(status for status, _ in answers) in ([200, 200, 200], [200, 200, 503])
    assert [send().status_code for send in sends] == [200] * 3
    assert_each_paid_once([lead, *payments])


def test_log_lines_of_a_group_name_the_request_that_they_are_about(
    committed_db, merchant, conekta, groups, monkeypatch
):
    lead, *payments = make_payments(merchant, "oxxo", 4)
    seen, apply = {}, notice_service.apply

    def watching(account, notice, **given):
        seen[notice.payment_id] = request_context.current()["request_id"]
        return apply(account, notice, **given)

    monkeypatch.setattr(notice_service, "apply", watching)

    def named(payment: Payment) -> Send:
        raw = conekta.event(payment, "order.paid", event_id=f"order{payment.pk}", charge_id=f"charge{payment.pk}")
        headers = {"DIGEST": base64.b64encode(conekta.sign(raw)).decode(), "X-Request-Id": f"request-{payment.pk}"}
        return lambda: Client().post("/webhooks/conekta", raw, content_type="application/json", headers=headers)

    deliver_together(paid(conekta, lead), [named(p) for p in payments], monkeypatch)

    assert groups == [1, 3]
    assert {p.public_id: seen[p.public_id] for p in payments} == {p.public_id: f"request-{p.pk}" for p in payments}
