"""What was answered 2xx survives the process; what is away is said to be away, and comes back by itself."""

from __future__ import annotations

import base64
import json
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

import pytest
from django.db import connections
from django.test import Client

from tests.faults.conftest import STP_SECRET, STP_USER
from tests.web_process import basic

KILLS, SENDERS = 5, 4
SPEI = {"method": "spei", "amount": 10_000, "currency": "MXN"}
AUTHORIZATION = basic(STP_USER, STP_SECRET)


def deposit(clabe, key):
    body = {
        "fechaOperacion": 20261120,
        "institucionOrdenante": 40012,
        "claveRastreo": key,
        "monto": 100,
        "cuentaBeneficiario": clabe,
        "tipoPago": 1,
        "tsLiquidacion": "1795467600000",
    }
    return json.dumps(body).encode()


def pay(web, clabe):
    """STP's notice of a payment; its status, or None if no answer came."""
    try:
        return web.post("/webhooks/stp/deposits", deposit(clabe, f"T{clabe}"), Authorization=AUTHORIZATION).status
    except (OSError, HTTPException):
        return None


def create(web, house, key):
    headers = {"Authorization": f"Bearer {house.api_secret}", "Idempotency-Key": key}
    try:
        return web.post("/v1/payments", json.dumps(SPEI).encode(), **headers)
    except (OSError, HTTPException):
        return None


def test_killing_the_site_under_load_loses_nothing_that_was_acknowledged(web, house):
    """Each round: senders post notices and payments, everything is killed after a random number of them."""
    seed = random.randrange(10**6)
    moments, unsent = random.Random(seed), house.take(220)
    everything = list(unsent)
    acknowledged, created, unanswered, lock = [], {}, 0, threading.Lock()

    def send(stop, number):
        nonlocal unanswered
        count = 0
        while not stop.is_set() and unsent:
            with lock:
                clabe = unsent.pop()
            status = pay(web, clabe)
            with lock:
                if status == 200:
                    acknowledged.append(clabe)
                else:
                    unanswered += 1
            if number == 0 and not stop.is_set():
                count += 1
                key = f"{seed}-{len(created)}-{count}"
                answer = create(web, house, key)
                if answer is not None and answer.status == 201:
                    created[key] = answer.body

    for round_number in range(KILLS):
        if round_number:
            web.start()
        stop = threading.Event()
        senders = [threading.Thread(target=send, args=(stop, number)) for number in range(SENDERS)]
        for sender in senders:
            sender.start()
        goal, end = len(acknowledged) + moments.randint(1, 30), time.monotonic() + 20
        while len(acknowledged) < goal and time.monotonic() < end:
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.02))
        web.kill()
        stop.set()
        for sender in senders:
            sender.join(30)

    stored = dict(
        house.query(
            "SELECT split_part(event_id, ':', 3), status FROM webhooks_providerevent WHERE event_id LIKE '20261120:%%'"
        )
    )
    completed = {clabe for (clabe,) in house.query("SELECT clabe FROM payments_payment WHERE status = 'completed'")}
    credited = {clabe for (clabe,) in house.query("SELECT clabe FROM payments_deposit WHERE status = 'credited'")}
    assert len(acknowledged) >= KILLS, f"seed {seed}: nothing was acknowledged"
    assert {stored.get(f"T{clabe}") for clabe in acknowledged} == {"processed"}, f"seed {seed}"
    assert set(acknowledged) <= completed == credited, f"seed {seed}"
    assert set(stored.values()) == {"processed"}, f"seed {seed}: a notice is half done"
    known = {body.encode() for (body,) in house.query("SELECT response_body FROM merchants_idempotencykey")}
    assert set(created.values()) <= known, f"seed {seed}: an acknowledged payment is lost"

    web.start()
    with ThreadPoolExecutor(SENDERS) as pool:  # the provider sends again what it got no answer for, and more
        assert set(pool.map(lambda clabe: pay(web, clabe), everything)) == {200}
    for key, body in created.items():
        answer = create(web, house, key)
        assert (answer.status, answer.body, answer.headers["idempotent-replayed"]) == (201, body, "true")

    wanted = "clabe = ANY(%s)"
    assert house.query(
        f"SELECT count(*) FROM payments_payment WHERE status = 'completed' AND {wanted}", everything
    ) == [(len(everything),)]
    assert house.query(f"SELECT count(*), sum(amount) FROM payments_deposit WHERE {wanted}", everything) == [
        (len(everything), 10_000 * len(everything))
    ]
    assert house.query(
        "SELECT count(*), coalesce(sum(e.amount), 0) FROM ledger_entry e JOIN ledger_transaction t"
        " ON t.id = e.transaction_id JOIN payments_deposit d ON d.public_id = t.source WHERE d.clabe = ANY(%s)",
        everything,
    ) == [(2 * len(everything), 0)]


def test_a_database_that_is_away_is_503_everywhere_and_is_found_again(web, house):
    (clabe,) = house.take(1)
    key = {"Authorization": f"Bearer {house.api_secret}"}
    assert web.get("/v1/payments", **key).status == 200  # there are connections that will break
    raw = json.dumps({"type": "webhook_ping", "id": "evt-away"}).encode()
    digest = base64.b64encode(house.digest(raw)).decode()
    port = house.postgres.port
    house.postgres.stop()
    try:
        requests = [
            lambda: web.get("/readyz"),
            lambda: web.post("/webhooks/stp/deposits", deposit(clabe, "AWAY"), Authorization=AUTHORIZATION),
            lambda: web.post("/webhooks/conekta", raw, DIGEST=digest),
            lambda: web.get("/v1/payments", **key),
            lambda: web.get("/v1/balance", **key),
            lambda: create(web, house, "while-away"),
        ]
        for _ in range(2):
            with ThreadPoolExecutor(len(requests)) as pool:
                waiting = [pool.submit(request) for request in requests]
                assert web.get("/healthz").status == 200
                ready, *answers = [future.result() for future in waiting]
            assert (ready.status, json.loads(ready.body)["database"]) == (503, "unavailable")
            for answer in answers:
                assert answer.status == 503, answer.body
                assert int(answer.headers["retry-after"]) > 0
                assert answer.headers["content-type"] == "application/problem+json"
                assert json.loads(answer.body)["code"] == "database_unavailable"
                assert str(port).encode() not in answer.body
    finally:
        house.postgres.start(port=port)

    end = time.monotonic() + 15
    while web.get("/readyz").status != 200 and time.monotonic() < end:
        time.sleep(0.05)
    retried = [pay(web, clabe)]
    while retried[-1] != 200 and len(retried) < 20:  # a broken connection may still be found in a pool
        retried.append(pay(web, clabe))
    assert retried[-1] == 200
    assert set(retried[:-1]) <= {503}
    assert house.query("SELECT status FROM payments_payment WHERE clabe = %s", clabe) == [("completed",)]
    assert house.query("SELECT count(*) FROM webhooks_providerevent WHERE event_id LIKE '%%AWAY'") == [(0,)]
    for _ in range(20):
        answer = create(web, house, "while-away")
        if answer.status == 201:
            break
        assert answer.status == 503
    assert answer.status == 201


def test_without_redis_payments_and_webhooks_are_as_quick_as_ever(web, house):
    (clabe,) = house.take(1)
    create(web, house, "warm")
    started = time.monotonic()

    made, paid, page = create(web, house, "no-redis"), pay(web, clabe), web.get("/healthz")
    seconds = time.monotonic() - started
    ready = web.get("/readyz")

    assert (made.status, paid, page.status) == (201, 200, 200)
    assert seconds < 2
    assert ready.status == 200
    assert json.loads(ready.body)["status"] == "degraded"
    assert json.loads(ready.body)["redis"] == "unavailable"


def test_a_body_that_django_cannot_measure_never_sends_money_back(web, house):
    (clabe,) = house.take(1)
    head = "POST /webhooks/stp/deposits HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    head += f"Authorization: {AUTHORIZATION}\r\n"
    raw = deposit(clabe, "CHUNKS")
    chunked = f"{head}Transfer-Encoding: chunked\r\n\r\n{len(raw):x}\r\n".encode() + raw + b"\r\n0\r\n\r\n"
    cut_off = f"{head}Content-Length: {len(raw)}\r\n\r\n".encode() + raw[:-9]

    answers = [web.raw(chunked), web.raw(cut_off, half_close=True)]

    for answer in answers:
        assert b"devolver" not in answer
        assert b" 200 " not in answer.split(b"\r\n")[0]
    assert house.query("SELECT count(*) FROM webhooks_providerevent WHERE event_id LIKE '%%CHUNKS'") == [(0,)]
    assert house.query("SELECT count(*) FROM webhooks_providerevent WHERE event_type = 'unreadable'") == [(0,)]
    assert pay(web, clabe) == 200


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
    assert create(web, house, "after-nonsense").status == 201


@pytest.mark.usefixtures("committed_db")
def test_a_full_pool_is_503_within_two_and_a_half_seconds(api, stp):
    notice = stp.deposit("646180157099999997", 100)
    connections["default"].close()
    pool = connections["default"].pool
    pool.open()
    held = [pool.getconn() for _ in range(pool.max_size)]

    def timed(call):
        started = time.monotonic()
        answer = call(Client(raise_request_exception=False))
        return answer, time.monotonic() - started

    key = {"Authorization": f"Bearer {api.secret}"}
    calls = {
        "list": lambda client: client.get("/v1/payments", headers=key),
        "create": lambda client: client.post(
            "/v1/payments", SPEI, content_type="application/json", headers={**key, "Idempotency-Key": "k"}
        ),
        "notice": lambda client: stp.post(notice, client=client),
        "page": lambda client: client.get("/pay/pay_00000000000000000000000000"),
        "alive": lambda client: client.get("/healthz"),
    }
    try:
        with ThreadPoolExecutor(len(calls)) as threads:
            answers = dict(zip(calls, threads.map(timed, calls.values()), strict=True))
    finally:
        for connection in held:
            pool.putconn(connection)

    alive, alive_seconds = answers.pop("alive")
    assert (alive.status_code, alive_seconds < 0.5) == (200, True)
    for name, (answer, seconds) in answers.items():
        assert answer.status_code == 503, name
        assert int(answer["Retry-After"]) > 0
        assert 1.8 < seconds < 2.5, name
    assert api.get("/v1/payments").status_code == 200
    assert stp.post(notice).status_code == 200
