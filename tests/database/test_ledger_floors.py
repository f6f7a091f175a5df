"""No account with a floor falls below it, and a hold is what it was placed as: raw SQL by app and owner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import psycopg
import pytest
from psycopg import IsolationLevel, errors

from tests import cluster
from tests.database.conftest import APP, OWNER, Attacker
from tests.database.raw_books import CHECK_DEFERRED, account, entries, new_transaction, post

pytestmark = pytest.mark.promise("P8", "raw SQL: debits below an account's floor", unit="attacks")

FLOORED = ["mer_%:available", "mer_%:reserved", "mer_%:debt", "platform:suspense", "platform:suspense_reserved"]


@pytest.fixture
def cash(attacker):
    return account(attacker, "platform:stp_cash")


def held(attacker: Attacker, pk: int) -> int:
    """The balance on the account's normal side."""
    return attacker.run(
        "SELECT CASE normal_side WHEN 'debit' THEN 1 ELSE -1 END * ledger_total(id) FROM ledger_account WHERE id = %s",
        pk,
    )


@pytest.mark.parametrize("code", FLOORED)
def test_all_that_an_account_holds_may_be_taken_and_not_a_centavo_more(attacker, cash, code):
    floored = account(attacker, code)
    side = -1 if code.endswith("debt") else 1
    post(attacker, "some", (floored, -side * 300), (cash, side * 300))
    all_of_it = held(attacker, floored)
    assert all_of_it >= 300

    with attacker.attempt():
        post(attacker, "all", (floored, side * all_of_it), (cash, -side * all_of_it))
        attacker.run(CHECK_DEFERRED)
        assert held(attacker, floored) == 0
    with attacker.attempt():
        post(attacker, "more", (floored, side * (all_of_it + 1)), (cash, -side * (all_of_it + 1)))
        attacker.refused(CHECK_DEFERRED, by=errors.CheckViolation, saying="would fall to -1, below its floor")

    assert held(attacker, floored) == all_of_it


@pytest.mark.parametrize("role", [APP, OWNER])
def test_the_commit_itself_is_refused(world, role):
    with psycopg.connect(cluster.url(role)) as connection:
        attacker = Attacker(role, connection)
        available, cash = account(attacker, "mer_%:available"), account(attacker, "platform:stp_cash")
        before = held(attacker, available)
        post(attacker, "more", (available, before + 1), (cash, -before - 1))

        with pytest.raises(errors.CheckViolation, match="below its floor") as refusal:
            connection.commit()

        assert refusal.value.diag.constraint_name == "account_floor"
        assert held(attacker, available) == before
        assert attacker.run("SELECT count(*) FROM ledger_transaction WHERE source = 'more'") == 0


@pytest.mark.parametrize("how", ["in several transactions", "in several legs", "under a savepoint"])
def test_debits_that_are_covered_one_by_one_are_refused_together(attacker, cash, how):
    available = account(attacker, "mer_%:available")
    part = held(attacker, available) // 2 + 1

    match how:
        case "in several transactions":
            post(attacker, "one", (available, part), (cash, -part))
            post(attacker, "two", (available, part), (cash, -part))
        case "in several legs":
            post(attacker, "one", (available, part), (available, part), (cash, -2 * part))
        case _:
            post(attacker, "one", (available, part), (cash, -part))
            with attacker.connection.transaction():
                post(attacker, "two", (available, part), (cash, -part))

    attacker.refused(CHECK_DEFERRED, by=errors.CheckViolation, saying="would fall to -2, below its floor")


def test_after_an_early_check_further_debits_are_checked_as_well(attacker, cash):
    available = account(attacker, "mer_%:available")
    before = held(attacker, available)
    checked = post(attacker, "one", (available, 1), (cash, -1))
    attacker.run(CHECK_DEFERRED)

    attacker.refused(
        entries((checked, available, before), (checked, cash, -before)),
        by=errors.CheckViolation,
        saying="all entries are inserted at once",
    )
    attacker.run("SET CONSTRAINTS ALL DEFERRED")
    attacker.refused(entries((checked, available, before), (checked, cash, -before)), by=errors.CheckViolation)
    post(attacker, "two", (available, before), (cash, -before))
    attacker.refused(CHECK_DEFERRED, by=errors.CheckViolation, saying="would fall to -1, below its floor")

    assert held(attacker, available) == -1  # still uncommitted, and it cannot be committed


def test_with_checks_made_immediate_a_transaction_must_come_with_its_entries(attacker):
    attacker.run(CHECK_DEFERRED)

    with pytest.raises(errors.CheckViolation, match="has no entries"), attacker.attempt():
        new_transaction(attacker)


def test_money_that_comes_in_the_same_transaction_may_be_taken(attacker, cash):
    available = account(attacker, "mer_%:available")
    more = held(attacker, available) + 500

    post(attacker, "taken", (available, more), (cash, -more))
    post(attacker, "given", (cash, 500), (available, -500))

    attacker.run(CHECK_DEFERRED)
    assert held(attacker, available) == 0


@pytest.fixture
def two_sessions(world: None, request: pytest.FixtureRequest) -> Iterator[tuple[Attacker, Attacker]]:
    with ExitStack() as stack:
        connections = [stack.enter_context(psycopg.connect(cluster.url(APP))) for _ in range(2)]
        yield tuple(Attacker(APP, connection) for connection in connections)  # type: ignore[misc]
        for connection in connections:
            connection.rollback()


def test_a_check_waits_for_the_debit_that_is_not_committed_yet(two_sessions):
    first, second = two_sessions
    available, cash = account(first, "mer_%:available"), account(first, "platform:stp_cash")
    most = held(first, available) - 10
    post(first, "one", (available, most), (cash, -most))
    first.run(CHECK_DEFERRED)
    post(second, "two", (available, most), (cash, -most))

    second.run("SET LOCAL lock_timeout = '200ms'")

    second.refused(CHECK_DEFERRED, by=errors.LockNotAvailable)
    first.connection.rollback()
    second.run(CHECK_DEFERRED)


@pytest.mark.parametrize("level", [IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE])
def test_a_debit_that_cannot_see_other_debits_is_refused(world, level):
    with psycopg.connect(cluster.url(APP)) as connection:
        connection.isolation_level = level
        blind = Attacker(APP, connection)
        available, cash = account(blind, "mer_%:available"), account(blind, "platform:stp_cash")
        before = held(blind, available)
        post(blind, "blind", (available, 1), (cash, -1))

        blind.refused(CHECK_DEFERRED, by=errors.CheckViolation, saying="isolation level that hides other debits")

        connection.rollback()
        assert held(blind, available) == before


@pytest.mark.parametrize(
    "purpose", ["available", "pending", "reserved", "blocked", "debt", "suspense", "suspense_reserved"]
)
@pytest.mark.parametrize(("is_usual", "floor"), [(True, "NULL"), (True, "-1"), (True, "1"), (False, "0")])
def test_no_account_is_opened_without_the_floor_of_its_purpose(attacker, purpose, is_usual, floor):
    side = "debit" if (purpose == "debt") == is_usual else "credit"
    attacker.refused(
        f"INSERT INTO ledger_account (code, purpose, livemode, currency, normal_side, floor, created_at) "
        f"VALUES ('mer_evil:{purpose}', '{purpose}', true, 'MXN', '{side}', {floor}, now())",
        by=errors.CheckViolation,
        saying="account_floor_by_purpose",
    )


@pytest.mark.parametrize("floor", ["NULL", "-1", "floor - 100000"])
def test_no_floor_is_ever_lowered(attacker, floor):
    attacker.refused(
        f"UPDATE ledger_account SET floor = {floor} WHERE floor IS NOT NULL",
        by=errors.RestrictViolation,
        saying="cannot change",
    )


def test_what_an_account_holds_counts_on_its_normal_side_only(attacker):
    attacker.refused(
        "UPDATE ledger_account SET normal_side = 'debit'", by=errors.RestrictViolation, saying="cannot change"
    )


UPDATE, HELD = "UPDATE ledger_hold SET", "WHERE source = 'po_held'"
RESOLVE = f"{UPDATE} status = '{{status}}', captured = {{captured}}, resolved_at = {{moment}} {HELD}"


@pytest.mark.parametrize(
    ("status", "captured", "moment", "rule"),
    [
        ("captured", "0", "now()", "hold_captured_within_amount"),
        ("captured", "-1", "now()", "hold_captured_within_amount"),
        ("captured", "amount + 1", "now()", "hold_captured_within_amount"),
        ("captured", "amount", "NULL", "hold_resolved_has_moment"),
        ("released", "1", "now()", "hold_captured_within_amount"),
        ("released", "0", "NULL", "hold_resolved_has_moment"),
    ],
)
def test_a_hold_says_no_more_than_can_be_true(attacker, status, captured, moment, rule):
    attacker.refused(
        RESOLVE.format(status=status, captured=captured, moment=moment), by=errors.CheckViolation, saying=rule
    )


@pytest.mark.parametrize(
    ("status", "captured"), [("captured", "amount"), ("captured", "amount - 1"), ("released", "0")]
)
def test_a_resolved_hold_is_final(attacker, status, captured):
    attacker.run(RESOLVE.format(status=status, captured=captured, moment="now()"))

    for change in ("resolved_at = now() + interval '1 second'", "created_at = created_at - interval '1 day'"):
        attacker.refused(f"{UPDATE} {change} {HELD}", by=errors.RestrictViolation, saying="ledger_hold: ")
    if status == "captured":
        for less in ("1", "captured - 1"):
            attacker.refused(f"{UPDATE} captured = {less} {HELD}", by=errors.RestrictViolation)
    for other in {"open", "captured", "released"} - {status}:
        attacker.refused(
            RESOLVE.format(
                status=other,
                captured="amount" if other == "captured" else "0",
                moment="NULL" if other == "open" else "now()",
            ),
            by=errors.CheckViolation,
            saying=f"{status} cannot become {other}",
        )


def resolve(attacker, status: str, captured: int = 0) -> None:
    attacker.run(RESOLVE.format(status=status, captured=captured, moment="now()"))


def test_a_hold_is_open_exactly_as_long_as_the_books_hold_its_money(attacker):
    reserved, available = account(attacker, "mer_%:reserved"), account(attacker, "mer_%:available")

    def give_back(amount: int) -> None:
        post(attacker, "po_held", (reserved, amount), (available, -amount))

    wrong = (
        lambda: resolve(attacker, "released"),
        lambda: resolve(attacker, "captured", 50_000),
        lambda: [resolve(attacker, "released"), give_back(49_999)],
        lambda: attacker.clone("ledger_hold", public_id="hold_new", source="po_new"),
    )
    for write in wrong:
        with attacker.attempt():
            write()
            with pytest.raises(errors.CheckViolation, match="differs from the amount reserved"):
                attacker.run(CHECK_DEFERRED)

    resolve(attacker, "released")
    give_back(50_000)
    attacker.run(CHECK_DEFERRED)


@pytest.mark.parametrize("amount", [0, -1])
def test_a_hold_holds_something(attacker, amount):
    with pytest.raises(errors.CheckViolation, match="hold_amount_positive"), attacker.attempt():
        attacker.clone("ledger_hold", public_id="hold_new", source="po_new", amount=amount)


def test_one_source_has_one_hold(attacker):
    with pytest.raises(errors.UniqueViolation, match="source"), attacker.attempt():
        attacker.clone("ledger_hold", public_id="hold_new")


BREACH = (
    "INSERT INTO ledger_breach (invariant, merchant_id, livemode, provider_account, message, found_at) "
    "VALUES ('covered', {}, {}, {}, 'x', now())"
)


def test_a_broken_invariant_is_open_once_for_one_scope(attacker):
    merchant = attacker.run("SELECT min(id) FROM merchants_merchant")

    for scope in (
        ("NULL", "NULL", "''"),
        ("NULL", "false", "''"),
        ("NULL", "true", "''"),
        ("NULL", "true", "'pac_1'"),
        (merchant, "true", "''"),
        (merchant, "false", "''"),
        (merchant, "true", "'pac_1'"),
    ):
        attacker.run(BREACH.format(*scope))
        attacker.refused(BREACH.format(*scope), by=errors.UniqueViolation, saying="breach_open_once")


@pytest.mark.parametrize("scope", [("1", "''"), ("NULL", "'pac_1'"), ("1", "'pac_1'")])
def test_a_breach_of_a_merchant_or_an_account_names_its_mode(attacker, scope):
    merchant, account = scope
    attacker.refused(BREACH.format(merchant, "NULL", account), by=errors.CheckViolation, saying="breach_scope_has_mode")


@pytest.mark.parametrize("change", ["livemode = NOT livemode", "provider_account = 'pac_2'", "merchant_id = NULL"])
def test_the_scope_of_a_breach_is_not_changed(attacker, change):
    merchant = attacker.run("SELECT min(id) FROM merchants_merchant")
    attacker.run(BREACH.format(merchant, "true", "'pac_1'"))

    attacker.refused(
        f"UPDATE ledger_breach SET {change} WHERE merchant_id IS NOT NULL",
        by=errors.RestrictViolation,
        saying="cannot change",
    )


@pytest.mark.parametrize("change", ["cleared_at = NULL", "cleared_at = now() - interval '1 day'"])
def test_a_cleared_breach_is_final(attacker, change):
    attacker.run(BREACH.format("NULL", "NULL", "''"))
    attacker.run("UPDATE ledger_breach SET cleared_at = now() WHERE cleared_at IS NULL")

    attacker.refused(f"UPDATE ledger_breach SET {change}", by=errors.RestrictViolation, saying="cannot change any more")


def test_the_application_neither_forges_seals_again_nor_takes_one_back(app):
    for change in ("UPDATE ledger_seal SET hash = ''", "DELETE FROM ledger_seal", "TRUNCATE ledger_seal"):
        app.refused(change, by=errors.InsufficientPrivilege)
    app.refused(
        "INSERT INTO ledger_seal (seq, transaction_id, hash, sealed_at) "
        "SELECT max(seq) + 1, min(transaction_id), '0', now() FROM ledger_seal",
        by=errors.UniqueViolation,
    )
    app.refused(
        "INSERT INTO ledger_seal (seq, transaction_id, hash, sealed_at) "
        "SELECT min(seq), max(transaction_id) + 1, '0', now() FROM ledger_seal",
        by=errors.UniqueViolation,
    )


@pytest.mark.parametrize("table", ["ledger_snapshot", "ledger_breach", "ledger_hold"])
def test_what_the_application_may_change_it_still_cannot_remove(app, table):
    for change in (f"DELETE FROM {table}", f"TRUNCATE {table}"):
        app.refused(change, by=errors.InsufficientPrivilege)
