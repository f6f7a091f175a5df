"""A keyed request writes by one statement: a repetition, and a write beside that statement, leave nothing behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction

from core import jobs
from core.errors import InsufficientFunds
from core.unit_of_work import separately, unit_of_work
from core.write_guard import WriteBesideUnit
from core.writes import Writes, fetch
from ledger.models import Hold, Transaction
from ledger.services import balance, hold, invariant
from merchants.models import Event, IdempotencyKey, Merchant
from merchants.services import idempotency_key
from merchants.services.idempotency_key import KeyedRequest
from payments.models import Payment
from payments.services import payment as payment_service
from tests.concurrency.threads import at_once
from tests.ledger.books import fund, when
from tests.problems import rows

SPEI = {"method": "spei", "amount": 100_000, "currency": "MXN"}


def keyed_request(merchant: Merchant, key: str) -> KeyedRequest:
    return KeyedRequest(merchant, False, key, "POST", "/v1/payouts", "0" * 64, {})


def by_django(merchant: Merchant) -> None:
    Merchant.objects.filter(pk=merchant.pk).update(name="Another")


def by_saving(merchant: Merchant) -> None:
    Event.objects.create(merchant=merchant, livemode=False, type="x", object_id="pay_1", object_sequence=1, data={})


def by_a_statement(merchant: Merchant) -> None:
    fetch("UPDATE merchants_merchant SET name = 'Another' WHERE id = $1 RETURNING id", [merchant.pk])


def by_writes_of_its_own(merchant: Merchant) -> None:
    writes = Writes()
    writes.update(merchant, "name")
    writes.execute()


def by_separate_writes(merchant: Merchant) -> None:
    with separately() as writes:
        writes.update(merchant, "name")


def by_a_writing_query(merchant: Merchant) -> None:
    fetch("WITH w AS (DELETE FROM merchants_merchant WHERE id = $1 RETURNING id) SELECT id FROM w", [merchant.pk])


def by_a_writing_function(merchant: Merchant) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT setval('ledger_position_counter', 7)")


def by_a_job_that_bypasses_the_unit(merchant: Merchant) -> None:
    jobs.app.configure_task("payments.expire_payments", allow_unknown=True).defer(timestamp=0)


AROUND = [
    by_django,
    by_saving,
    by_a_statement,
    by_writes_of_its_own,
    by_separate_writes,
    by_a_writing_query,
    by_a_writing_function,
    by_a_job_that_bypasses_the_unit,
]


@pytest.mark.django_db
@pytest.mark.parametrize("write", AROUND)
def test_a_write_beside_the_unit_is_refused(
    api: Any,
    stp: Any,
    merchant: Merchant,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    write: Callable[[Merchant], None],
) -> None:
    create = payment_service.create

    def create_and_write(*args: Any, **kwargs: Any) -> Payment:
        payment = create(*args, **kwargs)
        write(merchant)
        return payment

    monkeypatch.setattr(payment_service, "create", create_and_write)
    before = rows()

    answers = [api.post("/v1/payments", SPEI) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [500, 500]
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [WriteBesideUnit] * 2
    assert rows() == before


@pytest.mark.django_db
def test_a_job_of_a_keyed_request_is_deferred_once_and_not_by_a_repetition(merchant: Merchant) -> None:
    def once() -> int | None:
        with unit_of_work(keyed=True) as unit:
            jobs.defer("payments.expire_payments", timestamp=0)
            idempotency_key.claim(unit, keyed_request(merchant, "k-1"), "po_1", status=201, answer="{}")
        return unit.condition_id

    def waiting() -> int:
        return int(
            fetch("SELECT count(*) FROM procrastinate_jobs WHERE task_name = $1", ["payments.expire_payments"])[0][0]
        )

    before = waiting()

    assert once() is not None
    assert once() is None

    assert waiting() == before + 1


def place(merchant: Merchant, key: str, source: str, amount: int) -> str:
    """What a keyed creation of a payout will do with its hold: its outcome in one word."""
    try:
        with unit_of_work(keyed=True) as unit:
            hold.place(merchant, livemode=False, source=source, amount=amount, purpose=Hold.Purpose.PAYOUT, when=when())
            idempotency_key.claim(unit, keyed_request(merchant, key), source, status=201, answer="{}")
    except InsufficientFunds:
        return "refused"
    return "replayed" if unit.condition_id is None else "placed"


@pytest.mark.usefixtures("committed_db")
def test_32_concurrent_holds_under_one_key_place_one(merchant: Merchant) -> None:
    with transaction.atomic():
        fund("available", 100_000, merchant)

    outcomes = at_once([lambda n=n: place(merchant, "k-1", f"po_{n}", 1_000) for n in range(32)])

    assert Counter(outcomes) == {"placed": 1, "replayed": 31}
    assert (Hold.objects.count(), Transaction.objects.filter(kind="payout_created").count()) == (1, 1)
    assert IdempotencyKey.objects.get().object_id == Hold.objects.get().source
    assert balance.of_merchant(merchant, livemode=False).reserved == 1_000
    assert invariant.check() == []


@pytest.mark.usefixtures("committed_db")
def test_32_concurrent_holds_under_keys_of_their_own_take_what_is_there(merchant: Merchant) -> None:
    with transaction.atomic():
        fund("available", 10_500, merchant)

    outcomes = at_once([lambda n=n: place(merchant, f"k-{n}", f"po_{n}", 1_000) for n in range(32)])

    assert Counter(outcomes) == {"placed": 10, "refused": 22}
    assert (Hold.objects.count(), IdempotencyKey.objects.count()) == (10, 10)
    assert balance.of_merchant(merchant, livemode=False).available == 500
    assert balance.of_merchant(merchant, livemode=False).reserved == 10_000


@pytest.mark.django_db
def test_a_second_debit_in_one_unit_sees_the_first(merchant: Merchant) -> None:
    fund("available", 1_500, merchant)

    with pytest.raises(InsufficientFunds), unit_of_work():  # noqa: PT012 - raised by the second
        for source in ("po_1", "po_2"):
            hold.place(merchant, livemode=False, source=source, amount=1_000, purpose=Hold.Purpose.PAYOUT, when=when())

    assert Hold.objects.count() == 0
    assert balance.of_merchant(merchant, livemode=False).available == 1_500
