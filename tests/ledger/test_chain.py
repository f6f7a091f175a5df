"""The ledger's hash chain: transactions are sealed in order, and any change of sealed data breaks it."""

from __future__ import annotations

import threading
import time

import psycopg
import pytest
from django.db import connection, transaction

from ledger.models import Seal, Transaction
from ledger.services import chain
from merchants.models import Merchant
from tests import cluster
from tests.concurrency.threads import at_once, beside, soon
from tests.ledger.sabotage import audit, break_books, deposit, entry, triggers_off

pytestmark = pytest.mark.promise(
    "P31", "a word, amount, order or row changed in sealed books is found", unit="alterations"
)

DEPOSITS = 5


@pytest.fixture
def books(committed_db: None, merchant: Merchant) -> list[Transaction]:
    """Five deposits, sealed."""
    posted = [deposit(merchant, f"dep_{number}") for number in range(1, DEPOSITS + 1)]
    seal_all()
    assert audit("--chain")[:2] == (0, [])
    return posted


def seal_all() -> None:
    """Seal all postings; open transactions of other test databases may delay this briefly."""

    def done() -> bool:
        chain.seal()
        return Seal.objects.count() == Transaction.objects.count()

    assert soon(done)


def faults() -> list[str]:
    code, lines, _ = audit("--chain")
    assert code == (1 if lines else 0)
    return [line.removeprefix("FAULT: ") for line in lines]


def test_every_transaction_is_sealed_once_in_order(books):
    seals = list(Seal.objects.order_by("seq"))

    assert [seal.seq for seal in seals] == [1, 2, 3, 4, 5]
    assert [seal.transaction_id for seal in seals] == [posted.pk for posted in books]
    assert len({seal.hash for seal in seals}) == 5
    assert chain.seal() == 0
    assert audit("--chain")[2].splitlines()[1] == f"chain: 5 seals, head {seals[-1].hash}"
    assert "chain" not in audit()[2]


def test_a_seal_hashes_the_previous_seal_and_the_transaction(books):
    ((posted, entries),) = chain.links([books[2].pk])
    second, third = Seal.objects.order_by("seq")[1:3]

    assert chain.digest(second.hash, posted, entries) == third.hash
    assert chain.digest(second.hash, posted, entries[::-1]) == third.hash
    assert chain.digest(chain.GENESIS, posted, entries) != third.hash


SAID = [
    "description = 'SPEI deposit credited.'",
    "description = overlay(description PLACING 'T' FROM 1)",
    "kind = 'spei_deposiu'",
    "source = 'dep_X'",
    "public_id = overlay(public_id PLACING 'X' FROM 30)",
    "operating_date = operating_date + 1",
    "recorded_at = recorded_at + interval '1 microsecond'",
    "reverses_id = (SELECT min(id) FROM ledger_transaction)",
]


@pytest.mark.parametrize("change", SAID)
def test_a_changed_description_of_a_sealed_transaction_is_found(books, change):
    break_books(f"UPDATE ledger_transaction SET {change} WHERE source = 'dep_3'")
    name = Transaction.objects.get(pk=books[2].pk).public_id

    found = [line for line in faults() if line.startswith("seal")]

    assert found == [f"seal 3 does not fit {name}: one of them, or seal 2, was changed"]


def test_a_changed_time_of_a_sealed_transaction_is_found(books):
    later = "effective_at = effective_at + interval '1 microsecond'"
    break_books(
        f"UPDATE ledger_transaction SET {later} WHERE source = 'dep_3'",
        f"UPDATE ledger_entry SET {later} WHERE transaction_id = {books[2].pk}",
    )

    assert faults() == [f"seal 3 does not fit {books[2].public_id}: one of them, or seal 2, was changed"]


def test_changed_amounts_that_still_balance_are_found(books):
    break_books(
        *(
            f"UPDATE ledger_entry SET amount = amount + {sign}1 WHERE {entry(purpose, source)}"
            for source, signs in (("dep_2", "+-"), ("dep_3", "-+"))
            for purpose, sign in zip(("available", "fee_revenue"), signs, strict=True)
        )
    )

    assert faults() == [
        f"seal {number} does not fit {books[number - 1].public_id}: one of them, or seal {number - 1}, was changed"
        for number in (2, 3)
    ]


def test_money_moved_to_another_account_is_found(books):
    break_books(
        "UPDATE ledger_entry SET account_id = (SELECT id FROM ledger_account WHERE purpose = 'iva_payable') "
        f"WHERE {entry('fee_revenue', 'dep_3')}"
    )

    assert faults() == [f"seal 3 does not fit {books[2].public_id}: one of them, or seal 2, was changed"]


@pytest.mark.parametrize("number", [1, 3, 5])
def test_a_deleted_transaction_is_found(books, number):
    pk = books[number - 1].pk
    break_books(
        f"DELETE FROM ledger_entry WHERE transaction_id = {pk}", f"DELETE FROM ledger_transaction WHERE id = {pk}"
    )

    assert faults() == [f"seal {number}: its transaction does not exist"]


@pytest.mark.parametrize("number", [1, 3])
def test_a_transaction_deleted_with_its_seal_is_found_as_a_gap(books, number):
    pk = books[number - 1].pk
    break_books(
        f"DELETE FROM ledger_seal WHERE seq = {number}",
        f"DELETE FROM ledger_entry WHERE transaction_id = {pk}",
        f"DELETE FROM ledger_transaction WHERE id = {pk}",
    )

    assert faults() == [f"seals {number} to {number} are missing"]


def test_closing_the_gap_breaks_the_next_seal(books):
    pk = books[2].pk
    break_books(
        "DELETE FROM ledger_seal WHERE seq = 3",
        "UPDATE ledger_seal SET seq = seq - 1 WHERE seq = 4",
        "UPDATE ledger_seal SET seq = seq - 1 WHERE seq = 5",
        f"DELETE FROM ledger_entry WHERE transaction_id = {pk}",
        f"DELETE FROM ledger_transaction WHERE id = {pk}",
    )

    assert faults() == [f"seal 3 does not fit {books[3].public_id}: one of them, or seal 2, was changed"]


def test_a_recomputed_seal_breaks_the_next_one(books):
    break_books("UPDATE ledger_transaction SET description = 'Forged' WHERE source = 'dep_3'")
    ((posted, entries),) = chain.links([books[2].pk])
    forged = chain.digest(Seal.objects.get(seq=2).hash, posted, entries)
    break_books(f"UPDATE ledger_seal SET hash = '{forged}' WHERE seq = 3")

    assert faults() == [f"seal 4 does not fit {books[3].public_id}: one of them, or seal 3, was changed"]


def test_swapped_seals_are_found(books):
    third, fourth = books[2].pk, books[3].pk
    break_books(
        "UPDATE ledger_seal SET transaction_id = -1 WHERE seq = 3",
        f"UPDATE ledger_seal SET transaction_id = {third} WHERE seq = 4",
        f"UPDATE ledger_seal SET transaction_id = {fourth} WHERE seq = 3",
    )

    found = faults()

    assert found == [
        f"seal 3 does not fit {books[3].public_id}: one of them, or seal 2, was changed",
        f"seal 4 does not fit {books[2].public_id}: one of them, or seal 3, was changed",
        f"seal 4: {books[2].public_id} is out of order",
    ]


def test_a_backdated_insert_is_found(books):
    with triggers_off() as superuser:
        ((pk,),) = superuser.execute(
            "INSERT INTO ledger_transaction (public_id, kind, source, livemode, description, effective_at, "
            "operating_date, recorded_at, position) SELECT 'trx_forged', kind, 'dep_forged', livemode, description, "
            "effective_at, operating_date, recorded_at, position FROM ledger_transaction WHERE source = 'dep_3' "
            "RETURNING id"
        ).fetchall()
        superuser.execute(
            "INSERT INTO ledger_entry (transaction_id, account_id, amount, currency, position, effective_at) "
            f"SELECT {pk}, account_id, amount, currency, position, effective_at FROM ledger_entry "
            f"WHERE transaction_id = {books[2].pk}"
        )

    assert faults() == [
        "trx_forged has no seal but later ones have: it was inserted afterwards, or its seal was removed"
    ]
    assert chain.seal() == 0


def test_unsealed_transactions_are_a_warning_after_ten_minutes(committed_db, merchant):
    deposit(merchant, "dep_1")
    deposit(merchant, "dep_2")
    assert audit("--chain")[:2] == (0, [])
    break_books("UPDATE ledger_transaction SET recorded_at = recorded_at - interval '11 minutes'")

    def warned() -> bool:
        return audit("--chain")[:2] == (
            0,
            ["WARNING: 2 transactions older than ten minutes are not sealed yet: is the worker running?"],
        )

    assert soon(warned)


def test_an_open_older_transaction_delays_later_seals(committed_db, merchant):
    deposit(merchant, "dep_first")
    written, finish = threading.Event(), threading.Event()

    def older() -> None:
        with transaction.atomic():
            deposit(merchant, "dep_older")
            written.set()
            assert finish.wait(60)

    with beside(older, ends=finish):
        assert written.wait(60)
        deposit(merchant, "dep_later")

        chain.seal()
        assert Seal.objects.filter(transaction__source="dep_later").count() == 0

    seal_all()
    assert [seal.transaction.source for seal in Seal.objects.order_by("seq")] == [
        "dep_first",
        "dep_older",
        "dep_later",
    ]
    assert faults() == []


def test_a_rolled_back_transaction_leaves_no_gap(committed_db, merchant):
    deposit(merchant, "dep_1")
    with transaction.atomic():
        deposit(merchant, "dep_2")
        transaction.set_rollback(True)
    deposit(merchant, "dep_3")
    seal_all()

    assert list(Seal.objects.order_by("seq").values_list("seq", "transaction__source")) == [(1, "dep_1"), (2, "dep_3")]


def test_sealing_during_concurrent_postings_is_complete_and_ordered(committed_db, merchant, other_merchant):
    posting = threading.Event()
    posting.set()

    def post(number: int) -> None:
        for count in range(25):
            with transaction.atomic():
                deposit((merchant, other_merchant)[count % 2], f"dep_{number}_{count}")
                if count % 5 == number % 5:
                    time.sleep(0.02)

    def seal() -> int:
        sealed = 0
        while posting.is_set():
            sealed += chain.seal()
        return sealed

    def stop() -> None:
        assert soon(lambda: Transaction.objects.count() == 200)
        posting.clear()

    *_, first, second, _ = at_once([*(lambda number=number: post(number) for number in range(8)), seal, seal, stop])

    assert first + second == Seal.objects.count()
    seal_all()
    assert Seal.objects.count() == 200
    with connection.cursor() as cursor:
        cursor.execute("SELECT transaction_id FROM ledger_seal ORDER BY seq")
        sealed = cursor.fetchall()
        cursor.execute("SELECT id FROM ledger_transaction ORDER BY position, id")
        assert cursor.fetchall() == sealed
    assert faults() == []


def test_concurrent_sealing_is_serialized(committed_db, merchant, monkeypatch):
    monkeypatch.setattr(chain, "BATCH", 3)
    for number in range(40):
        deposit(merchant, f"dep_{number}")

    sealed = sum(at_once([chain.seal] * 4))

    assert sealed == Seal.objects.count()
    seal_all()
    assert Seal.objects.count() == 40
    assert faults() == []


def test_sealing_stops_at_its_limit_and_resumes(committed_db, merchant, monkeypatch):
    monkeypatch.setattr(chain, "BATCH", 2)
    for number in range(6):
        deposit(merchant, f"dep_{number}")

    assert soon(lambda: chain.seal(limit=4) == 4)
    seal_all()
    assert faults() == []


def test_the_application_cannot_change_seals(books):
    for statement in (
        "UPDATE ledger_seal SET seq = 9 WHERE seq = 5",
        "DELETE FROM ledger_seal",
        "TRUNCATE ledger_seal",
    ):
        with (
            psycopg.connect(cluster.url("payments_app")) as application,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            application.execute(statement)
