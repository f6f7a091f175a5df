"""Ordering, writing and opening reports, for tests."""

from __future__ import annotations

import csv
import hashlib
import io
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import openpyxl
from django.conf import settings
from django.test import Client
from openpyxl.utils.escape import unescape

from core import clock
from payments.models import Payment, Report
from payments.resources.report import SIGNER
from payments.services import report as report_service

SPEI = {"method": "spei", "amount": 100_000, "currency": "MXN"}
FOLDER = Path(settings.MEDIA_ROOT) / "reports"


def today():
    return clock.mexico_city_date(clock.now()).isoformat()


def order(api, kind="payments", **changes):
    body = {"type": kind, "start_date": "2026-01-01", "end_date": today()} | changes
    answer = api.post("/v1/reports", body, key=None)
    assert answer.status_code == 202, answer.content
    return Report.objects.get(public_id=answer.json()["id"])


def written(api, kind="payments", **changes):
    report = order(api, kind, **changes)
    report_service.write(report.pk)
    return api.get(f"/v1/reports/{report.public_id}").json()


def fetch(url):
    return Client().get(url.removeprefix(settings.SITE.base_url))


def link(report):
    return f"/reports/{report.public_id}?token={SIGNER.sign(report.public_id).partition(':')[2]}"


def table(shown):
    """Rows of the downloaded file: text from CSV, typed values from a workbook."""
    answer = fetch(shown["file"]["download_url"])
    assert answer.status_code == 200
    raw = b"".join(answer.streaming_content)
    assert (len(raw), hashlib.sha256(raw).hexdigest()) == (shown["file"]["size"], shown["file"]["sha256"])
    if shown["format"] == "csv":
        return list(csv.reader(io.StringIO(raw.decode(), newline="")))
    sheet = openpyxl.load_workbook(io.BytesIO(raw)).active
    return [
        [unescape(cell.value) if cell.data_type == "s" else cell.value for cell in row] for row in sheet.iter_rows()
    ]


def pay(api, stp, number=1, **changes):
    created = api.post("/v1/payments", SPEI | changes, key=f"r-{number}-{Payment.objects.count()}").json()
    assert stp.post(stp.deposit(created["spei"]["clabe"], 100_000, claveRastreo=created["id"][4:])).status_code == 200
    return Payment.objects.get(public_id=created["id"])


def as_text(cell, heading):
    """A workbook's cell as the CSV shows it."""
    match cell:
        case None:
            return ""
        case datetime() if heading.startswith("Fecha"):
            return cell.date().isoformat()
        case int() | float():
            return f"{Decimal(repr(cell)):.2f}"
    return str(cell)
