"""``/v1/reports``: orders, lists and download URLs."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.conf import settings
from django.core.signing import TimestampSigner
from procrastinate.contrib.django.models import ProcrastinateJob

from core import clock
from merchants.models import Merchant
from payments.models import Report
from payments.services import report as report_service
from tests.payments.report_orders import fetch, link, order, pay, table, today, written
from tests.problems import assert_problem, rows

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def api(merchant, make_api):
    return make_api(merchant, scopes=["payments:read", "payments:write", "reports:read"])


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
        "format": "csv",
        "status": "pending",
        "rows_done": 0,
        "rows_total": None,
        "completed_at": None,
        "failure": None,
        "file": None,
    }
    (job,) = ProcrastinateJob.objects.filter(task_name="payments.write_report")
    assert job.args == {"report_id": Report.objects.get().pk}


@pytest.mark.parametrize(
    ("format", "content_type"),
    [
        ("csv", "text/csv; charset=utf-8"),
        ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ],
)
def test_a_download_needs_no_key_is_never_kept_and_never_run(api, format, content_type):
    answer = fetch(written(api, format=format)["file"]["download_url"])

    assert answer.status_code == 200
    assert answer["Content-Type"] == content_type
    assert answer["Content-Disposition"] == f'attachment; filename="payments_2026-01-01_{today()}_test.{format}"'
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


BAD_ORDERS = [
    ({"type": "payout"}, 400, "type"),
    ({"type": None}, 400, "type"),
    ({"start_date": "2026-02-30"}, 400, "start_date"),
    ({"start_date": "0001-01-01"}, 422, "start_date"),
    ({"start_date": 20260101}, 400, "start_date"),
    ({"start_date": "2026-01-01T00:00:00Z"}, 400, "start_date"),
    ({"end_date": "2025-12-31"}, 422, "end_date"),
    ({"end_date": "2027-01-02"}, 422, "end_date"),
    ({"end_date": "8999-01-01", "start_date": "8998-12-01"}, 422, "end_date"),
    ({"format": "pdf"}, 400, "format"),
    ({"format": None}, 400, "format"),
    ({"format": ["xlsx"]}, 400, "format"),
    ({"metadata": {"a": 1}}, 400, "metadata"),
]


def test_a_bad_order_is_refused_and_nothing_is_written(subtests, api):
    before = rows()

    for changes, status, field in BAD_ORDERS:
        with subtests.test(changes=changes):
            body = {"type": "payments", "start_date": "2026-01-01", "end_date": "2026-01-02"} | changes

            for key in (None, "report-1"):
                assert_problem(api.post("/v1/reports", body, key=key), status, "invalid_request", field)
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
