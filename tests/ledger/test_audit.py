"""manage.py audit_ledger: reports every fault from the entries alone and exits with 1."""

from __future__ import annotations

import os
import subprocess
import sys

import psycopg
import pytest
from django.db import InternalError, transaction

from core import invariants
from core.invariants import Fault
from ledger.models import Entry, Transaction
from ledger.services import audit as service
from ledger.services import reversal
from merchants.models import Merchant
from tests import cluster
from tests.concurrency.threads import at_once
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


@pytest.fixture
def books(committed_db: None, merchant: Merchant) -> Merchant:
    """Two deposits, a hold, and half of the second deposit reversed; no faults."""
    deposit(merchant, "dep_1")
    original = deposit(merchant, "dep_2")
    place_hold(merchant)
    with transaction.atomic():
        reversal.reverse(original, source="rev_1", when=now(), description="Half of it", amount=50_000)
    assert audit() == (
        0,
        [],
        "ledger: 4 transactions, 14 entries, debits 250500 = credits 250500 centavos, 0 faults\n",
    )
    return merchant


def sql(set_: str, where: str, table: str = "ledger_entry") -> str:
    return f"UPDATE {table} SET {set_} WHERE {where}"


ONE = "source = 'dep_1'"
IDS = f"(SELECT id FROM ledger_transaction WHERE {ONE})"
AVAILABLE = "(SELECT id FROM ledger_account WHERE purpose = 'available')"


@pytest.mark.parametrize(
    ("statements", "faults"),
    [
        pytest.param(
            [sql("amount = amount + 1", entry("stp_cash"))],
            ["{dep_1} is out by 1 MXN centavos", "test MXN sums to 1 centavos"],
            id="amount",
        ),
        pytest.param(
            [sql("amount = amount + 1", entry("stp_cash")), sql("amount = amount - 1", entry("stp_cash", "dep_2"))],
            ["{dep_1} is out by 1 MXN centavos", "{dep_2} is out by -1 MXN centavos"],
            id="two amounts that make up for each other",
        ),
        pytest.param(
            [sql("currency = 'USD'", entry("fee_revenue")), sql("currency = 'USD'", entry("iva_payable"))],
            [
                "{dep_1} is out by 1160 MXN centavos",
                "{dep_1} is out by -1160 USD centavos",
                "{dep_1} has an entry whose account has another currency",
            ],
            id="currency",
        ),
        pytest.param(
            [f"DELETE FROM ledger_entry WHERE transaction_id = {IDS}"],
            ["{dep_1} has 0 entries, two or more are needed"],
            id="no entries",
        ),
        pytest.param(
            [f"DELETE FROM ledger_entry WHERE transaction_id = {IDS} AND amount < 0"],
            ["{dep_1} has 1 entries, two or more are needed", "test MXN sums to 100000 centavos"],
            id="one entry",
        ),
        pytest.param(
            [f"DELETE FROM ledger_transaction WHERE {ONE}"],
            ["transaction number {number} does not exist, but 4 entries of it do"],
            id="no transaction",
        ),
        pytest.param(
            [sql("account_id = 999999", entry("fee_revenue"))],
            ["{dep_1} has an entry of an account that does not exist", "test MXN sums to 1000 centavos"],
            id="no account",
        ),
        pytest.param(
            [sql("position = position - 1", entry("fee_revenue"))],
            ["{dep_1} and its entries differ in position"],
            id="position",
        ),
        pytest.param(
            [sql("effective_at = effective_at - interval '1 day'", ONE, "ledger_transaction")],
            ["{dep_1} and its entries differ in effective_at"],
            id="effective_at",
        ),
        pytest.param(
            [sql("livemode = true", ONE, "ledger_transaction")],
            ["{dep_1} and the accounts of its entries differ in mode"],
            id="mode",
        ),
        pytest.param(
            [sql("amount = amount + 300000", entry("available")), sql("amount = -301000", entry("fee_revenue"))],
            ["{mer}:available (test) holds -152240 centavos, below its floor of 0"],
            id="floor",
        ),
        pytest.param(
            [sql("amount = amount + 7", "true", "ledger_hold")],
            ["{mer}:reserved (test) holds 500 centavos, open holds say 507"],
            id="hold",
        ),
        pytest.param(
            [
                "UPDATE ledger_account SET merchant_id = NULL, purpose = 'blocked', code = 'platform:gone' "
                "WHERE purpose = 'reserved'"
            ],
            ["{hold} holds 500 centavos of a merchant without a reserved account"],
            id="hold without account",
        ),
        pytest.param(
            [sql("split = 7", "true", "ledger_hold")],
            [
                "{mer}:reserved (test) holds 500 centavos, open holds say 493",
                "{hold} has 7 centavos split off, its parts sum to 0",
            ],
            id="hold split without parts",
        ),
        pytest.param(
            [
                "ALTER TABLE ledger_transaction DROP CONSTRAINT transaction_kind_source_unique",
                sql(ONE, "source = 'dep_2'", "ledger_transaction"),
            ],
            ["spei_deposit dep_1 is posted 2 times"],
            id="posted twice",
        ),
        pytest.param(
            [
                sql("amount = amount - 60000", entry("stp_cash", "rev_1")),
                sql("amount = amount + 60000", entry("available", "rev_1")),
            ],
            [
                "{dep_2} moved -98840 centavos of {mer}:available, -109420 of them are reversed",
                "{dep_2} moved 100000 centavos of platform:stp_cash, 110000 of them are reversed",
            ],
            id="reversed more than there was",
        ),
        pytest.param(
            [
                f"UPDATE ledger_transaction SET reverses_id = {IDS} WHERE source = 'dep_2'",
                "UPDATE ledger_transaction SET reverses_id = NULL WHERE source = 'rev_1'",
            ],
            [
                "{dep_1} moved -98840 centavos of {mer}:available, 98840 of them are reversed",
                "{dep_1} moved -1000 centavos of platform:fee_revenue, 1000 of them are reversed",
                "{dep_1} moved -160 centavos of platform:iva_payable, 160 of them are reversed",
                "{dep_1} moved 100000 centavos of platform:stp_cash, -100000 of them are reversed",
            ],
            id="reversed the wrong way",
        ),
        pytest.param(
            [
                "UPDATE ledger_entry SET account_id = (SELECT id FROM ledger_account WHERE purpose = 'fee_revenue') "
                f"WHERE {entry('stp_cash')}"
            ],
            ["covered: test: 50000 centavos of cash, receivables and debt for 148260 owed"],
            id="covered",
        ),
    ],
)
def test_every_fault_is_reported_on_one_line(books, statements, faults):
    posted = {found.source: found for found in Transaction.objects.all()}
    names = {found.source: found.public_id for found in posted.values()}
    names |= {"number": posted["dep_1"].pk, "mer": books.public_id}
    with psycopg.connect(cluster.url("postgres")) as connection:
        ((names["hold"],),) = connection.execute("SELECT public_id FROM ledger_hold").fetchall()
    _break(statements)

    code, lines, summary = audit()

    assert code == 1
    assert sorted(lines) == sorted(f"FAULT: {fault.format(**names)}" for fault in faults)
    assert summary.startswith("ledger: ")
    assert summary.endswith(f" {len(faults)} faults\n")


def _break(statements: list[str]) -> None:
    schema = [statement for statement in statements if statement.startswith("ALTER")]
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        for statement in schema:
            connection.execute(statement)
    break_books(*(statement for statement in statements if statement not in schema))


def test_a_wrong_snapshot_is_found_by_summing_all_entries(books):
    take_snapshots()
    break_books(f"UPDATE ledger_snapshot SET total = total - 5 WHERE account_id = {AVAILABLE}")
    name = f"{books.public_id}:available (test)"

    code, lines, _ = audit()

    assert code == 1
    assert lines == [
        f"FAULT: the snapshot of {name} says -147765 centavos, its entries -147760",
        f"FAULT: ledger_total says -147765 centavos for {name}, its entries -147760",
    ]


def test_a_snapshot_does_not_hide_a_changed_old_entry(books):
    take_snapshots()
    break_books(sql("amount = amount + 1", entry("stp_cash")))

    _, lines, _ = audit()

    assert "FAULT: test MXN sums to 1 centavos" in lines
    assert "FAULT: the snapshot of platform:stp_cash (test) says 150000 centavos, its entries 150001" in lines


@pytest.mark.parametrize("how", ["DISABLE", "ENABLE", "ENABLE REPLICA"])
@pytest.mark.parametrize("table", ["ledger_entry", "ledger_seal", "payments_payment"])
def test_a_trigger_that_is_not_always_enabled_is_a_fault(books, table, how):
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        name = triggers(connection, table)[0]
        set_trigger(connection, table, name, how)

    assert audit()[:2] == (1, [f"FAULT: {name} on {table} is missing or disabled"])


def test_registered_invariants_are_checked_and_a_raising_one_is_a_fault(books, monkeypatch):
    def find() -> list[Fault]:
        return [Fault(str(Entry.objects.extra(where=["no such column"]).count()))]  # noqa: S610

    for name, check in (("a_test", find), ("b_test", lambda: [Fault(f"fault {n}") for n in range(30)])):
        monkeypatch.setitem(invariants._registered, name, invariants.Invariant(name, "Fails.", check))

    code, lines, _ = audit()

    assert code == 1
    assert lines == [
        "FAULT: a_test: could not be checked: ProgrammingError",
        *(f"FAULT: b_test: fault {n}" for n in range(30)),
    ]


def test_every_invariant_is_checked_in_full_or_run(books):
    assert service._IN_FULL <= {invariant.name for invariant in invariants.all_invariants()}


def test_concurrent_postings_cause_no_faults(books):
    def post(number: int) -> None:
        for count in range(15):
            deposit(books, f"dep_{number}_{count}")
            place_hold(books, f"po_{number}_{count}", 7)

    def look() -> set[tuple[int, ...]]:
        found = set()
        for _ in range(12):
            code, lines, _ = audit()
            found.add((code, len(lines)))
        return found

    results = at_once([*(lambda number=number: post(number) for number in range(6)), look])

    assert results[-1] == {(0, 0)}
    assert audit()[0] == 0


def test_faults_at_the_edges_of_pieces_are_found(books, monkeypatch):
    for number in range(11):
        deposit(books, f"dep_edge_{number}")
    break_books(sql("amount = amount + 1", "amount = 100000"))
    summaries = set()

    for piece in (1, 2, 3, 5, 20_000):
        monkeypatch.setattr(service, "PIECE", piece)
        _, lines, summary = audit()
        assert len([line for line in lines if "is out by 1 MXN" in line]) == 13
        summaries.add(summary)

    assert len(summaries) == 1


def test_a_long_step_reports_progress():
    said: list[str] = []
    progress = service.Progress(said.append, "accounts", 200)
    progress.advance(10)
    progress.said -= 1
    progress.began -= 1
    progress.advance(40)

    assert len(said) == 1
    assert said[0].startswith("accounts: 25 %, ")
    assert said[0].endswith(" rows/s")


@pytest.mark.django_db
def test_an_audit_inside_a_transaction_is_refused():
    Transaction.objects.count()

    with pytest.raises(InternalError, match="must be called before any query"):
        audit()


def test_the_command_exits_with_1_and_prints_only_faults(books):
    break_books(sql("amount = amount + 1", entry("stp_cash")))

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "manage.py", "audit_ledger"],
        cwd=cluster.ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert [line[:7] for line in done.stderr.splitlines()] == ["FAULT: "] * 2
    assert done.stdout == "ledger: 4 transactions, 14 entries, debits 250501 ≠ credits 250500 centavos, 2 faults\n"
