"""``/v1/reports``: ordered by a merchant, written by the worker, downloaded by a signed address."""

from __future__ import annotations

import csv
import hashlib
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from django.conf import settings
from django.core.signing import TimestampSigner
from django.test import Client
from procrastinate.contrib.django.models import ProcrastinateJob

from core import clock
from merchants.models import Event, Merchant
from payments.models import Payment, Report
from payments.resources.report import SIGNER
from payments.services import report as report_service
from payments.services import report_file
from tests.problems import assert_problem, rows

pytestmark = pytest.mark.usefixtures("committed_db")

SPEI = {"method": "spei", "amount": 100_000, "currency": "MXN"}
FOLDER = Path(settings.MEDIA_ROOT) / "reports"


@pytest.fixture
def api(merchant, make_api):
    return make_api(merchant, scopes=["payments:read", "payments:write", "reports:read"])


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
    """Rows of the downloaded file."""
    answer = fetch(shown["file"]["download_url"])
    assert answer.status_code == 200
    raw = b"".join(answer.streaming_content)
    assert raw.startswith(b"\xef\xbb\xbf")
    assert (len(raw), hashlib.sha256(raw).hexdigest()) == (shown["file"]["size"], shown["file"]["sha256"])
    return list(csv.reader(io.StringIO(raw.decode("utf-8-sig"))))


def pay(api, stp, number=1, **changes):
    created = api.post("/v1/payments", SPEI | changes, key=f"r-{number}-{Payment.objects.count()}").json()
    assert stp.post(stp.deposit(created["spei"]["clabe"], 100_000, claveRastreo=created["id"][4:])).status_code == 200
    return Payment.objects.get(public_id=created["id"])


def test_an_order_waits_for_the_worker_and_says_how_far_it_is(api):
    body = {"type": "payments", "start_date": "2026-11-01", "end_date": "2026-11-02", "metadata": {"a": "b"}}

    answer = api.post("/v1/reports", body, key=None)

    shown = answer.json()
    assert answer.status_code == 202
    assert shown.pop("created_at").endswith("Z")
    assert shown.pop("id").startswith("rep_")
    assert shown == body | {
        "object": "report",
        "livemode": False,
        "status": "pending",
        "rows_done": 0,
        "rows_total": None,
        "completed_at": None,
        "failure": None,
        "file": None,
    }
    (job,) = ProcrastinateJob.objects.filter(task_name="payments.write_report")
    assert job.args == {"report_id": Report.objects.get().pk}


def test_payments_of_these_days_newest_first_in_mexico_city_time_and_pesos(api, stp):
    payment = pay(api, stp, external_id="pedido-1", customer={"name": "Ana", "email": "a@b.mx"}, description="Café")
    other = pay(api, stp)
    before = pay(api, stp)
    Payment.objects.filter(pk=payment.pk).update(created_at=datetime(2026, 3, 10, 6, 0, tzinfo=UTC))
    Payment.objects.filter(pk=other.pk).update(created_at=datetime(2026, 3, 11, 5, 59, 59, 999_999, tzinfo=UTC))
    Payment.objects.filter(pk=before.pk).update(created_at=datetime(2026, 3, 10, 5, 59, 59, 999_999, tzinfo=UTC))
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
        "CLABE": f"'{payment.clabe}",
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


HOSTILE = [
    "=1+1",
    "+1",
    "-1",
    "@x",
    "\t=1",
    "\r=1",
    "＝1+1",
    "＋1",
    "－1",
    "＠x",
    " =1",
    "\u00a0=1",
    "=cmd|'/c calc'!A0",
]


def test_no_cell_is_a_formula(api, stp):
    for number, text in enumerate(HOSTILE):
        payment = pay(api, stp, number)
        fields = dict.fromkeys(("external_id", "customer_name", "description", "customer_phone"), text)
        Payment.objects.filter(pk=payment.pk).update(**fields)
        Payment.objects.filter(pk=payment.pk).update(external_id=f"{text}{number}")

    lines = table(written(api))[1:]

    assert len(lines) == len(HOSTILE)
    dangerous = tuple("=+-@\t\r\n＝＋－＠")
    assert [cell for line in lines for cell in line if cell.strip(" \u00a0").startswith(dangerous)] == []
    assert {line[13] for line in lines} == {f"'{text}" for text in HOSTILE}


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


def test_a_download_needs_no_key_is_never_kept_and_never_run(api):
    answer = fetch(written(api)["file"]["download_url"])

    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == f'attachment; filename="payments_2026-01-01_{today()}_test.csv"'
    assert answer["Cache-Control"] == "private, no-store"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "no-referrer"
    b"".join(answer.streaming_content)


def test_an_address_that_we_did_not_sign_opens_nothing(api, merchant):
    url = written(api)["file"]["download_url"]
    other = order(api)
    address, token = url.removeprefix(settings.SITE.base_url).split("?token=")
    stamp, mark = token.split(":")

    for forged in (
        f"{address}?token={token[:-1]}{'A' if token[-1] != 'A' else 'B'}",
        f"/reports/{other.public_id}?token={token}",
        f"{address}?token={stamp}x:{mark}",
        f"{address}?token=zzzzzz:{mark}",
        f"{address}?token={TimestampSigner(salt='another').sign(other.public_id).partition(':')[2]}",
        f"{address}?token=",
        f"{address}?token=%00:%F0",
        address,
        f"/reports/x?token={token}",
        "/reports/..%2f..%2fetc%2fpasswd",
    ):
        assert fetch(forged).status_code == 404, forged
    assert fetch(link(other)).status_code == 410, "signed, but there is no file yet"


def test_an_address_works_for_an_hour_and_a_read_gives_a_fresh_one(api):
    shown = written(api)
    url = shown["file"]["download_url"]

    with time_machine.travel(clock.now() + timedelta(minutes=61), tick=False):
        assert fetch(url).status_code == 410
        fresh = api.get(f"/v1/reports/{shown['id']}").json()["file"]["download_url"]
        answer = fetch(fresh)
        assert answer.status_code == 200
        b"".join(answer.streaming_content)


def test_a_suspended_merchants_files_are_closed(api, merchant):
    url = written(api)["file"]["download_url"]

    Merchant.objects.filter(pk=merchant.pk).update(status="suspended")

    assert fetch(url).status_code == 410


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


def test_a_fault_is_tried_three_times_and_then_said(api, monkeypatch):
    report = order(api)
    monkeypatch.setattr(report_file, "payment_cells", lambda row: 1 / 0)
    monkeypatch.setattr(report_file, "_payments", lambda report: iter([[None]]))

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


def test_the_rescue_finds_only_what_nobody_writes(api):
    report = order(api)

    assert report_service.rescue() == 0
    with time_machine.travel(clock.now() + timedelta(minutes=2), tick=False):
        assert report_service.rescue() == 1
    report_service.write(report.pk)
    with time_machine.travel(clock.now() + timedelta(days=2), tick=False):
        assert report_service.rescue() == 0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"type": "payouts"}, "type"),
        ({"type": None}, "type"),
        ({"start_date": "2026-02-30"}, "start_date"),
        ({"start_date": "0001-01-01"}, "start_date"),
        ({"start_date": 20260101}, "start_date"),
        ({"start_date": "2026-01-01T00:00:00Z"}, "start_date"),
        ({"end_date": "2025-12-31"}, "end_date"),
        ({"end_date": "2027-01-02"}, "end_date"),
        ({"end_date": "8999-01-01", "start_date": "8998-12-01"}, "end_date"),
        ({"format": "pdf"}, "format"),
        ({"metadata": {"a": 1}}, "metadata"),
    ],
)
def test_a_bad_order_is_refused_and_nothing_is_written(api, changes, field):
    before = rows()
    body = {"type": "payments", "start_date": "2026-01-01", "end_date": "2026-01-02"} | changes

    code = "unknown_field" if field == "format" else "invalid_request"

    assert_problem(api.post("/v1/reports", body, key=None), 400, code, field)
    assert rows() == before
    assert Report.objects.count() == 0


def test_five_may_wait_at_once(api, merchant, make_api):
    for _ in range(5):
        order(api)
    body = {"type": "payments", "start_date": "2026-01-01", "end_date": "2026-01-02"}

    assert_problem(api.post("/v1/reports", body, key=None), 422, "limit_exceeded")
    report_service.write(Report.objects.first().pk)
    assert api.post("/v1/reports", body, key=None).status_code == 202


def test_an_idempotency_key_makes_one_report_of_many_orders(api):
    body = {"type": "payments", "start_date": "2026-01-01", "end_date": "2026-01-02"}

    first, again = api.post("/v1/reports", body, key="one"), api.post("/v1/reports", body, key="one")

    assert (first.status_code, again.status_code) == (202, 202)
    assert again["Idempotent-Replayed"] == "true"
    assert first.json() == again.json()
    assert Report.objects.count() == 1


def test_reports_are_ones_own_in_this_mode_and_need_their_scope(api, merchant, other_merchant, make_api):
    mine = order(api)
    scopes = ["reports:read"]
    others, live = make_api(other_merchant, scopes=scopes), make_api(merchant, livemode=True, scopes=scopes)
    reader = make_api(merchant, scopes=["payments:read"])

    assert [r["id"] for r in api.get("/v1/reports").json()["data"]] == [mine.public_id]
    for caller in (others, live):
        assert caller.get("/v1/reports").json()["data"] == []
        assert_problem(caller.get(f"/v1/reports/{mine.public_id}"), 404, "not_found")
    for answer in (reader.get("/v1/reports"), reader.get(f"/v1/reports/{mine.public_id}")):
        assert_problem(answer, 403, "key_scope_insufficient")


def test_lists_of_reports_have_pages_and_filters(api):
    made = [order(api).public_id for _ in range(3)][::-1]
    report_service.write(Report.objects.order_by("id")[0].pk)

    first = api.get("/v1/reports?limit=2").json()
    second = api.get(f"/v1/reports?limit=2&cursor={first['next_cursor']}").json()

    assert [r["id"] for r in first["data"] + second["data"]] == made
    assert [r["id"] for r in api.get("/v1/reports?status=completed").json()["data"]] == made[2:]
    assert api.get("/v1/reports?type=statement").json()["data"] == []
    assert_problem(api.get("/v1/reports?type=x"), 400, "invalid_request", "type")


def test_a_file_shows_nothing_of_another_merchant_or_mode(api, stp, other_merchant, make_api):
    mine = pay(api, stp)
    theirs = pay(make_api(other_merchant), stp)

    content = str([table(written(api, kind)) for kind in Report.Type.values])

    assert mine.public_id in content
    for foreign in (theirs.public_id, theirs.clabe, theirs.deposits.get().public_id):
        assert foreign not in content
