"""Reports: ordered by a merchant, written by the worker, announced by an event, removed after their retention."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from core import clock, jobs, lease
from core.db import transaction_forbidden, transaction_required
from core.errors import InvalidRequest, LimitExceeded, UnusableValue
from core.state import Origin, TransitionRow
from core.unit_of_work import joined
from ledger.services.statement import MAX_DAYS
from merchants.models import Merchant
from merchants.services import event
from payments.models import Report, ReportTransition
from payments.resources.report import report as report_resource
from payments.services import report_file

logger = logging.getLogger(__name__)

MAX_UNFINISHED = 5
"""Maximum number of unfinished reports of one merchant and mode."""
MAX_CONCURRENT = 2
"""Reports of all merchants that are written concurrently, to leave slots of the worker for other jobs."""
MAX_ATTEMPTS = 3
LEASE = timedelta(minutes=5)
"""Lease of a writer; each page renews it."""
STATEMENT_LEASE = timedelta(hours=1)
"""Lease for a statement, which is a single query: as long as that may take."""
_ABANDONED = timedelta(days=1)
"""Age at which an unfinished file or a workbook's temporary folder has no living writer."""


class Overtaken(Exception):
    """Another writer has taken over this report."""


@dataclass(frozen=True, slots=True)
class NewReport:
    """A valid request for a report over Mexico City days, both included."""

    type: Report.Type
    start_date: date
    end_date: date
    format: Report.Format = Report.Format.CSV
    metadata: Mapping[str, str] = field(default_factory=dict)


@transaction_required
def create(merchant: Merchant, *, livemode: bool, wanted: NewReport, origin: Origin) -> Report:
    """Order a report; the worker writes it.

    Raises ``InvalidRequest`` for a period that is invalid, too long or in the future, and ``LimitExceeded`` if the
    merchant has ``MAX_UNFINISHED`` unfinished reports.
    """
    _check_days(wanted)
    Merchant.objects.select_for_update(no_key=True).get(pk=merchant.pk)  # serialises concurrent orders
    waiting = Report.objects.filter(
        merchant=merchant, livemode=livemode, status__in=[Report.Status.PENDING, Report.Status.PROCESSING]
    )
    if waiting.count() >= MAX_UNFINISHED:
        raise LimitExceeded("Too many of your reports are still being written; wait until one is ready.")
    report = Report(
        merchant=merchant,
        livemode=livemode,
        type=wanted.type,
        format=wanted.format,
        start_date=wanted.start_date,
        end_date=wanted.end_date,
        metadata=dict(wanted.metadata),
    )
    with joined() as writes:
        writes.insert(report)
        writes.insert(_transition(report, "", origin))
        writes.after_write(lambda: _defer(report))
    return report


@transaction_forbidden
def write(report_id: int) -> None:
    """Write the report's file and finish the report.

    Does nothing if it is finished or has another writer. After an internal error, ``rescue`` retries it; after
    ``MAX_ATTEMPTS`` it fails. An impossible request fails at once.
    """
    report = _begin(report_id)
    if report is None:
        return
    attempt = report.attempt
    try:
        Report.objects.filter(pk=report.pk, attempt=attempt).update(rows_total=report_file.count(report))
        rows, size, sha256 = report_file.write(report, progress=lambda done: _progress(report, attempt, done))
    except Overtaken:
        logger.warning("report was taken over by another writer", extra={"report": report.public_id})
    except InvalidRequest as refused:
        _fail(report.pk, attempt, code=refused.code, message=refused.message)
    except Exception:
        logger.exception("report was not written", extra={"report": report.public_id, "attempt": attempt})
        if attempt >= MAX_ATTEMPTS:
            _fail(
                report.pk, attempt, code="internal_error", message="The report could not be written; please contact us."
            )
        else:
            lease.release(Report.objects.filter(pk=report.pk, attempt=attempt), "leased_until")
    else:
        _complete(report.pk, attempt, rows=rows, size=size, sha256=sha256)


def rescue() -> int:
    """Enqueue unfinished reports without a living writer; returns how many."""
    now = clock.now()
    begun = Q(leased_until__isnull=False) | Q(
        created_at__lt=now - timedelta(minutes=1)
    )  # else its first job is still enqueued
    unfinished = Report.objects.filter(
        lease.is_free("leased_until"), begun, status__in=[Report.Status.PENDING, Report.Status.PROCESSING]
    )
    count = 0
    for report in unfinished.order_by("id")[:100]:
        _defer(report)
        count += 1
    return count


def clean_up() -> int:
    """Remove expired files and those left by killed writers; returns the number of expired reports."""
    folder = Path(settings.MEDIA_ROOT) / "reports"
    oldest = (clock.now() - _ABANDONED).timestamp()
    for left in folder.glob(".*.part"):
        if left.stat().st_mtime >= oldest:
            continue
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)
    count = 0
    over = Report.objects.filter(status=Report.Status.COMPLETED, removed_at=None, expires_at__lt=clock.now())
    for report in over.order_by("expires_at")[:10_000]:
        report_file.path_of(report).unlink(missing_ok=True)
        count += Report.objects.filter(pk=report.pk, removed_at=None).update(removed_at=clock.now())
    return count


def _check_days(wanted: NewReport) -> None:
    if wanted.end_date < wanted.start_date:
        raise _refused("The period ends before it begins.")
    if (wanted.end_date - wanted.start_date).days >= MAX_DAYS:
        raise _refused("A report covers at most 366 days.")
    if wanted.end_date > clock.mexico_city_date(clock.now()):
        raise _refused("This day is in the future in Mexico City.")


def _refused(message: str) -> UnusableValue:
    return UnusableValue.of("end_date", message)


@transaction.atomic
def _begin(report_id: int) -> Report | None:
    """Lease the report; None if it is finished or leased."""
    report = _lock(report_id)
    now = clock.now()
    if report.status not in (Report.Status.PENDING, Report.Status.PROCESSING):
        return None
    if lease.is_held(report.leased_until):
        return None
    if report.attempt >= MAX_ATTEMPTS:  # its writers were killed
        _finish_failed(report, code="internal_error", message="The report could not be written; please contact us.")
        return None
    before = report.status
    if report.status == Report.Status.PENDING:
        report.start()
    report.attempt += 1
    report.rows_done = 0
    report.leased_until = now + (STATEMENT_LEASE if report.type == Report.Type.STATEMENT else LEASE)
    report.save(update_fields=["status", "attempt", "rows_done", "leased_until"])
    if report.status != before:
        _record(report, before, _WORKER)
    return report


def _progress(report: Report, attempt: int, done: int) -> None:
    still_ours = Report.objects.filter(pk=report.pk, attempt=attempt, status=Report.Status.PROCESSING)
    if not still_ours.update(rows_done=done, leased_until=clock.now() + LEASE):
        raise Overtaken


@transaction.atomic
def _complete(report_id: int, attempt: int, *, rows: int, size: int, sha256: str) -> None:
    report = _lock(report_id)
    if report.attempt != attempt or report.status != Report.Status.PROCESSING:
        return
    before = report.status
    report.complete(rows=rows, size=size, sha256=sha256)
    report.leased_until = None
    report.expires_at = clock.now() + settings.REPORT_KEPT
    report.save(
        update_fields=[
            "status",
            "rows_done",
            "rows_total",
            "size",
            "sha256",
            "completed_at",
            "leased_until",
            "expires_at",
        ]  # fmt: skip
    )
    _record(report, before, _WORKER)
    _record_event(report, before, "report.ready")


@transaction.atomic
def _fail(report_id: int, attempt: int, *, code: str, message: str) -> None:
    report = _lock(report_id)
    if report.attempt == attempt and report.status == Report.Status.PROCESSING:
        _finish_failed(report, code=code, message=message)


def _finish_failed(report: Report, *, code: str, message: str) -> None:
    before = report.status
    report.fail(code=code, message=message)
    report.leased_until = None
    report.save(update_fields=["status", "failure_code", "failure_message", "completed_at", "leased_until"])
    _record(report, before, _WORKER)
    _record_event(report, before, "report.failed")


_WORKER = Origin(TransitionRow.Cause.WORKER, "payments.write_report")


def _record(report: Report, before: str, origin: Origin) -> None:
    _transition(report, before, origin).save()


def _transition(report: Report, before: str, origin: Origin) -> ReportTransition:
    return ReportTransition(
        report=report,
        from_status=before,
        to_status=report.status,
        cause=origin.cause,
        actor=origin.actor,
        reference=origin.reference,
    )


def _record_event(report: Report, before: str, event_type: str) -> None:
    event.record(
        report.merchant,
        livemode=report.livemode,
        type=event_type,
        obj=report_resource(report, with_link=False),
        previous={"status": before},
    )


def _defer(report: Report) -> None:
    jobs.defer(
        "payments.write_report",
        queueing_lock=f"report:{report.public_id}",
        lock=f"reports:{report.pk % MAX_CONCURRENT}",
        report_id=report.pk,
    )


@transaction_required
def _lock(report_id: int) -> Report:
    return Report.objects.select_for_update(of=("self",)).select_related("merchant").get(pk=report_id)
