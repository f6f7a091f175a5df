"""What reaches the log: one JSON object a line, named after its request, without anything secret."""

from __future__ import annotations

import base64
import json
import logging
import os
import subprocess
import sys
import time
from urllib.parse import quote, urlencode

import pytest
from procrastinate.contrib.django.models import ProcrastinateJob as Job

from core import jobs, request_context
from payments.models import Payment
from payments_site.logging import JsonFormatter
from tests import cluster
from tests.payments_site.canary import CLABE, EMAIL, KEY, NAME, PHONE, of_clabes_and_reports, of_staff
from tests.web_process import ROOT, Web, basic, patient

SECRETS = [CLABE, EMAIL, KEY, "stp-canary-secret", "key_canary0123456789"]
PERSONAL = ["Canaria", "Zopilote", "ZOPILOTE", PHONE, "ZOCC800101"]
"""Parts of what only a person's data holds: no line may have any of them."""


def logged(message, *arguments, extra=None, error=None):
    """The line that is written for this call, as text."""
    record = logging.getLogger("test").makeRecord(
        "test",
        logging.ERROR,
        "file.py",
        1,
        message,
        arguments,
        (type(error), error, None) if error else None,
        extra=extra,
    )
    return JsonFormatter().format(record)


@pytest.mark.parametrize("before", ["", " ", "\n", "\t", '"', "'", "(", "=", ":", "\\n", "ñ ", "…", "\r\n"])
@pytest.mark.parametrize(
    "secret", [CLABE, EMAIL, KEY, f"Bearer {KEY}", basic("stp", "stp-canary-secret"), "key_canary0123456789"]
)
def test_no_secret_is_written_wherever_it_stands(before, secret):
    hidden = secret.rpartition(" ")[2]

    for line in (
        logged(f"{before and 'a'}{before}{secret}{before}"),
        logged("%s", f"{before}{secret}"),
        logged("x", extra={"value": f"{before}{secret}"}),
        logged("x", extra={"value": {"inner": [f"{before}{secret}"]}}),
        logged("x", error=ValueError(f"{before}{secret}\n")),
    ):
        assert "\n" not in line
        written = json.dumps(json.loads(line), ensure_ascii=False)
        assert hidden not in line
        assert hidden not in written


def test_a_number_is_masked_like_a_text():
    line = json.loads(logged("x", extra={"clabe": int("6" + CLABE[1:]), "amount": 125_050}))

    assert line["clabe"] == "612180********5996"
    assert line["amount"] == 125_050


def test_an_address_with_a_password_loses_it():
    line = logged("connecting to postgresql://payments_app:hunter2@127.0.0.1:5432/payments")

    assert "hunter2" not in line
    assert "127.0.0.1:5432/payments" in line


def test_what_people_need_to_find_a_case_stays():
    line = json.loads(logged("deposit in suspense", extra={"deposit": "dep_01kb3x", "clabe": CLABE}))

    assert line["deposit"] == "dep_01kb3x"
    assert line["clabe"] == "012180********5996"
    assert (line["level"], line["logger"], line["message"]) == ("ERROR", "test", "deposit in suspense")


def test_a_line_names_the_request_it_belongs_to():
    request_context.begin("request-0001")
    request_context.add(merchant="mer_x")

    line = json.loads(logged("x"))

    assert (line["request_id"], line["merchant"]) == ("request-0001", "mer_x")


@pytest.mark.parametrize("odd", ["\0", "\x1b[31m", "\u2028", "\ud800", "é\\u00e9", '{"a": 1}', "%s %d"])
def test_any_text_stays_one_line_of_json(odd):
    line = logged("%s", odd, extra={"odd": odd, odd: 1})

    assert len(line.splitlines()) == 1
    assert json.loads(line)["odd"] == odd


@pytest.mark.parametrize("text", ["a" * 200_000, "1" * 200_000, "://" * 60_000, "key_" * 50_000, "a@" * 100_000])
def test_a_long_text_costs_little(text):
    started = time.monotonic()

    logged(text)

    assert time.monotonic() - started < 30  # without care it is minutes


@pytest.mark.promise("P26", "secrets and personal data pushed through a running site", unit="runs")
def test_a_running_site_writes_no_secret_whatever_goes_wrong(
    committed_db, api, merchant, stp, conekta, owner, tmp_path
):
    # Two faults that make PostgreSQL quote whole rows in its error.
    owner.execute("ALTER TABLE payments_payment ADD CONSTRAINT canary CHECK (amount <> 66601) NOT VALID")
    owner.execute("ALTER TABLE payments_deposit ADD CONSTRAINT canary CHECK (amount <> 66602) NOT VALID")
    owner.commit()
    environ = {name: value for name, value in os.environ.items() if name not in ("PYTEST_CURRENT_TEST",)}
    environ |= {"WEB_CONCURRENCY": "1", "DATABASE_URL": patient(cluster.url("payments_app"))}
    web = Web(tmp_path / "log.jsonl", environ)
    web.start()
    try:
        sent = drive(web, api, stp, conekta)
        further, shown = of_clabes_and_reports(web, api)
        by_staff, shown_to_staff = of_staff(web, merchant)
    finally:
        web.stop()
    worked = work_on_everything(environ, tmp_path / "worker.log")

    written = web.log.read_text()
    lines = written.splitlines() + [line for line in worked.splitlines() if not line.startswith("worker: ")]
    said = [json.loads(line) for line in lines]
    requests = [line for line in said if line.get("message") == "request"]
    text = "\n".join(lines)
    assert sorted(line["status"] for line in requests if line["route"] != "healthz") == sorted(
        sent + further + by_staff
    )
    assert all(line["request_id"] and line["method"] and line["milliseconds"] >= 0 for line in requests)
    assert sum("violates check constraint" in line.get("exc_info", "") for line in said) >= 3  # web twice, worker
    assert "DETAIL" not in text
    assert any(line["logger"].startswith("procrastinate") for line in said)
    for secret in [
        *SECRETS,
        *shown,
        *shown_to_staff,
        api.secret,
        stp.secret,
        *(basic("stp-test", s).split()[1] for s in (stp.secret, "stp-canary-secret")),
        *PERSONAL,
    ]:
        assert secret not in text, (secret, next(line for line in lines if secret in line))
    assert api.secret[:16] in text  # the beginning names the key


def drive(web, api, stp, conekta):
    """Requests that succeed, are refused and fail, all with secrets in them; their statuses."""
    key = {"Authorization": f"Bearer {api.secret}"}
    body = {
        "method": "spei",
        "amount": 100_000,
        "currency": "MXN",
        "description": f"{EMAIL} {CLABE} {NAME}",
        "customer": {"name": NAME, "email": EMAIL, "phone": PHONE},
        "metadata": {"note": f"{KEY}\n{EMAIL}", NAME: NAME},
    }
    sent = []

    def create(changes, name, **headers):
        raw = json.dumps({**body, **changes}).encode()
        answer = web.post("/v1/payments", raw, **{"Idempotency-Key": name, **key, **headers})
        sent.append(answer.status)
        return answer

    clabe = json.loads(create({}, "a").body)["spei"]["clabe"]
    create({"amount": 0}, "b")
    create({EMAIL: CLABE, NAME: NAME}, "c")
    create({"amount": 66601}, "d")
    create({}, "e", Authorization=f"Bearer {KEY}")
    create({}, "f", Authorization=basic(api.secret, "stp-canary-secret"))
    create({"external_id": NAME}, "g")
    create({"external_id": NAME}, "h")
    create({"external_id": f"{NAME}\0"}, "i")
    create({"method": "oxxo"}, "j")
    create({"currency": NAME, "expires_at": NAME, "method": NAME, "amount": NAME, "customer": NAME}, "k")
    create({}, NAME)
    for path in (f"/v1/payments/{NAME}", f"/v1/{NAME}", f"/{NAME}", f"/pay/{NAME}", f"/admin/{NAME}"):
        sent.append(web.get(quote(path), **key).status)
    for query in ("limit", "cursor", "status", "q", "external_id", "created_at[gte]", NAME):
        sent.append(web.get(f"/v1/payments?{urlencode({query: NAME})}", **key).status)
    sent.append(web.get(f"/v1/events?{urlencode({'after_sequence': NAME})}", **key).status)
    sent.append(web.get(f"/v1/balance?{urlencode({'as_of': NAME})}", **key).status)
    sent.append(web.get("/v1/balance", Authorization=NAME, Host=NAME.replace(" ", "")).status)
    sent.append(web.post("/admin/login/", urlencode({"username": NAME, "password": KEY}).encode()).status)
    web.raw(f"{NAME} /x HTTP/9\r\n{NAME}: {NAME}\r\n\r\n".encode())
    sent.append(web.get(f"/v1/payments/{CLABE}?q={EMAIL}", **key).status)
    sent.append(web.get(f"/v1/payments?cursor={KEY}", **key, **{"X-Request-Id": EMAIL}).status)
    for amount in (100_000, 66602):
        raw = stp.deposit(
            clabe,
            amount,
            claveRastreo=f"T{amount}",
            conceptoPago=f"{EMAIL} {NAME}",
            cuentaOrdenante=CLABE,
            nombreOrdenante="CANARIA ZOPILOTE",
            rfcCurpOrdenante="ZOCC800101AB1",
            nombreBeneficiario=NAME,
        )
        for secret in (stp.secret, "stp-canary-secret"):
            answer = web.post("/webhooks/stp/deposits", raw, Authorization=basic(stp.username, secret))
            sent.append(answer.status)
    unreadable = f"{EMAIL} {CLABE} {KEY} {NAME}".encode()
    sent.append(web.post("/webhooks/stp/deposits", unreadable, Authorization=basic(stp.username, stp.secret)).status)
    digest = base64.b64encode(conekta.sign(unreadable)).decode()
    sent.append(web.post("/webhooks/conekta", unreadable, DIGEST=digest).status)
    sent.append(web.post("/webhooks/conekta", unreadable, DIGEST="key_canary0123456789").status)
    damaged = json.dumps({"id": NAME, "type": NAME, "data": {"object": {"id": NAME, "amount": NAME}}}).encode()
    digest = base64.b64encode(conekta.sign(damaged)).decode()
    sent.append(web.post("/webhooks/conekta", damaged, DIGEST=digest).status)
    assert {200, 201, 400, 401, 404, 422, 500} <= set(sent), sent
    assert 503 not in sent
    return sent


def work_on_everything(environ, log):
    """What a worker writes about jobs that fail on these people's data: as it runs in production, until it is idle."""
    for payment in Payment.objects.filter(method="oxxo"):
        jobs.defer("payments.request_voucher", payment_id=payment.pk, attempt=1)
    jobs.app.configure_task("payments.no_such_task", allow_unknown=True, queue=jobs.Lane.MONEY).defer(payer=NAME)
    with log.open("wb") as file:
        worker = subprocess.Popen(
            [sys.executable, "manage.py", "worker", "--grace", "5"], cwd=ROOT, env=environ, stdout=file, stderr=file
        )
        try:
            end = time.monotonic() + 300
            while (
                time.monotonic() < end and Job.objects.filter(status__in=("todo", "doing"), scheduled_at=None).exists()
            ):
                time.sleep(0.1)
        finally:
            worker.terminate()
            assert worker.wait(120) == 0
    return log.read_text()
