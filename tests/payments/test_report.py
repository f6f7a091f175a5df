"""Files of reports: content, writers and retention."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection

from core import clock, jobs
from merchants.models import Event
from payments.models import Payment, Report
from payments.services import report as report_service
from payments.services import report_file
from tests.history import rewrite
from tests.payments.report_orders import FOLDER, as_text, fetch, link, order, pay, table, written
from tests.problems import rows

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def api(merchant, make_api):
    return make_api(merchant, scopes=["payments:read", "payments:write", "reports:read"])


def test_payments_of_these_days_newest_first_in_mexico_city_time_and_pesos(api, stp):
    payment = pay(api, stp, external_id="pedido-1", customer={"name": "Ana", "email": "a@b.mx"}, description="Café")
    other = pay(api, stp)
    before = pay(api, stp)
    rewrite(Payment.objects.filter(pk=payment.pk), created_at=datetime(2026, 3, 10, 6, 0, tzinfo=UTC))
    rewrite(Payment.objects.filter(pk=other.pk), created_at=datetime(2026, 3, 11, 5, 59, 59, 999_999, tzinfo=UTC))
    rewrite(Payment.objects.filter(pk=before.pk), created_at=datetime(2026, 3, 10, 5, 59, 59, 999_999, tzinfo=UTC))
    payment.refresh_from_db()

    shown = written(api, start_date="2026-03-10", end_date="2026-03-10")

    assert (shown["status"], shown["rows_done"], shown["rows_total"]) == ("completed", 2, 2)
    headings, *lines = table(shown)
    assert [line[0] for line in lines] == [other.public_id, payment.public_id]
    assert dict(zip(headings, lines[1], strict=True)) == {
        "ID": payment.public_id,
        "Creado": "2026-03-10 00:00:00",
        "ID del comercio": "pedido-1",
        "Estado": "Completado",
        "Método": "SPEI",
        "Importe": "1000.00",
        "Moneda": "MXN",
        "Recibido": "1000.00",
        "Reembolsado": "0.00",
        "Comisión": "10.00",
        "IVA": "1.60",
        "Neto": "988.40",
        "Descripción": "Café",
        "Cliente": "Ana",
        "Correo": "a@b.mx",
        "Teléfono": "",
        "CLABE": payment.clabe,
        "Referencia OXXO": "",
        "Orden Conekta": "",
        "Clave de rastreo": payment.tracking_key,
        "Ordenante": "JUAN PEREZ",
        "Banco ordenante": "BBVA Mexico",
        "Fecha de operación": payment.operating_date.isoformat(),
        "Completado": payment.completed_at.astimezone(clock.MEXICO_CITY).strftime("%Y-%m-%d %H:%M:%S"),
        "Vence": payment.expires_at.astimezone(clock.MEXICO_CITY).strftime("%Y-%m-%d %H:%M:%S"),
    }


def test_balance_transactions_and_statement_tell_of_the_same_money(api, stp):
    for number in range(3):
        pay(api, stp, number)

    lines = table(written(api, "balance_transactions"))
    statement = table(written(api, "statement"))

    assert [line[lines[0].index("Neto")] for line in lines[1:]] == ["988.40"] * 3
    assert [line[lines[0].index("Disponible")] for line in lines[1:]] == ["2965.20", "1976.80", "988.40"]
    assert [row[3] for row in statement[1:]] == ["Saldo inicial", *["Depósito SPEI abonado"] * 3, "Saldo final"]
    assert statement[-1][statement[0].index("Saldo")] == "2965.20"


@pytest.mark.parametrize("kind", ["payments", "balance_transactions"])
def test_many_pages_make_one_file(api, stp, kind, monkeypatch):
    made = [pay(api, stp, n) for n in range(7)][::-1]
    monkeypatch.setattr(report_file, "CHUNK", 2)

    lines = table(written(api, kind))[1:]

    if kind == "payments":
        assert [line[0] for line in lines] == [payment.public_id for payment in made]
    else:
        assert [line[lines[0].index(lines[0][5])] for line in lines] == [p.deposits.get().public_id for p in made]


IDS = ["000179", "741E5", "1/2", "3-4", "4152313412345678", "-17", "1E5", "TRUE", "0x1F", "2026-01-02", "'1", 'a,b"c']
"""External ids that a spreadsheet would turn into something else."""


@pytest.mark.parametrize("format", ["csv", "xlsx"])
def test_ids_and_telephone_numbers_stay_as_they_were_given(api, stp, format):
    for number, external_id in enumerate(IDS):
        pay(api, stp, number, external_id=external_id, customer={"name": "Ana", "phone": "01551234567"})

    headings, *lines = table(written(api, format=format))

    found = [dict(zip(headings, line, strict=True)) for line in lines]
    assert [row["ID del comercio"] for row in found] == IDS[::-1]
    assert {row["Teléfono"] for row in found} == {"01551234567"}
    assert {(len(row["CLABE"]), row["CLABE"].isdigit()) for row in found} == {(18, True)}


HOSTILE = {
    "=1+1": "\\=1+1",
    "+1": "+1",
    "-1": "-1",
    "+1+cmd|'/c calc'!A0": "\\+1+cmd|'/c calc'!A0",
    "-1+1": "\\-1+1",
    "@x": "\\@x",
    "\t=1": "\t\\=1",
    "\r=1": "\r\\=1",
    "a\r\n=1": "a\r\n\\=1",
    "a;=1": "a;\\=1",
    'x"\t=1': 'x"\t\\=1',
    "＝1+1": "\\＝1+1",
    "＋1": "\\＋1",
    "－1": "\\－1",
    "＠x": "\\＠x",
    " =1": " \\=1",
    "\u00a0=1": "\u00a0\\=1",
    "=cmd|'/c calc'!A0": "\\=cmd|'/c calc'!A0",
    '=HYPERLINK("http://a.example","b")': '\\=HYPERLINK("http://a.example","b")',
    "<r></r></is></c><c><f>1+1</f></c><c><is><r></r>": "<r></r></is></c><c><f>1+1</f></c><c><is><r></r>",
    "_x003D_1+1": "_x003D_1+1",
    "http://a.example": "http://a.example",
    "mailto:a@b.mx": "mailto:a@b.mx",
}
"""What was given, and what CSV has of it; a workbook has it as it was given."""


@pytest.mark.parametrize("format", ["csv", "xlsx"])
def test_no_cell_is_a_formula(api, stp, format):
    for number, text in enumerate(HOSTILE):
        payment = pay(api, stp, number)
        fields = dict.fromkeys(("customer_name", "description", "customer_email"), text)
        rewrite(Payment.objects.filter(pk=payment.pk), **fields)

    headings, *lines = table(written(api, format=format))

    wanted = [shown if format == "csv" else text for text, shown in reversed(HOSTILE.items())]
    for heading in ("Cliente", "Descripción", "Correo"):
        assert [line[headings.index(heading)] for line in lines] == wanted, heading


def test_a_workbook_has_numbers_and_dates_of_mexico_city(api, stp):
    payment = pay(api, stp, external_id="pedido-1")
    rewrite(Payment.objects.filter(pk=payment.pk), created_at=datetime(2026, 3, 11, 5, 59, 59, 999_999, tzinfo=UTC))

    shown = written(api, start_date="2026-03-10", end_date="2026-03-10", format="xlsx")

    headings, line = table(shown)
    row = dict(zip(headings, line, strict=True))
    assert row["Creado"].isoformat() == "2026-03-10T23:59:59"
    assert row["Fecha de operación"].date() == payment.operating_date
    assert (row["Importe"], row["Comisión"], row["IVA"], row["Neto"]) == (1000, 10, 1.6, 988.4)
    assert shown["file"]["name"] == "payments_2026-03-10_2026-03-10_test.xlsx"


@pytest.mark.parametrize("kind", ["balance_transactions", "statement"])
def test_both_formats_of_a_report_say_the_same(api, stp, kind):
    for number in range(3):
        pay(api, stp, number)

    text = table(written(api, kind))
    typed = table(written(api, kind, format="xlsx"))

    assert typed[0] == text[0]
    assert len(typed) == len(text)
    for line, cells in zip(text[1:], typed[1:], strict=True):
        assert [as_text(cell, heading) for heading, cell in zip(text[0], cells, strict=True)] == line


def test_a_finished_report_is_an_event_without_a_link(api, stp):
    pay(api, stp)
    shown = written(api)

    event = Event.objects.get(object_id=shown["id"])

    assert event.type == "report.ready"
    assert event.data["previous"] == {"status": "processing"}
    assert event.data["object"]["file"]["download_url"] is None
    assert {**event.data["object"], "file": None} == {**shown, "file": None}
    report = Report.objects.get()
    assert [(t.from_status, t.to_status) for t in report.transitions.all()] == [
        ("", "pending"),
        ("pending", "processing"),
        ("processing", "completed"),
    ]


def test_files_are_removed_when_their_time_is_over_and_the_report_stays(api):
    shown = written(api)
    report = Report.objects.get()
    path = report_file.path_of(report)
    assert path.stat().st_mode & 0o777 == 0o600
    assert report_service.clean_up() == 0

    with time_machine.travel(clock.now() + timedelta(days=31), tick=False):
        fresh = api.get(f"/v1/reports/{shown['id']}").json()
        assert (fresh["status"], fresh["file"]["download_url"]) == ("completed", None)
        assert report_service.clean_up() == 1
        assert report_service.clean_up() == 0
        assert not path.exists()
        assert fetch(link(report)).status_code == 410


def test_writing_again_changes_nothing(api, stp):
    pay(api, stp)
    shown = written(api)
    before, stamp = rows(), report_file.path_of(Report.objects.get()).stat().st_mtime_ns

    report_service.write(Report.objects.get().pk)

    assert rows() == before
    assert report_file.path_of(Report.objects.get()).stat().st_mtime_ns == stamp
    assert api.get(f"/v1/reports/{shown['id']}").json()["status"] == "completed"


def test_a_writer_that_dies_is_followed_by_another_and_cannot_finish_any_more(api, stp, monkeypatch):
    pay(api, stp)
    report = order(api)
    original = report_file.write

    def slow(first, *, progress):
        # While the first one writes, its lease ends and a second one writes everything.
        result = original(first, progress=progress)
        Report.objects.filter(pk=first.pk).update(leased_until=clock.now() - timedelta(seconds=1))
        monkeypatch.setattr(report_file, "write", original)
        assert report_service.rescue() == 1
        report_service.write(first.pk)
        progress(1)
        return result

    monkeypatch.setattr(report_file, "write", slow)
    report_service.write(report.pk)

    report.refresh_from_db()
    assert (report.status, report.attempt) == ("completed", 2)
    assert Event.objects.filter(object_id=report.public_id).count() == 1
    assert list(FOLDER.glob(f".{report.public_id}*")) == []


def test_a_fault_is_tried_three_times_and_then_said(api, stp, monkeypatch):
    pay(api, stp)
    report = order(api)
    monkeypatch.setattr(report_file, "payment_cells", lambda row: 1 / 0)

    for attempt in (1, 2, 3):
        report_service.write(report.pk)
        report.refresh_from_db()
        assert report.attempt == attempt
        assert report.status == ("failed" if attempt == 3 else "processing")
    report_service.write(report.pk)

    shown = api.get(f"/v1/reports/{report.public_id}").json()
    assert (shown["status"], shown["failure"]["code"], shown["file"]) == ("failed", "internal_error", None)
    assert [event.type for event in Event.objects.filter(object_id=report.public_id)] == ["report.failed"]
    assert list(FOLDER.glob(f"*{report.public_id}*")) == []


def test_reports_of_all_merchants_leave_the_worker_places_for_money(api, other_merchant, make_api):
    for orderer in (api, make_api(other_merchant, scopes=["reports:read"])):
        for _ in range(3):
            order(orderer)
    jobs.defer("payments.expire_payments", timestamp=0)

    begun = [begin_next_job() for _ in range(4)]

    assert begun == ["payments.write_report"] * 2 + ["payments.expire_payments", None]


def begin_next_job() -> str | None:
    """What a worker with a free place takes next."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO procrastinate_workers DEFAULT VALUES RETURNING id")
        cursor.execute("SELECT task_name FROM procrastinate_fetch_job_v2(NULL, %s)", cursor.fetchone())
        return cursor.fetchone()[0]


def test_the_rescue_finds_only_reports_without_a_writer(api):
    report = order(api)

    assert report_service.rescue() == 0
    with time_machine.travel(clock.now() + timedelta(minutes=2), tick=False):
        assert report_service.rescue() == 1
    report_service.write(report.pk)
    with time_machine.travel(clock.now() + timedelta(days=2), tick=False):
        assert report_service.rescue() == 0
