"""Writing of report files: row by row in constant memory, by short statements.

Payments, payouts and balance transactions are read page by page (keyset pagination) without an open transaction, up to
a limit that is fixed at the start. Ledger lines never change, so that the file shows one state of the books; a payment
or payout appears as it is when its page is read. A statement is one query in a read-only snapshot, which gets no
transaction id and thus delays neither seals nor the event feed.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.db import OperationalError
from django.db.models import Q, QuerySet

from core import clock
from core.db import transaction_forbidden
from core.files import sha256_of
from core.spreadsheet import Cell, Column, CsvTable, Table, XlsxTable
from ledger.resources.statement import COLUMNS, table_rows
from ledger.services import balance_transaction, statement, stream
from payments.models import Payment, Payout, Report
from payments.models.payment import NEWEST_FIRST
from payments.models.payout import INTERNAL_KINDS
from payments.resources.report import (
    BALANCE_COLUMNS,
    PAYMENT_COLUMNS,
    PAYOUT_COLUMNS,
    PaymentRow,
    PayoutRow,
    balance_cells,
    payment_cells,
    payout_cells,
)

CHUNK = 2_000
"""Rows read by one statement and held in memory at once."""

Progress = Callable[[int], None]


def path_of(report: Report) -> Path:
    """Path of the finished file below MEDIA_ROOT."""
    return Path(settings.MEDIA_ROOT) / "reports" / f"{report.public_id}.{report.format}"


@transaction_forbidden
def write(report: Report, *, progress: Progress) -> tuple[int, int, str]:
    """Write the file atomically and return ``(rows, bytes, SHA-256)``.

    ``progress`` is called with the number of rows written so far and may raise to stop.
    """
    columns, write_rows = _WRITERS[Report.Type(report.type)]
    with _written_whole(path_of(report)) as file:
        with _table(report, file, columns) as table:
            rows = write_rows(report, table, progress)
        file.seek(0)
        sha256 = sha256_of(file)
        size = os.fstat(file.fileno()).st_size
        progress(rows)
    return rows, size, sha256


@contextmanager
def _table(report: Report, file: BinaryIO, columns: Sequence[Column]) -> Iterator[Table]:
    """The report's table in ``file``: complete at the end of the block, with ``file`` still open."""
    if report.format == Report.Format.XLSX:
        with tempfile.TemporaryDirectory(prefix=".", suffix=".part", dir=path_of(report).parent) as scratch:
            workbook = XlsxTable(file, columns, scratch=scratch)
            yield workbook
            workbook.close()
        return
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    yield CsvTable(text, columns)
    text.detach()


def count(report: Report) -> int | None:
    """The expected number of rows, if a count is cheap."""
    if report.type == Report.Type.PAYMENTS:
        rows = _created(report, Payment)
    elif report.type == Report.Type.PAYOUTS:
        rows = _created(report, Payout)
    else:
        return None
    try:
        return rows.filter(created_at__lt=_period(report)[1]).count()
    except OperationalError:  # counting takes too long
        return None


def _write_payments(report: Report, table: Table, progress: Progress) -> int:
    return _write_rows(report, _created(report, Payment), PaymentRow, payment_cells, table, progress)


def _write_payouts(report: Report, table: Table, progress: Progress) -> int:
    return _write_rows(report, _created(report, Payout), PayoutRow, payout_cells, table, progress)


def _write_rows(
    report: Report,
    rows: QuerySet[Any],
    row_type: type[Any],
    cells: Callable[[Any], list[Cell]],
    table: Table,
    progress: Progress,
) -> int:
    done = 0
    for chunk in _chunks(rows, row_type, before=_period(report)[1]):
        table.write(map(cells, chunk))
        done += len(chunk)
        progress(done)
    return done


def _created(report: Report, model: type[Payment] | type[Payout]) -> QuerySet[Any]:
    """The merchant's rows created since the period began, without payouts that only we know."""
    rows: QuerySet[Any] = model._default_manager.filter(
        merchant_id=report.merchant_id, livemode=report.livemode, created_at__gte=_period(report)[0]
    )
    return rows.exclude(kind__in=INTERNAL_KINDS) if model is Payout else rows


def _chunks(rows: QuerySet[Any], row_type: type[Any], *, before: datetime) -> Iterator[list[Any]]:
    """The rows created before ``before``, newest first. ``row_type`` is a named tuple of columns."""
    rows = rows.order_by(*NEWEST_FIRST)
    place = Q(created_at__lt=before)
    while True:
        found = rows.filter(place).values_list(*row_type._fields)[:CHUNK]
        chunk = [row_type._make(values) for values in found]
        if chunk:
            yield chunk
        if len(chunk) < CHUNK:
            return
        last = chunk[-1]
        behind = Q(created_at__lt=last.created_at) | Q(created_at=last.created_at, id__lt=last.id)
        place = Q(created_at__lte=last.created_at) & behind


def _write_balance_transactions(report: Report, table: Table, progress: Progress) -> int:
    done, place = 0, None
    first, end = _period(report)
    balance_transaction.wait_until_shown()
    while True:
        found = balance_transaction.page(
            report.merchant,
            livemode=report.livemode,
            limit=CHUNK,
            after=place,
            created_from=first,
            created_before=end,
        )
        table.write(map(balance_cells, found.lines))
        done += len(found.lines)
        progress(done)
        if found.next is None:
            return done
        place = found.next


def _write_statement(report: Report, table: Table, progress: Progress) -> int:
    done = 0
    with stream.snapshot():
        found = statement.of_merchant(
            report.merchant, livemode=report.livemode, first_day=report.start_date, last_day=report.end_date
        )
        rows = table_rows(found)
        while chunk := list(islice(rows, CHUNK)):
            table.write(chunk)
            done += len(chunk)
    return done


_WRITERS: dict[Report.Type, tuple[Sequence[Column], Callable[[Report, Table, Progress], int]]] = {
    Report.Type.PAYMENTS: (PAYMENT_COLUMNS, _write_payments),
    Report.Type.PAYOUTS: (PAYOUT_COLUMNS, _write_payouts),
    Report.Type.BALANCE_TRANSACTIONS: (BALANCE_COLUMNS, _write_balance_transactions),
    Report.Type.STATEMENT: (COLUMNS, _write_statement),
}


def _period(report: Report) -> tuple[datetime, datetime]:
    """The period as times, at most until now, so that rows created during writing are left out."""
    return (
        clock.local_day_bounds(report.start_date)[0],
        min(clock.local_day_bounds(report.end_date)[1], clock.now()),
    )


@contextmanager
def _written_whole(target: Path) -> Iterator[BinaryIO]:
    """A file that gets its name when it is complete and synced to disk, readable by its owner only."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    try:
        with open(handle, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    finally:
        Path(temporary).unlink(missing_ok=True)
