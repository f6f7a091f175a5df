"""A body is read in every framing that HTTP/1.1 allows, by the servers that the site runs behind."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from core.files import MAX_BYTES
from merchants.models import IdempotencyKey
from payments.models import Clabe, Deposit, Payment
from payments_site import request_body
from tests import cluster
from tests.acceptance.conftest import Live
from tests.acceptance.conftest import live as live  # noqa: PLC0414 - a fixture
from tests.concurrency.threads import soon
from tests.problems import assert_problem
from tests.web_process import ROOT, Web, patient
from webhooks.inbound.models import ProviderEvent

pytest_plugins = ["tests.sandbox_process"]

CHUNKED = "Transfer-Encoding: chunked\r\n"


def framings(raw: bytes) -> dict[str, tuple[str, bytes]]:
    """Headers and bytes of one body in every framing."""
    half = len(raw) // 2
    first, second = raw[:half], raw[half:]
    return {
        "its length": (f"Content-Length: {len(raw)}\r\n", raw),
        "length, after 100-continue": (f"Content-Length: {len(raw)}\r\nExpect: 100-continue\r\n", raw),
        "one chunk": (CHUNKED, b"%x\r\n%b\r\n0\r\n\r\n" % (len(raw), raw)),
        "two chunks": (CHUNKED, b"%X\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (half, first, len(second), second)),
        "single bytes": (CHUNKED, b"".join(b"1\r\n%c\r\n" % byte for byte in raw) + b"0\r\n\r\n"),
        "padded size": (CHUNKED, b"%08x\r\n%b\r\n000\r\n\r\n" % (len(raw), raw)),
        "extensions": (CHUNKED, b'%x;a=1;b="c d"\r\n%b\r\n0;last\r\n\r\n' % (len(raw), raw)),
        "trailers": (f"{CHUNKED}Trailer: X-Sum\r\n", b"%x\r\n%b\r\n0\r\nX-Sum: 1\r\n\r\n" % (len(raw), raw)),
        "chunks, after 100-continue": (
            f"{CHUNKED}Expect: 100-continue\r\n",
            b"%x\r\n%b\r\n0\r\n\r\n" % (len(raw), raw),
        ),
        "another case": ("transfer-encoding: Chunked\r\n", b"%x\r\n%b\r\n0\r\n\r\n" % (len(raw), raw)),
    }


def send(web: Web, path: str, headers: str, body: bytes) -> tuple[int, Any]:
    """Status and JSON of the answer to one request whose framing the headers tell."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n{headers}"
    )
    raw = web.raw(head.encode() + b"\r\n" + body)
    if raw.startswith(b"HTTP/1.1 100"):
        raw = raw.partition(b"\r\n\r\n")[2]
    answer_head, _, content = raw.partition(b"\r\n\r\n")
    return int(answer_head.split()[1]), json.loads(content)


def chunks(value: Any) -> tuple[str, bytes]:
    """Headers and bytes of ``value`` as JSON, in chunks."""
    return framings(json.dumps(value).encode())["two chunks"]


class Granian(Web):
    """The other server that docs/adr/0029 names."""

    def __init__(self, log: Path, environ: dict[str, str]) -> None:
        super().__init__(log, environ)
        self.command = ("-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(self.port))
        self.command += ("--blocking-threads", "2", "payments_site.wsgi:application")


@pytest.fixture
def granian(live: Live, tmp_path: Path) -> Iterator[Granian]:
    """The same site behind granian, beside the running gunicorn."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    running = Granian(
        tmp_path / "granian.log",
        environ | {"DATABASE_URL": patient(cluster.url("payments_app")), "PYTHONPATH": str(ROOT)},
    )
    running.start()
    yield running
    running.stop()


def assert_every_framing_is_read(web: Web, live: Live) -> None:
    authorization = f"Authorization: Bearer {live.api.secret}\r\n"
    basic = base64.b64encode(f"{live.stp.username}:{live.stp.secret}".encode()).decode()
    made = {}
    for number, name in enumerate(framings(b"")):
        wanted = {"label": f"Cliente {number}", "min_amount": 10_000, "metadata": {"nota": "ü" * 40}}
        headers, body = framings(json.dumps(wanted, ensure_ascii=False).encode())[name]
        once = f"Idempotency-Key: {web.port}-{number}\r\n"
        made[name] = send(web, "/v1/clabes", authorization + once + headers, body)
        status, clabe = made[name]
        assert (status, clabe.get("label"), clabe.get("min_amount")) == (201, wanted["label"], 10_000), (name, clabe)

        notice = live.stp.deposit(clabe["clabe"], 20_000, claveRastreo=f"{web.port}F{number}")
        headers, body = framings(notice)[name]
        told = send(web, "/webhooks/stp/deposits", f"Authorization: Basic {basic}\r\n{headers}", body)
        assert told == (200, {"mensaje": "confirmar"}), name

        event = json.dumps({"id": f"ev{web.port}{number}", "type": "ping", "object": "event", "created_at": 1}).encode()
        digest = base64.b64encode(live.conekta.sign(event)).decode()
        headers, body = framings(event)[name]
        assert send(web, "/webhooks/conekta", f"DIGEST: {digest}\r\n{headers}", body)[0] == 200, name
    assert Payment.objects.filter(clabe__in=[clabe["clabe"] for _, clabe in made.values()]).count() == len(made)


def test_every_framing_of_a_body_is_read_behind_gunicorn(live: Live) -> None:
    assert_every_framing_is_read(live.web, live)


def test_every_framing_of_a_body_is_read_behind_granian(live: Live, granian: Granian) -> None:
    assert_every_framing_is_read(granian, live)


def test_what_a_chunked_body_says_is_what_is_done(live: Live) -> None:
    authorization = f"Authorization: Bearer {live.api.secret}\r\n"
    wanted = {"method": "spei", "amount": 12_345, "currency": "MXN"}

    headers, body = chunks(wanted)
    status, payment = send(live.web, "/v1/payments", f"{authorization}Idempotency-Key: k1\r\n{headers}", body)
    headers, body = chunks({"amount": 1})
    paid = send(live.web, f"/v1/test/payments/{payment['id']}/pay", authorization + headers, body)

    assert (status, payment["amount"]) == (201, 12_345)
    assert paid[0] == 202
    assert soon(lambda: Deposit.objects.exists())
    assert Deposit.objects.get().amount == 1


def test_a_chunked_body_that_is_too_large_or_malformed_is_400_and_does_nothing(live: Live) -> None:
    authorization = f"Authorization: Bearer {live.api.secret}\r\nIdempotency-Key: k2\r\n"
    basic = base64.b64encode(f"{live.stp.username}:{live.stp.secret}".encode()).decode()
    small = b'{"label": "x"}'
    bad = {
        "announced above the cap": ("Content-Length: 65537\r\n", b"{" + b" " * 65_536),
        "one chunk above the cap": (CHUNKED, b"10001\r\n{" + b" " * 65_536 + b"\r\n0\r\n\r\n"),
        "a size above the cap": (CHUNKED, b"fffffffff\r\n" + b" " * 70_000),
        "no size": (CHUNKED, b"\r\n" + small),
        "no hexadecimal size": (CHUNKED, b"zz\r\n" + small + b"\r\n0\r\n\r\n"),
        "negative size": (CHUNKED, b"-1\r\n" + small + b"\r\n0\r\n\r\n"),
        "a size that is too small": (CHUNKED, b"2\r\n" + small + b"\r\n0\r\n\r\n"),
        "gzip": ("Transfer-Encoding: gzip, chunked\r\n", b"e\r\n" + small + b"\r\n0\r\n\r\n"),
    }

    for name, (headers, body) in bad.items():
        for path, credential in (
            ("/v1/clabes", authorization),
            ("/webhooks/stp/deposits", f"Authorization: Basic {basic}\r\n"),
        ):
            status, problem = send(live.web, path, credential + headers, body)
            assert (status, problem.get("code")) == (400, "invalid_request"), (name, path)

    assert (Clabe.objects.count(), IdempotencyKey.objects.count(), ProviderEvent.objects.count()) == (0, 0, 0)
    assert live.web.get("/healthz").status == 200


def test_a_request_behind_a_chunked_body_is_read_from_its_first_byte(live: Live) -> None:
    key = f"Host: 127.0.0.1\r\nAuthorization: Bearer {live.api.secret}\r\n"
    headers, body = chunks({"label": "one"})
    head = f"POST /v1/clabes HTTP/1.1\r\n{key}Idempotency-Key: k\r\nContent-Type: application/json\r\n"
    first = f"{head}{headers}\r\n".encode() + body
    second = f"GET /v1/clabes HTTP/1.1\r\n{key}Connection: close\r\n\r\n".encode()

    answers = live.web.raw(first + second)

    assert [answers.count(b"HTTP/1.1 201"), answers.count(b"HTTP/1.1 200")] == [1, 1]


def upload(client: Client, size: int) -> Any:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n'
    body = head + b"%PDF-" + b"x" * size + b"\r\n--x--\r\n"
    return client.generic("POST", "/admin/login/", body, content_type="multipart/form-data; boundary=x")


def test_a_form_with_a_file_may_be_larger_and_is_capped_too(client: Client, db: None, monkeypatch: Any) -> None:
    assert upload(client, MAX_BYTES + 1).status_code != 400

    monkeypatch.setattr(request_body, "MAX_UPLOAD_BYTES", 100_000)
    assert_problem(upload(client, 100_000), 400, "invalid_request")


@pytest.mark.parametrize("path", ["/", "/pay/pay_x", "/admin/login/", "/healthz", "/v1/docs", "/nowhere"])
def test_no_page_takes_a_body_above_the_cap(client: Client, db: None, path: str) -> None:
    answer = client.post(path, b"x" * 65_537, content_type="text/plain")

    assert_problem(answer, 400, "invalid_request")
    assert "X-Request-Id" in answer.headers


def test_a_refusal_speaks_the_callers_language(client: Client) -> None:
    def detail(language: str) -> str:
        answer = client.post("/v1/clabes", b"x" * 65_537, "text/plain", headers={"Accept-Language": language})
        return str(answer.json()["detail"])

    assert [detail("en"), detail("es")] == ["The body is larger than 64 KiB.", "El cuerpo pesa más de 64 KiB."]
