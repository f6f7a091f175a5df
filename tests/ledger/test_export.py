"""ledger.services.export: Beancount accepts the export and computes the same balances."""

from __future__ import annotations

import io
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import regex
import time_machine
from beancount import loader
from beancount.core import data
from beancount.core.account import ACCOUNT_RE
from beancount.parser import parser
from django.core.management import CommandError, call_command
from django.db import transaction
from hypothesis import given
from hypothesis import strategies as st

from core import clock
from core.clock import to_rfc3339
from core.errors import InvariantBroken
from core.money import MAX_AMOUNT, centavos_to_pesos
from ledger.management import output
from ledger.models import Account, Hold, Transaction
from ledger.services import balance, export, hold, reversal, stream
from ledger.services.journal import PostingTime
from ledger.services.postings import pay_in, payout, treasury
from merchants.models import Merchant
from tests.concurrency.threads import at_once

NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)
DAY = date(2026, 11, 23)
HOSTILE = [
    'he said "no"',
    "back\\slash \\n \\",
    "two\nlines\r\n\ttab",
    '" ; 2026-01-01 open Assets:Stolen\n2026-01-01 open Assets:Stolen',
    "ñandú 漢字 🦊 \u2028 \u00a0 \u202e",
    "\x01\x08\x0b\x0c\x1b\x7f",
    "; comment",
    "'",
    " ",
    "x" * 200,
    "\n" * 100,
]


@pytest.fixture
def books(merchant: Merchant, other_merchant: Merchant) -> Merchant:
    """Four operating dates, every root, both merchants, a debt, a hold captured, a reversal."""
    test = {"livemode": False}
    with time_machine.travel(NOW, tick=False), transaction.atomic():
        for day in range(3):
            when = PostingTime(NOW - timedelta(days=3 - day), DAY - timedelta(days=3 - day))
            paid = {"amount": 100_000, "fee": 1_000, "fee_tax": 160, "when": when} | test
            deposit = pay_in.spei_deposit(merchant, source=f"dep_{day}", **paid)
            pay_in.oxxo_paid(other_merchant, source=f"oxxo_{day}", **paid)
        when = PostingTime(NOW, DAY)
        held = hold.place(merchant, source="po_1", amount=50_580, purpose=Hold.Purpose.PAYOUT, when=when, **test)
        hold.capture(held.pk, amount=50_000, fee=500, fee_tax=80, when=when)
        reversal.reverse(deposit, source="cau_1", when=when, description="Undone", amount=1)
        treasury.stp_invoiced(source="inv_1", fee=2_900, fee_tax=464, when=when, **test)
        treasury.owner_prefunded(source="own_1", cash="bank_cash", amount=MAX_AMOUNT, when=when, **test)
        available = balance.of_merchant(merchant, livemode=False).available
        hold.place_return(merchant, source="po_2", amount=available + 40_000, when=when, **test)
        payout.debt_written_off(merchant, source="dbt_1", amount=7, when=when, **test)
        pay_in.spei_deposit(merchant, livemode=True, source="live", amount=5, fee=0, fee_tax=0, when=when)
    return merchant


def text(**options) -> str:
    return "".join(export.beancount(**({"livemode": False} | options)))


def load(written: str):
    entries, errors, _ = loader.load_string(written)
    assert errors == []
    return entries


def sums(entries) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {entry.account: Decimal() for entry in entries if isinstance(entry, data.Open)}
    for entry in entries:
        for posting in entry.postings if isinstance(entry, data.Transaction) else ():
            assert posting.units.currency == "MXN"
            found[posting.account] += posting.units.number
    return found


def ours(livemode: bool = False) -> dict[str, Decimal]:
    """All balances with Beancount's signs: debits positive."""
    return {
        export.account_name(account): centavos_to_pesos(
            balance.of_account(account) * (1 if account.normal_side == "debit" else -1)
        )
        for account in Account.objects.filter(livemode=livemode)
    }


@pytest.mark.django_db
def test_beancount_computes_the_same_balances(books):
    entries = load(text())

    assert sums(entries) == ours()
    said = {e.account: (e.amount.number, e.tolerance, e.date) for e in entries if isinstance(e, data.Balance)}
    assert said == {name: (held, Decimal(0), DAY + timedelta(days=1)) for name, held in ours().items()}
    assert {name.split(":")[0] for name in ours()} == {"Assets", "Liabilities", "Equity", "Income", "Expenses"}
    assert sums(load(text(livemode=True))) == ours(livemode=True)


@pytest.mark.django_db
def test_each_transaction_is_exported_once_with_metadata(books):
    written = {e.meta["id"]: e for e in load(text()) if isinstance(e, data.Transaction)}

    transactions = Transaction.objects.filter(livemode=False).select_related("reverses")
    assert written.keys() == {t.public_id for t in transactions}
    for t in transactions:
        entry = written[t.public_id]
        assert (entry.date, entry.narration, entry.meta["kind"], entry.meta["source"]) == (
            t.operating_date,
            t.description,
            t.kind,
            t.source,
        )
        assert entry.meta["effective_at"] == to_rfc3339(t.effective_at)
        assert entry.meta.get("reverses") == (t.reverses.public_id if t.reverses else None)
        assert [p.units.number for p in entry.postings] == [
            centavos_to_pesos(amount) for amount in t.entries.order_by("id").values_list("amount", flat=True)
        ]


@pytest.mark.django_db
def test_a_partial_export_has_opening_and_closing_balances(books):
    written = text(first_day=DAY - timedelta(days=2), last_day=DAY - timedelta(days=1))

    entries = load(written)
    transactions = [e for e in entries if isinstance(e, data.Transaction)]
    assert [(e.date, e.narration) for e in transactions][0] == (DAY - timedelta(days=3), "Opening balances")
    assert len(transactions) == 5
    assert sums(entries)["Assets:Stp-Cash"] == Decimal("3000.00")
    assert {e.date for e in entries if isinstance(e, data.Balance)} == {DAY}
    first, second = text(last_day=DAY - timedelta(days=2)), text(first_day=DAY - timedelta(days=1))
    assert sums(load(second)) == ours()
    assert sums(load(first))["Assets:Stp-Cash"] == Decimal("2000.00")


@pytest.mark.django_db
@pytest.mark.parametrize("days", [{}, {"last_day": date(2020, 1, 1)}, {"first_day": date(2030, 1, 1)}])
def test_empty_exports_are_valid(days, request):
    assert load(text(**days)) == []

    request.getfixturevalue("books")
    held = sums(load(text(**days)))

    assert held == (dict.fromkeys(ours(), Decimal()) if "last_day" in days else ours())


@pytest.mark.django_db
def test_a_missing_centavo_is_found(books):
    written = text()

    lost = written.replace("balance Assets:Stp-Cash  2499.99", "balance Assets:Stp-Cash  2499.98")

    assert lost != written
    _, errors, _ = loader.load_string(lost)
    assert len(errors) == 1
    broken = written.replace("  Assets:Conekta-Receivable  1000.00 MXN", "  Assets:Conekta-Receivable  1000.01 MXN", 1)
    assert any("does not balance" in error.message for error in loader.load_string(broken)[1])


@pytest.mark.django_db
@pytest.mark.parametrize("description", HOSTILE)
def test_a_hostile_description_is_escaped(merchant, description):
    when = PostingTime(NOW, DAY)
    with time_machine.travel(NOW, tick=False):
        paid = pay_in.spei_deposit(merchant, livemode=False, source="dep_1", amount=1, fee=0, fee_tax=0, when=when)
        reversal.reverse(paid, source='";\\\n', when=when, description=description)

    entries = load(text())

    (undone,) = [e for e in entries if isinstance(e, data.Transaction) and e.meta["kind"] == "reversal"]
    assert (undone.narration, undone.meta["source"]) == (description, '";\\\n')
    assert len([e for e in entries if isinstance(e, data.Open)]) == 2


@given(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=200))
def test_any_text_round_trips(description):
    entries, errors, _ = parser.parse_string(f"2026-11-23 * {export._text(description)}\n")

    assert errors == []
    assert entries[0].narration == description


CODES = st.from_regex(r"(platform|mer_[0-9a-z_]{1,8}):[a-z][a-z0-9_]{0,8}", fullmatch=True)


@given(st.lists(st.tuples(CODES, st.sampled_from(["debit", "credit"])), unique_by=lambda pair: pair[0]))
def test_account_names_are_unique_and_valid_in_beancount(pairs):
    names = [
        export.account_name(Account(code=code, purpose=code.split(":")[1], normal_side=side)) for code, side in pairs
    ]

    assert len({name.split(":", 1)[1] for name in names}) == len(pairs)
    assert all(regex.fullmatch(ACCOUNT_RE, name) for name in names)


@pytest.mark.parametrize("code", ["platform:Cash", "platform:a-b", "mer_1:a:b", "platform:", "mer_ñ:available"])
def test_a_code_that_cannot_be_mapped_is_refused(code):
    with pytest.raises(InvariantBroken, match=code):
        export.account_name(Account(code=code, purpose="x", normal_side="debit"))


def run(*arguments: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("export_ledger", "--format", "beancount", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


@pytest.mark.django_db
def test_the_command_writes_what_bean_check_accepts(books, tmp_path):
    target = tmp_path / "books.beancount"

    _, said = run("--output", str(target))

    assert said == f"13 transactions written to {target}\n"
    assert target.read_text() == run()[0]
    checked = subprocess.run(
        [Path(sys.executable).parent / "bean-check", target], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["books.beancount"]


@pytest.mark.django_db
def test_a_failure_leaves_the_old_file_and_nothing_else(books, tmp_path, monkeypatch):
    target = tmp_path / "books.beancount"
    target.write_text("old")

    def fail(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(output.os, "fsync", fail)

    with pytest.raises(CommandError, match=r"Cannot write .*books\.beancount: No space left on device"):
        run("--output", str(target))

    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["books.beancount"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--output", "/nonexistent/books"], "Cannot write /nonexistent/books: No such file or directory."),
        (["--output", "/tmp"], "Cannot write /tmp: it is a folder."),
        (["--from", "2026-11-02", "--to", "2026-11-01"], "ends on 2026-11-01, before it begins on 2026-11-02"),
        (["--from", "yesterday"], "'yesterday' is not a date like 2026-11-30."),
        (["--to", "9999-12-31"], "Beancount knows the years"),
        (["--format", "ledger"], "invalid choice"),
    ],
)
def test_invalid_arguments_are_reported(arguments, said):
    with pytest.raises(CommandError, match=said):
        run(*arguments)


@pytest.mark.django_db
def test_an_account_that_cannot_be_mapped_stops_the_export(tmp_path):
    Account.objects.create(code="platform:Ñ", purpose="x", livemode=False, currency="MXN", normal_side="debit")

    with pytest.raises(CommandError, match=r"'platform:Ñ' has no name"):
        run("--output", str(tmp_path / "books"))

    assert list(tmp_path.iterdir()) == []


@pytest.mark.django_db
def test_a_long_export_reports_progress(books, tmp_path, monkeypatch):
    moments = iter(range(1_000))
    monkeypatch.setattr("ledger.management.commands.export_ledger.time.monotonic", lambda: next(moments))

    _, said = run("--output", str(tmp_path / "books"))

    assert said.splitlines()[:2] == ["1 transactions …", "2 transactions …"]


def test_an_export_is_consistent_during_concurrent_postings(committed_db, books):
    def post() -> None:
        with transaction.atomic():
            pay_in.merchant_top_up(books, livemode=False, source="top_1", amount=5, when=PostingTime(clock.now(), DAY))

    before = ours()
    with stream.snapshot():
        lines = export.beancount(livemode=False)
        begun = [next(lines) for _ in range(5)]
        at_once([post])
        written = "".join([*begun, *lines])

    assert sums(load(written)) == before
    with stream.snapshot():
        assert sums(load(text())) == ours() != before
