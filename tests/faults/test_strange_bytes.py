"""Bytes that no HTTP library would send: they neither disturb the site nor send a payer's money back."""

from __future__ import annotations

import json

from tests.faults.house import AMOUNT
from tests.faults.traffic import spei_paid


def test_a_body_that_breaks_off_never_sends_money_back(web, house):
    (order,) = house.orders("spei", 1)
    message = spei_paid(house, order)
    head = "POST /webhooks/stp/deposits HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    head += f"Authorization: {house.stp_authorization}\r\n"
    raw = message.body
    by_length = f"{head}Content-Length: {len(raw)}\r\n\r\n".encode() + raw[:-9]
    head += "Transfer-Encoding: chunked\r\n\r\n"
    in_a_chunk = f"{head}{len(raw):x}\r\n".encode() + raw[:-9]
    before_the_end = f"{head}{len(raw):x}\r\n".encode() + raw + b"\r\n"

    answers = [web.raw(cut_off, half_close=True) for cut_off in (by_length, in_a_chunk, before_the_end)]

    for answer in answers:
        assert b"devolver" not in answer
        assert b" 400 " in answer.split(b"\r\n")[0]
    assert house.query("SELECT count(*) FROM webhooks_providerevent WHERE event_id = %s", message.event_id) == [(0,)]
    assert house.query("SELECT count(*) FROM webhooks_providerevent WHERE event_type = 'unreadable'") == [(0,)]
    assert message.post(web).status == 200


def test_bytes_that_are_no_http_do_not_disturb_the_site(web, house):
    for nonsense in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /webhooks/conekta HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n{}",
        b"POST /v1/payments HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"GET /v1/payments HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer \0\r\n\r\n",
        b"GET /v1/" + b"a" * 9000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    ):
        web.raw(nonsense, half_close=True)

    assert web.get("/healthz").status == 200
    headers = {"Authorization": f"Bearer {house.api_secret}", "Idempotency-Key": "after-nonsense"}
    body = json.dumps({"method": "spei", "amount": AMOUNT, "currency": "MXN"}).encode()
    assert web.post("/v1/payments", body, **headers).status == 201
