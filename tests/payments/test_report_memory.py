"""A report of any length is written in constant memory, without blocking other work."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import openpyxl
import pytest
from django.db import connection

from core.horizon import counters
from ledger.services import stream
from payments.models import Report
from payments.services import report as report_service
from payments.services import report_file
from tests.factories.many_payments import OLDEST, SEED
from tests.payments.report_orders import order, pay
from tests.promises import pick

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def api(merchant, make_api):
    return make_api(merchant)


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize(("format", "wanted"), [("csv", pick(10_000, 1_000_000)), ("xlsx", pick(4_000, 200_000))])
def test_the_length_of_a_report_costs_no_memory(api, merchant, stp, owner, format, wanted):
    text = SEED.replace("20000", str(wanted)).replace("30000", str(wanted))
    text = text.replace("left(md5(n::text), 10)", "md5(n::text)")  # a million ids need more than ten digits
    seed = {"hot": merchant.pk, "other": merchant.pk, "account": stp.account.pk, "oldest": OLDEST}
    owner.execute(text.replace("1 minute", "1 second"), seed)
    owner.commit()
    report = order(api, start_date="2024-12-31", end_date="2025-12-31", format=format)
    small = order(api, start_date="2024-12-31", end_date="2024-12-31", format=format)
    report_service.write(small.pk)  # loads modules and caches

    tracemalloc.start()
    report_service.write(report.pk)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    report.refresh_from_db()
    assert (report.status, report.rows_done, report.rows_total) == ("completed", wanted, wanted)
    assert lines(report_file.path_of(report)) == wanted + 1
    assert report.size > wanted * (190 if format == "csv" else 60)
    assert peak < 12 * 2**20, "a page of 2,000 rows and nothing of those before it"


def lines(path: Path) -> int:
    """How many rows there are, headings included, read piece by piece."""
    if path.suffix == ".csv":
        with path.open() as file:
            return sum(1 for _ in file)
    book = openpyxl.load_workbook(path, read_only=True)
    try:
        return sum(1 for _ in book.active.iter_rows())
    finally:
        book.close()


def test_writing_keeps_no_transaction_open_between_pages(api, stp, monkeypatch):
    for number in range(3):
        pay(api, stp, number)
    monkeypatch.setattr(report_file, "CHUNK", 1)
    seen = []

    def look(original):
        def looked(*args):
            seen.append((connection.in_atomic_block, connection.connection.info.transaction_status.name))
            return original(*args)

        return looked

    monkeypatch.setattr(report_file, "payment_cells", look(report_file.payment_cells))
    monkeypatch.setattr(report_file, "balance_cells", look(report_file.balance_cells))
    for kind in ("payments", "balance_transactions"):
        report_service.write(order(api, kind).pk)

    assert seen == [(False, "IDLE")] * 6
    assert Report.objects.filter(status="completed", rows_done=3).count() == 2


def test_a_statements_snapshot_holds_back_neither_the_feed_nor_the_seals(api, stp):
    pay(api, stp)

    with stream.snapshot(), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM payments_payment")
        cursor.execute("SELECT pg_current_xact_id_if_assigned()")
        assert cursor.fetchone() == (None,)
        assert [counter.holders() for counter in counters()] == [[], []]
