"""Snapshots: a cache that stays correct under concurrent postings."""

from __future__ import annotations

import threading

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction

from core import clock
from ledger.models import Account, Seal, Snapshot, Transaction
from ledger.services import balance, chain, snapshot
from payments_site import release
from tests import cluster
from tests.concurrency.threads import at_once, beside, soon
from tests.ledger.sabotage import audit, deposit, place_hold, take_snapshots

DIFFERENT = """
    SELECT a.code, ledger_total(a.id), coalesce(sum(e.amount), 0)
    FROM ledger_account a LEFT JOIN ledger_entry e ON e.account_id = a.id
    GROUP BY a.id HAVING ledger_total(a.id) <> coalesce(sum(e.amount), 0)
"""


def wrong_balances() -> list[tuple[object, ...]]:
    """Accounts whose balance differs from the plain sum of their entries, read in one statement."""
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = '30s'")
        cursor.execute(DIFFERENT)
        return cursor.fetchall()


def test_the_first_snapshot_is_the_sum_of_the_entries(committed_db, merchant):
    assert snapshot.take(tail=1) == 0
    deposit(merchant)

    take_snapshots()

    totals = dict(Snapshot.objects.values_list("account__purpose", "total"))
    assert totals == {"stp_cash": 100_000, "available": -98_840, "fee_revenue": -1_000, "iva_payable": -160}
    assert wrong_balances() == []
    assert snapshot.take(tail=1) == 0


def test_only_accounts_with_a_long_tail_get_a_snapshot(committed_db, merchant, other_merchant):
    for number in range(3):
        deposit(merchant, f"dep_{number}")
    deposit(other_merchant, "dep_other")

    assert snapshot.take(tail=5) == 0
    assert soon(lambda: snapshot.take(tail=4) == 3)

    assert sorted(Snapshot.objects.values_list("account__purpose", flat=True)) == [
        "fee_revenue",
        "iva_payable",
        "stp_cash",
    ]
    assert balance.of_merchant(merchant, livemode=False).available == 3 * 98_840
    assert balance.of_platform(livemode=False)["stp_cash"] == 400_000


def test_a_snapshot_does_not_lose_an_open_posting(committed_db, merchant):
    written, finish = threading.Event(), threading.Event()

    def older() -> None:
        with transaction.atomic():
            deposit(merchant, "dep_older")
            written.set()
            assert finish.wait(60)

    deposit(merchant, "dep_first")
    with beside(older, ends=finish):
        assert written.wait(60)
        deposit(merchant, "dep_later")
        snapshot.take(tail=1)
        older_position = Transaction.objects.get(source="dep_later").position

        assert all(position < older_position for position in Snapshot.objects.values_list("position", flat=True))
        assert balance.of_merchant(merchant, livemode=False).available == 2 * 98_840

    assert balance.of_merchant(merchant, livemode=False).available == 3 * 98_840
    take_snapshots()
    assert balance.of_merchant(merchant, livemode=False).available == 3 * 98_840
    assert wrong_balances() == []


def test_a_snapshot_never_moves_back(committed_db, merchant):
    deposit(merchant)
    take_snapshots()
    before = dict(Snapshot.objects.values_list("account", "position"))

    deposit(merchant, "dep_2")
    at_once([lambda: snapshot.take(tail=1)] * 6)

    after = dict(Snapshot.objects.values_list("account", "position"))
    assert all(after[account] >= position for account, position in before.items())
    assert wrong_balances() == []


def test_balances_are_correct_during_postings_and_snapshots(committed_db, merchant, other_merchant):
    going = threading.Event()
    going.set()
    for owner in (merchant, other_merchant):
        deposit(owner, f"dep_{owner.public_id}")

    def post(number: int) -> None:
        for count in range(20):
            who = (merchant, other_merchant)[count % 2]
            if count % 4:
                deposit(who, f"dep_{number}_{count}")
            else:
                place_hold(who, f"po_{number}_{count}", 100)

    def take() -> int:
        taken = 0
        while going.is_set():
            taken += snapshot.take(tail=1)
        return taken

    def watch() -> list[tuple[object, ...]]:
        wrong: list[tuple[object, ...]] = []
        while going.is_set():
            wrong += wrong_balances()
        return wrong

    def stop() -> None:
        assert soon(lambda: Transaction.objects.count() == 162)
        going.clear()

    posts = [lambda number=number: post(number) for number in range(8)]
    *_, first, second, wrong, _ = at_once([*posts, take, take, watch, stop])

    assert wrong == []
    assert first + second > 0
    assert wrong_balances() == []
    held = sum(balance.of_merchant(owner, livemode=False).reserved for owner in (merchant, other_merchant))
    assert held == 8 * 5 * 100
    assert audit()[:2] == (0, [])


def test_past_balances_do_not_depend_on_snapshots(committed_db, merchant):
    moment = clock.now()
    deposit(merchant, "dep_1")
    between = clock.now()
    deposit(merchant, "dep_2")
    take_snapshots()
    account = Account.objects.get(purpose="available")

    assert balance.balance_at(account, moment) == 0
    assert balance.balance_at(account, between) == 98_840
    assert balance.balance_at(account, clock.now()) == 2 * 98_840


def test_positions_continue_after_a_restore_into_a_new_cluster(committed_db, merchant):
    """As after logical replication, which copies rows but not the counter."""
    with psycopg.connect(cluster.url("payments_owner"), autocommit=True) as owner:
        deposit(merchant, "dep_old_1")
        deposit(merchant, "dep_old_2")
        take_snapshots()
        chain.seal()
        deposit(merchant, "dep_old_tail")
        owner.execute("SELECT setval('ledger_position_counter', 1)")
    with pytest.raises(IntegrityError, match=r"positions fell behind .* run manage\.py release"):
        deposit(merchant, "dep_too_soon")

    said: list[str] = []
    release._raise_counters(said.append)

    assert any("ledger_position_counter" in line for line in said)
    assert balance.of_merchant(merchant, livemode=False).available == 3 * 98_840
    deposit(merchant, "dep_new")
    positions = list(Transaction.objects.order_by("id").values_list("position", flat=True))
    assert positions == sorted(set(positions))
    assert balance.of_merchant(merchant, livemode=False).available == 4 * 98_840
    take_snapshots()
    assert balance.of_merchant(merchant, livemode=False).available == 4 * 98_840
    assert wrong_balances() == []

    def all_sealed() -> bool:
        chain.seal()
        return Seal.objects.count() == 4

    assert soon(all_sealed)
    assert [seal.transaction.source for seal in Seal.objects.order_by("seq")] == [
        "dep_old_1",
        "dep_old_2",
        "dep_old_tail",
        "dep_new",
    ]
    assert audit("--chain")[:2] == (0, [])
