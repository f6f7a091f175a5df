"""Each invariant is broken in turn: a breach opens and closes the gate; after the repair it clears."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
import pytest
from django.apps import apps
from django.db import connection, transaction

from core import invariants
from core.invariants import Fault
from ledger.models import Breach, Entry
from ledger.services import gate, hold, invariant
from ledger.services.gate import GateClosed
from ledger.services.hold import lock
from merchants.models import Merchant
from tests import cluster
from tests.factories.adjustment import decide, person, propose
from tests.ledger.sabotage import (
    audit,
    break_books,
    deposit,
    entry,
    now,
    place_hold,
    set_trigger,
    take_snapshots,
    triggers,
)


@dataclass(frozen=True)
class Sabotage:
    """SQL that breaks the invariants in ``broken``, SQL that repairs them, and ``whose`` money is stopped."""

    name: str
    broken: set[str]
    statements: tuple[str, ...]
    repair: tuple[str, ...]
    whose: str


def add(amount: int, where: str) -> str:
    return f"UPDATE ledger_entry SET amount = amount + {amount} WHERE {where}"


def book_cash_as(purpose: str, now_on: str) -> str:
    return (
        f"UPDATE ledger_entry SET account_id = (SELECT id FROM ledger_account WHERE code = 'platform:{purpose}') "
        f"WHERE {entry(now_on)}"
    )


AVAILABLE = "account_id = (SELECT account_id FROM ledger_entry WHERE " + entry("available") + ")"
ADJUSTED = "transaction_id = (SELECT id FROM ledger_transaction WHERE kind = 'adjustment') AND "
SABOTAGES = [
    Sabotage(
        "entries_sum_to_zero",
        {"entries_sum_to_zero", "transactions_balance"},
        (add(1, entry("stp_cash")),),
        (add(-1, entry("stp_cash")),),
        "all",
    ),
    Sabotage(
        "transactions_balance",
        {"transactions_balance"},
        (add(1, entry("stp_cash", "dep_1")), add(-1, entry("stp_cash", "dep_2"))),
        (add(-1, entry("stp_cash", "dep_1")), add(1, entry("stp_cash", "dep_2"))),
        "all",
    ),
    Sabotage(
        "floors_hold",
        {"floors_hold"},
        (add(300_000, entry("available")), add(-300_000, entry("fee_revenue"))),
        (add(-300_000, entry("available")), add(300_000, entry("fee_revenue"))),
        "merchant",
    ),
    Sabotage(
        "snapshots_match",
        {"snapshots_match", "entries_sum_to_zero"},
        (f"UPDATE ledger_snapshot SET total = total - 5 WHERE {AVAILABLE}",),
        (f"UPDATE ledger_snapshot SET total = total + 5 WHERE {AVAILABLE}",),
        "merchant",
    ),
    Sabotage(
        "reserved_is_held",
        {"reserved_is_held"},
        ("UPDATE ledger_hold SET amount = amount + 1 WHERE source = 'po_1'",),
        ("UPDATE ledger_hold SET amount = amount - 1 WHERE source = 'po_1'",),
        "merchant",
    ),
    Sabotage(
        "adjustments_approved",
        {"adjustments_approved"},
        ("UPDATE staff_vote SET user_id = (SELECT id FROM auth_user WHERE username = 'ana')",),
        ("UPDATE staff_vote SET user_id = (SELECT id FROM auth_user WHERE username = 'berta')",),
        "all",
    ),
    Sabotage(
        "adjustments_approved",
        {"adjustments_approved"},
        ("UPDATE ledger_transaction SET kind = 'adjustment' WHERE source = 'dep_2'",),
        ("UPDATE ledger_transaction SET kind = 'spei_deposit' WHERE source = 'dep_2'",),
        "all",
    ),
    Sabotage(
        "adjustments_approved",
        {"adjustments_approved"},
        (add(1, ADJUSTED + "amount > 0"), add(-1, ADJUSTED + "amount < 0")),
        (add(-1, ADJUSTED + "amount > 0"), add(1, ADJUSTED + "amount < 0")),
        "all",
    ),
    Sabotage(
        "covered",
        {"covered"},
        (book_cash_as("fee_revenue", "stp_cash"),),
        (
            "UPDATE ledger_entry SET account_id = (SELECT id FROM ledger_account WHERE code = 'platform:stp_cash') "
            "WHERE amount = 100000 AND transaction_id = (SELECT id FROM ledger_transaction WHERE source = 'dep_1')",
        ),
        "all",
    ),
]


@pytest.fixture
def books(committed_db: None, merchant: Merchant, other_merchant: Merchant) -> None:
    """Two deposits and a hold of the merchant, two deposits of the other, an adjustment."""
    for source in ("dep_1", "dep_2"):
        deposit(merchant, source)
    place_hold(merchant)
    deposit(other_merchant, "dep_3")
    deposit(other_merchant, "dep_4")
    ana, berta = person("ana", "add_approval"), person("berta", "decide_approval")
    decide(propose(ana, legs=[("platform:losses", 10), ("platform:stp_cash", -10)]), berta)
    assert invariant.check() == []


def refuses(merchant: Merchant | None, *, livemode: bool = False, account: str = "pac_1") -> bool:
    """True if the gate is closed for this money."""
    try:
        gate.require_open(merchant, livemode=livemode, provider_account=account)
    except GateClosed:
        return True
    return False


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda sabotage: sabotage.name)
def test_a_broken_invariant_closes_the_gate_until_it_is_repaired(books, merchant, other_merchant, sabotage):
    if sabotage.name == "snapshots_match":
        take_snapshots()
    break_books(*sabotage.statements)

    broken = invariant.check()

    assert set(broken) == sabotage.broken
    breach = Breach.objects.get(invariant=sabotage.name, cleared_at=None)
    assert breach.merchant == (merchant if sabotage.whose == "merchant" else None)
    assert (breach.livemode, breach.provider_account) == (False, "")
    assert breach.message
    assert refuses(merchant)
    assert refuses(other_merchant) == (sabotage.broken != {sabotage.name} or sabotage.whose == "all")
    assert not any(refuses(who, livemode=True) for who in (None, merchant, other_merchant))

    break_books(*sabotage.repair)

    assert invariant.check() == []
    breach.refresh_from_db()
    assert breach.cleared_at is not None
    assert not refuses(merchant)
    assert not refuses(other_merchant)


def declared_triggers() -> list[tuple[str, str]]:
    return [
        (model._meta.db_table, trigger.get_pgid(model))
        for app in ("ledger", "staff", "merchants")
        for model in apps.get_app_config(app).get_models()
        for trigger in getattr(model._meta, "triggers", ())
    ]


def test_a_disabled_trigger_stops_all_outgoing_money(books, merchant, other_merchant):
    assert len(declared_triggers()) >= 14
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        for number, (table, name) in enumerate(declared_triggers()):
            set_trigger(connection, table, name, ("DISABLE", "ENABLE", "ENABLE REPLICA")[number % 3])

            assert invariant.check() == ["guards_enabled"], (table, name)
            assert Breach.objects.get(cleared_at=None).message == f"{name} on {table} is missing or disabled"
            assert refuses(other_merchant)
            assert refuses(other_merchant, livemode=True)

            set_trigger(connection, table, name, "ENABLE ALWAYS")
            assert invariant.check() == []
        table, name = "ledger_entry", triggers(connection, "ledger_entry")[0]
        connection.execute(f"DROP TRIGGER {name} ON {table}")

    assert invariant.check() == ["guards_enabled"]
    assert refuses(merchant)
    assert refuses(other_merchant)


def test_a_breach_is_one_row_until_it_is_cleared(books, merchant):
    break_books("UPDATE ledger_hold SET amount = amount + 1")
    for _ in range(3):
        invariant.check()
    break_books("UPDATE ledger_hold SET amount = amount - 1")
    invariant.check()
    break_books("UPDATE ledger_hold SET amount = amount + 1")
    invariant.check()

    breaches = Breach.objects.order_by("id")
    assert [(b.invariant, b.merchant, b.cleared_at is None) for b in breaches] == [
        ("reserved_is_held", merchant, False),
        ("reserved_is_held", merchant, True),
    ]


def test_a_check_that_raises_counts_as_broken(books, merchant, other_merchant, monkeypatch, caplog):
    def find() -> list[Fault]:
        raise ZeroDivisionError

    monkeypatch.setitem(invariants._registered, "test", invariants.Invariant("test", "Raises.", find))

    assert invariant.check() == ["test"]

    assert Breach.objects.get(cleared_at=None).message == "could not be checked: ZeroDivisionError"
    assert refuses(merchant)
    assert refuses(other_merchant, livemode=True)
    assert "an invariant could not be checked" in caplog.text
    monkeypatch.delitem(invariants._registered, "test")


def test_a_check_that_breaks_its_transaction_does_not_hide_the_others(books, monkeypatch):
    def find() -> list[Fault]:
        return [Fault(str(Entry.objects.extra(where=["no such column"]).count()))]  # noqa: S610

    monkeypatch.setitem(invariants._registered, "a_test", invariants.Invariant("a_test", "Fails.", find))
    break_books("UPDATE ledger_hold SET amount = amount + 1")

    assert invariant.check() == ["a_test", "reserved_is_held"]


def test_too_many_faults_stop_the_whole_mode(books, merchant, other_merchant, monkeypatch):
    merchants = [Merchant.objects.create(name=f"M{n}", legal_name=f"M{n}") for n in range(invariant.SHOWN)]
    faults = [Fault("broken", found.pk, livemode=False) for found in [*merchants, merchant]]
    faults.append(Fault("broken", merchant.pk, livemode=True))
    monkeypatch.setitem(invariants._registered, "test", invariants.Invariant("test", "A flood.", lambda: faults))

    invariant.check()

    for who in (None, merchants[0], merchant, other_merchant):
        assert refuses(who)
        assert refuses(who, livemode=True) == (who == merchant)


@pytest.mark.django_db
def test_a_fault_of_a_provider_account_stops_only_that_account(merchant, monkeypatch):
    fault = Fault("STP says 5 centavos less", livemode=True, provider_account="pac_2")
    monkeypatch.setitem(invariants._registered, "test", invariants.Invariant("test", "One account.", lambda: [fault]))

    assert invariant.check() == ["test"]

    stopped = [
        (account, livemode)
        for account in ("pac_1", "pac_2", "pac_3")
        for livemode in (True, False)
        for who in (merchant, None)
        if refuses(who, livemode=livemode, account=account)
    ]
    assert stopped == [("pac_2", True)] * 2
    assert [str(found) for found in gate.broken()] == ["test (live)"]
    monkeypatch.setitem(invariants._registered, "test", invariants.Invariant("test", "One account.", list))
    assert invariant.check() == []
    assert not refuses(merchant, livemode=True, account="pac_2")


@pytest.mark.django_db
def test_breaches_open_and_clear_by_scope(merchant, other_merchant, monkeypatch):
    faults = [
        Fault("a", merchant.pk, livemode=True),
        Fault("b", merchant.pk, livemode=False),
        Fault("c", merchant.pk, livemode=False),
        Fault("d", other_merchant.pk, livemode=False),
        Fault("e", livemode=True, provider_account="pac_2"),
    ]
    monkeypatch.setitem(invariants._registered, "test", invariants.Invariant("test", "Many.", lambda: list(faults)))

    for _ in range(2):
        invariant.check()
    assert sorted(Breach.objects.values_list("message", "cleared_at")) == [
        (text, None) for text in ("a", "b; c", "d", "e")
    ]
    del faults[1:3]
    invariant.check()

    assert sorted(Breach.objects.filter(cleared_at=None).values_list("message", flat=True)) == ["a", "d", "e"]
    assert (refuses(merchant), refuses(merchant, livemode=True), refuses(other_merchant)) == (False, True, True)


@pytest.mark.parametrize("scope", [{"merchant_id": 1}, {"provider_account": "pac_1"}])
def test_a_fault_of_a_merchant_or_account_requires_a_mode(scope):
    with pytest.raises(ValueError, match="names its mode"):
        Fault("broken", **scope)

    assert Fault("broken", livemode=False, **scope).livemode is False


def test_a_changed_old_entry_differs_from_the_snapshot(books, merchant):
    take_snapshots()
    break_books(
        add(1, entry("stp_cash")),
        "UPDATE ledger_transaction SET recorded_at = recorded_at - interval '2 hours'",
    )

    assert invariant.check() == ["snapshots_match"]
    assert refuses(merchant)


def test_an_old_fault_stays_a_breach(books, merchant):
    take_snapshots()
    break_books(
        add(1, entry("stp_cash", "dep_1")),
        add(-1, entry("stp_cash", "dep_2")),
        f"UPDATE ledger_snapshot SET total = total - 5 WHERE {AVAILABLE}",
    )
    invariant.check()

    break_books(
        "UPDATE ledger_transaction SET recorded_at = recorded_at - interval '2 hours'",
        "UPDATE ledger_breach SET found_at = found_at - interval '2 hours'",
        f"UPDATE ledger_snapshot SET taken_at = taken_at - interval '2 hours' WHERE {AVAILABLE}",
    )
    for number in range(12):
        new = Merchant.objects.create(name=f"M{number}", legal_name=f"M{number}")
        deposit(new, f"dep_new_{number}")
    take_snapshots()

    assert {"transactions_balance", "snapshots_match"} <= set(invariant.check())
    assert refuses(merchant)


def test_a_wrong_snapshot_that_advanced_is_still_found(books, merchant):
    take_snapshots()
    assert invariant.check() == []
    break_books(f"UPDATE ledger_snapshot SET total = total - 5 WHERE {AVAILABLE}")
    deposit(merchant, "dep_new")
    take_snapshots()

    assert set(invariant.check()) == {"snapshots_match", "entries_sum_to_zero"}
    assert set(invariant.check()) == {"snapshots_match", "entries_sum_to_zero"}

    break_books(f"UPDATE ledger_snapshot SET total = total + 5 WHERE {AVAILABLE}")
    assert invariant.check() == []


def test_the_check_of_snapshots_is_incremental(books, merchant):
    take_snapshots()
    invariant.check()
    read = (
        "SELECT sum(position - checked_position), count(*) FILTER (WHERE total <> checked_total) FROM ledger_snapshot"
    )

    with connection.cursor() as cursor:
        cursor.execute(read)
        assert cursor.fetchone() == (0, 0)
    break_books(add(1, entry("stp_cash", "dep_1")), add(-1, entry("stp_cash", "dep_2")))
    assert invariant.check() == ["transactions_balance"]  # older entries are checked by the audit
    break_books(add(7, entry("stp_cash", "dep_1")))
    assert "snapshots_match" not in invariant.check()
    assert any("the snapshot of platform:stp_cash" in line for line in audit()[1])


def test_a_hold_placed_before_the_breach_can_still_be_resolved(books, merchant):
    breaking = place_hold(merchant, "po_2")
    break_books(add(1, entry("stp_cash", "dep_1")), add(-1, entry("stp_cash", "dep_2")))
    invariant.check()

    with transaction.atomic():
        hold.release(lock(breaking.pk).pk, when=now())

    assert invariant.check() == ["transactions_balance"]
