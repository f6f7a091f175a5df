"""ledger.services.statement: days, contents, and the statement as a table and as text."""

from __future__ import annotations

import csv
import io
from dataclasses import astuple
from datetime import UTC, date, datetime, timedelta

import openpyxl
import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection

from core.errors import InvalidRequest
from ledger.models import Hold
from ledger.resources.statement import Figures
from ledger.services import hold, statement, stream
from ledger.services.journal import PostingTime
from ledger.services.postings import pay_in
from merchants.models import Merchant
from tests.factories.statement import NOTHING, take

LAST_MINUTE = datetime(2026, 12, 1, 5, 59, 59, tzinfo=UTC)
"""The last second of November in Mexico City, which is in December in UTC."""


@pytest.fixture
def november(merchant: Merchant) -> Merchant:
    """1,000 pesos in October, 1,000 at the end of November, a payout of 500 held then and settled a second later."""
    for number, moment in enumerate([datetime(2026, 10, 31, 18, tzinfo=UTC), LAST_MINUTE]):
        with time_machine.travel(moment, tick=False):
            pay_in.spei_deposit(
                merchant,
                livemode=False,
                source=f"=dep_{number}",
                amount=100_000,
                fee=1_000,
                fee_tax=160,
                when=PostingTime(moment, date(2026, 11, 3) if number == 0 else date(2026, 12, 1)),
            )
    when = PostingTime(LAST_MINUTE, date(2026, 12, 1))
    with time_machine.travel(LAST_MINUTE, tick=False):
        held = hold.place(
            merchant, livemode=False, source="po_1", amount=50_580, purpose=Hold.Purpose.PAYOUT, when=when
        )
    with time_machine.travel(LAST_MINUTE + timedelta(seconds=1), tick=False):
        later = PostingTime(LAST_MINUTE + timedelta(seconds=1), date(2026, 12, 1))
        hold.capture(held.pk, amount=50_000, fee=500, fee_tax=80, when=later)
    return merchant


def test_months_end_at_midnight_in_mexico_city(november):
    found, movements = take(november, date(2026, 11, 1), date(2026, 11, 30))

    assert (found.opening, found.opening.total) == (Figures(98_840, 0, 0, 0, 0), 98_840)
    assert [(m.kind, m.gross, m.fee, m.iva, m.net, m.balance) for m in movements] == [
        ("spei_deposit", 100_000, 1_000, 160, 98_840, 197_680),
        ("payout_created", 0, 0, 0, 0, 197_680),
    ]
    assert found.closing == Figures(147_100, 0, 50_580, 0, 0)
    december, settled = take(november, date(2026, 12, 1), date(2026, 12, 31))
    assert december.opening == found.closing
    assert [(m.kind, m.gross, m.fee, m.iva, m.net, m.balance) for m in settled] == [
        ("payout_settled", -50_000, 500, 80, -50_580, 147_100)
    ]
    assert astuple(december.totals) == (0, 50_000, 500, 80, -50_580)


def test_a_statement_has_only_its_merchant_and_mode(november, other_merchant):
    live = statement.of_merchant(november, livemode=True, first_day=date(2026, 1, 1), last_day=date(2026, 12, 31))

    assert (live.opening, live.closing, list(live.movements)) == (NOTHING, NOTHING, [])
    found, movements = take(other_merchant, date(2026, 1, 1), date(2026, 12, 31))
    assert (found.opening, found.closing, movements) == (NOTHING, NOTHING, [])


@pytest.mark.parametrize(
    ("first_day", "last_day"),
    [
        (date(2026, 11, 2), date(2026, 11, 1)),
        (date(2026, 1, 1), date(2027, 1, 2)),
        (date(9999, 12, 1), date.max),
    ],
)
def test_an_invalid_period_is_refused(merchant, first_day, last_day):
    with pytest.raises(InvalidRequest) as refused:
        take(merchant, first_day, last_day)

    assert refused.value.errors[0].field == "last_day"


def test_a_statement_covers_up_to_366_days(merchant):
    take(merchant, date(2026, 1, 1), date(2027, 1, 1))


def test_a_statement_requires_a_transaction(committed_db, merchant):
    with pytest.raises(RuntimeError, match=r"must run inside transaction\.atomic"):
        take(merchant, date(2026, 11, 1), date(2026, 11, 30))


def test_a_statement_is_one_query(november, django_assert_num_queries):
    with django_assert_num_queries(1):
        _, movements = take(november, date(2026, 10, 1), date(2026, 12, 31))

    assert len(movements) == 4


def test_movements_stream_in_constant_memory(merchant, monkeypatch):
    monkeypatch.setattr(stream, "CHUNK", 20)
    moment = datetime(2026, 11, 10, tzinfo=UTC)
    with time_machine.travel(moment, tick=False):
        pay_in.merchant_top_up(
            merchant, livemode=False, source="top_0", amount=1, when=PostingTime(moment, moment.date())
        )
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH posted AS (
                INSERT INTO ledger_transaction (public_id, kind, source, livemode, description, effective_at,
                    operating_date, recorded_at, position)
                SELECT 'txn_' || n, 'merchant_top_up', 'top_' || n, false, 'x', %s, %s, now(), 0
                FROM generate_series(1, 500) n RETURNING id, position, effective_at
            )
            INSERT INTO ledger_entry (transaction_id, account_id, amount, currency, position, effective_at)
            SELECT posted.id, a.id, CASE a.normal_side WHEN 'debit' THEN 7 ELSE -7 END, 'MXN', position, effective_at
            FROM posted CROSS JOIN ledger_account a
            """,
            [moment, moment.date()],
        )

    found = statement.of_merchant(merchant, livemode=False, first_day=moment.date(), last_day=moment.date())
    assert found.totals.net == 0  # midnight UTC is the day before in Mexico City
    found = statement.of_merchant(merchant, livemode=False, first_day=date(2026, 11, 9), last_day=date(2026, 11, 9))

    assert found.totals.gross_in == 500 * 7 + 1
    assert next(found.movements).balance == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_cursors")
        assert cursor.fetchone() == (1,)
    assert sum(1 for _ in found.movements) == 500


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("merchant_statement", *arguments, stdout=out)
    return out.getvalue()


def table(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


NOVEMBER = ["--from", "2026-11-01", "--to", "2026-11-30"]


def test_the_table_has_mexico_city_days_pesos_and_spanish_headings(november):
    text = run(november.public_id, *NOVEMBER, "--format", "csv")

    rows = table(text)
    assert rows[0][:11] == [
        "Fecha", "Hora", "Fecha de operación", "Tipo", "Referencia", "Concepto", "Importe bruto", "Comisión", "IVA",
        "Neto", "Saldo",
    ]  # fmt: skip
    assert rows[1][3:] == [
        "Saldo inicial", "", "Café Luna, 2026-11-01 a 2026-11-30, modo de prueba, MXN", "", "", "", "", "988.40",
        "988.40", "0.00", "0.00", "0.00", "0.00",
    ]  # fmt: skip
    assert rows[2] == [
        "2026-11-30", "23:59:59", "2026-12-01", "Depósito SPEI abonado", "\\=dep_1", "Depósito SPEI abonado",
        "1000.00", "10.00", "1.60", "988.40", "1976.80", "988.40", "0.00", "0.00", "0.00", "0.00",
    ]  # fmt: skip
    assert rows[3][6:] == ["0.00", "0.00", "0.00", "0.00", "1976.80", "-505.80", "0.00", "505.80", "0.00", "0.00"]
    assert rows[4][3:5] + rows[4][6:] == [
        "Saldo final", "", "1000.00", "10.00", "1.60", "988.40", "1976.80", "1471.00", "0.00", "505.80", "0.00", "0.00",
    ]  # fmt: skip
    assert len(rows) == 5
    assert text.count("\r\n") == 5


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("=1+1", "\\=1+1, 2026"),
        ("-5", "\\-5, 2026"),
        ("@SUM(A1)", "\\@SUM(A1), 2026"),
        ("\r=x", "\r\\=x, 2026"),
        ("\tx", "\tx, 2026"),
        ('=HYPERLINK("http://x","y")', '\\=HYPERLINK("http://x","y"), 2026'),
        ('a"b,c\nd', 'a"b,c\nd, 2026'),
    ],
)
def test_text_is_never_a_formula(november, name, shown):
    Merchant.objects.filter(pk=november.pk).update(name=name)

    about = table(run(november.public_id, *NOVEMBER, "--format", "csv"))[1][5]

    assert about.startswith(shown)


def test_the_text_is_readable(november):
    text = run(november.public_id, *NOVEMBER)

    lines = text.splitlines()
    assert lines[0] == "ESTADO DE CUENTA (MODO DE PRUEBA)"
    assert lines[2] == "Periodo:  01 nov 2026 a 30 nov 2026, hora de la Ciudad de México"
    (deposit,) = [line for line in lines if "Depósito SPEI" in line]
    assert deposit.split() == [
        "30", "nov", "2026", "23:59:59", "2026-12-01", "Depósito", "SPEI", "abonado",
        "$1,000.00", "$10.00", "$1.60", "$988.40", "$1,976.80", "=dep_1",
    ]  # fmt: skip
    assert "2 movimientos" in lines
    assert [line.split()[-1] for line in lines if line.startswith(("Saldo inicial", "Saldo final"))] == [
        "$988.40",
        "$1,976.80",
    ]


def test_the_command_uses_its_own_transaction(committed_db, merchant):
    assert "0 movimientos" in run(merchant.public_id, *NOVEMBER)


def test_a_statement_file_is_complete_or_absent(november, tmp_path):
    target = tmp_path / "noviembre.csv"

    run(november.public_id, *NOVEMBER, "--format", "csv", "--output", str(target))

    assert target.read_bytes().startswith(b'"Fecha","Hora",')
    assert [path.name for path in tmp_path.iterdir()] == ["noviembre.csv"]


def test_a_workbook_of_the_statement_has_typed_cells(november, tmp_path):
    target = tmp_path / "noviembre.xlsx"

    run(november.public_id, *NOVEMBER, "--format", "xlsx", "--output", str(target))

    rows = list(openpyxl.load_workbook(target).active.iter_rows(values_only=True))
    assert [str(cell) for cell in rows[2][:6]] == [
        "2026-11-30 00:00:00", "23:59:59", "2026-12-01 00:00:00", "Depósito SPEI abonado", "=dep_1",
        "Depósito SPEI abonado",
    ]  # fmt: skip
    assert rows[2][6:] == (1000, 10, 1.6, 988.4, 1976.8, 988.4, 0, 0, 0, 0)
    assert rows[3][11:14] == (-505.8, 0, 505.8)
    assert [path.name for path in tmp_path.iterdir()] == ["noviembre.xlsx"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{merchant}", *NOVEMBER, "--format", "xlsx"], "xlsx needs a file: use --output."),
        (["mer_nobody", *NOVEMBER], "There is no merchant mer_nobody."),
        (["{merchant}", "--from", "2026-11-31", "--to", "2026-12-01"], "'2026-11-31' is not a date like 2026-11-30."),
        (["{merchant}", "--from", "20261101", "--to", "2026-12-01"], "'20261101' is not a date like 2026-11-30."),
        (["{merchant}", "--from", "2026-11-02", "--to", "2026-11-01"], "ends on 2026-11-01, before it begins"),
        (["{merchant}", "--from", "2026-01-01", "--to", "2027-01-02"], "at most 366 days"),
        (["{merchant}", "--from", "2026-11-01"], "--to"),
    ],
)
def test_invalid_statement_arguments_are_reported(merchant, arguments, said):
    with pytest.raises(CommandError, match=said):
        run(*(argument.format(merchant=merchant.public_id) for argument in arguments))
