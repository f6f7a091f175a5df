"""What reaches the log: one JSON object a line, named after its request, without anything secret."""

from __future__ import annotations

import base64
import json
import logging
import os
import time

import pytest

from core import request_context
from payments_site.logging import JsonFormatter
from tests import cluster
from tests.web_process import Web, basic

CLABE = "012180015025335996"
EMAIL = "canary.person@example.mx"
KEY = "sk_test_" + "Canary0" * 6 + "x"
SECRETS = [CLABE, EMAIL, KEY, "stp-canary-secret", "key_canary0123456789"]


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

    assert time.monotonic() - started < 1


@pytest.mark.promise("P26", "secrets and personal data pushed through a running site", unit="runs")
def test_a_running_site_writes_no_secret_whatever_goes_wrong(committed_db, api, stp, conekta, owner, tmp_path):
    # Two faults that make PostgreSQL quote whole rows in its error.
    owner.execute("ALTER TABLE payments_payment ADD CONSTRAINT canary CHECK (amount <> 66601) NOT VALID")
    owner.execute("ALTER TABLE payments_deposit ADD CONSTRAINT canary CHECK (amount <> 66602) NOT VALID")
    owner.commit()
    environ = {name: value for name, value in os.environ.items() if name not in ("PYTEST_CURRENT_TEST",)}
    environ |= {"WEB_CONCURRENCY": "1", "DATABASE_URL": cluster.url("payments_app")}
    web = Web(tmp_path / "log.jsonl", environ)
    web.start()
    try:
        sent = drive(web, api, stp, conekta)
    finally:
        web.stop()

    lines = web.log.read_text().splitlines()
    said = [json.loads(line) for line in lines]
    ours = [line for line in said if line["logger"] != "gunicorn.error"]
    requests = [line for line in ours if line.get("message") == "request"]
    text = "\n".join(lines)
    assert sorted(line["status"] for line in requests if line["path"] != "/healthz") == sorted(sent)
    assert all(line["request_id"] for line in ours)
    assert sum("Failing row" in line.get("exc_info", "") for line in ours) >= 2
    for secret in [
        *SECRETS,
        api.secret,
        stp.secret,
        *(basic("stp-test", s).split()[1] for s in (stp.secret, "stp-canary-secret")),
    ]:
        assert secret not in text, secret
    assert api.secret[:16] in text  # the beginning names the key


def drive(web, api, stp, conekta):
    """Requests that succeed, are refused and fail, all with secrets in them; their statuses."""
    key = {"Authorization": f"Bearer {api.secret}"}
    body = {
        "method": "spei",
        "amount": 100_000,
        "currency": "MXN",
        "description": f"{EMAIL} {CLABE}",
        "customer": {"name": CLABE, "email": EMAIL},
        "metadata": {"note": f"{KEY}\n{EMAIL}"},
    }
    sent = []

    def create(changes, name, **headers):
        raw = json.dumps({**body, **changes}).encode()
        answer = web.post("/v1/payments", raw, **{"Idempotency-Key": name, **key, **headers})
        sent.append(answer.status)
        return answer

    clabe = json.loads(create({}, "a").body)["spei"]["clabe"]
    create({"amount": 0}, "b")
    create({EMAIL: CLABE}, "c")
    create({"amount": 66601}, "d")
    create({}, "e", Authorization=f"Bearer {KEY}")
    create({}, "f", Authorization=basic(api.secret, "stp-canary-secret"))
    sent.append(web.get(f"/v1/payments/{CLABE}?q={EMAIL}", **key).status)
    sent.append(web.get(f"/v1/payments?cursor={KEY}", **key, **{"X-Request-Id": EMAIL}).status)
    for amount in (100_000, 66602):
        raw = stp.deposit(clabe, amount, claveRastreo=f"T{amount}", conceptoPago=EMAIL, cuentaOrdenante=CLABE)
        for secret in (stp.secret, "stp-canary-secret"):
            answer = web.post("/webhooks/stp/deposits", raw, Authorization=basic(stp.username, secret))
            sent.append(answer.status)
    unreadable = f"{EMAIL} {CLABE} {KEY}".encode()
    sent.append(web.post("/webhooks/stp/deposits", unreadable, Authorization=basic(stp.username, stp.secret)).status)
    digest = base64.b64encode(conekta.sign(unreadable)).decode()
    sent.append(web.post("/webhooks/conekta", unreadable, DIGEST=digest).status)
    sent.append(web.post("/webhooks/conekta", unreadable, DIGEST="key_canary0123456789").status)
    assert sent == [201, 400, 400, 500, 401, 401, 404, 400, 200, 401, 500, 401, 400, 200, 401], sent
    return sent
