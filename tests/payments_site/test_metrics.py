"""/metrics adds up what every process counted and says what the database knows, to whoever has the token."""

from __future__ import annotations

import itertools
import json
import os
import time
import timeit
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.test import RequestFactory, override_settings
from prometheus_client.parser import text_string_to_metric_families

from core import clock, jobs
from ledger.services import invariant
from payments.models import Payout
from payments_site import metrics, metrics_queries
from tests import cluster
from tests.concurrency.threads import soon
from tests.factories import payouts
from tests.web_process import Web, basic, patient
from tests.webhooks.outbound.merchant_side import endpoint, happen, pause
from webhooks.outbound.models import Delivery, Endpoint
from webhooks.outbound.services import feed

TOKEN = "metrics-secret"


@pytest.fixture
def token(settings):
    settings.SITE = replace(settings.SITE, metrics_token=TOKEN)
    metrics._DATABASE.forget()
    return {"Authorization": f"Bearer {TOKEN}"}


def samples(text):
    """{(name, labels): value}."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def asked(client, token):
    metrics._DATABASE.forget()
    answer = client.get("/metrics", headers=token)
    assert answer.status_code == 200
    return samples(answer.content.decode())


def test_every_invariant_is_shown_as_whole_or_broken(committed_db, client, token):
    invariant._write_down("covered", [invariant.Fault("test MXN: 1 for 2", livemode=False)])
    invariant._write_down("guards_enabled", [invariant.Fault("balanced is disabled")])

    found = asked(client, token)

    shown = {
        labels: found["ledger_invariant_broken", (("mode", labels[1]), ("name", labels[0]))]
        for labels in itertools.product(("covered", "guards_enabled", "floors_hold"), ("live", "test"))
    }
    assert {labels for labels, value in shown.items() if value} == {
        ("covered", "test"),
        ("guards_enabled", "live"),
        ("guards_enabled", "test"),
    }
    said = client.get("/readyz").json()["ledger"]
    assert said == "broken: covered (test), guards_enabled (live and test); outgoing money in their scope is stopped"


def test_a_wrong_token_is_refused_and_without_one_the_page_does_not_exist(client, token, settings):
    """Without a database fixture, any query would fail this test."""
    wrong = client.get("/metrics", headers={"Authorization": "Bearer metrics-secret-2"})
    settings.SITE = replace(settings.SITE, metrics_token="")
    absent = client.get("/metrics", headers=token)

    assert (wrong.status_code, absent.status_code) == (401, 404)
    assert b"ledger" not in wrong.content


def test_the_database_says_what_waits_and_how_much_there_is(committed_db, client, token, api, stp, owner):
    for number in range(20):
        body = {"method": "spei", "amount": 10_000, "currency": "MXN"}
        created = api.post("/v1/payments", body, key=f"m-{number}").json()
        if number < 6:
            raw = stp.deposit(created["spei"]["clabe"], 10_000, claveRastreo=f"M{number}", id=number + 1)
            assert stp.post(raw).status_code == 200
    owner.execute("INSERT INTO webhooks_providerevent (public_id, account_id, livemode, event_id, event_type, status,"
                  " reason, object_id, body_sha256, response_body, attempts, last_error, received_at)"
                  " SELECT 'pev_waits', id, false, 'e-1', 't', 'received', '', '', '', '{}', 0, '',"
                  " now() - interval '90 s' FROM payments_provideraccount LIMIT 1")  # fmt: skip
    owner.execute("ANALYZE payments_payment")
    owner.execute("ANALYZE webhooks_providerevent")
    owner.commit()
    jobs.defer("payments.expire_payments", timestamp=0)

    found = asked(client, token)

    assert found["payments", (("method", "spei"), ("state", "pending"))] == 14
    assert found["payments", (("method", "spei"), ("state", "completed"))] == 6
    assert found["payments_created_last_15_minutes", (("method", "spei"), ("state", "pending"))] == 14
    assert found["inbox_open", (("state", "received"),)] == 1
    assert found["inbox_open", (("state", "retry"),)] == 0
    assert found["inbox_open", (("state", "dead"),)] == 0
    assert 90 <= found["inbox_oldest_seconds", ()] < 120
    assert found["inbox", (("state", "processed"),)] == 6
    assert found["jobs", (("state", "waiting"),)] >= 1
    assert found["jobs_oldest_seconds", ()] >= 0
    assert [(name, value) for (name, _), value in found.items() if name == "build_info"] == [("build_info", 1)]
    assert found["database_answers", ()] == 1


def test_payouts_are_counted_and_the_oldest_unknown_one_has_its_age(
    committed_db, client, token, api, stp, merchant, owner
):
    payouts.ready_to_send(stp.account)
    payouts.fund(merchant, 1_000_000)
    made = []
    for number in range(4):
        answer = api.post("/v1/payouts", payouts.wanted(), key=f"po-{number}")
        made.append(Payout.objects.get(public_id=answer.json()["id"]))
    now = clock.now()
    payouts.as_sent(made[0], "unknown", send_started_at=now - timedelta(seconds=90))
    payouts.as_sent(made[1], "unknown", send_started_at=now - timedelta(seconds=30))
    payouts.as_sent(made[2], "accepted", needs_staff="unknown_state", send_started_at=now - timedelta(hours=1))
    owner.execute("ANALYZE payments_payout")
    owner.commit()

    found = asked(client, token)

    states = ("pending_approval", "pending", "processing")
    assert [found["payouts_open", (("state", state),)] for state in states] == [0, 1, 3]
    assert found["payouts_for_people", ()] == 3
    assert 90 <= found["payouts_oldest_unknown_seconds", ()] < 120
    assert found["payouts", (("state", "processing"),)] == 3


def test_endpoints_that_fail_and_first_attempts_that_wait_are_counted(committed_db, client, token, merchant):
    owners = [endpoint(merchant, url=f"https://merchant.example/{number}") for number in range(3)]
    happen(merchant)
    feed.fan_out()
    Endpoint.objects.filter(pk=owners[0].pk).update(status="failing")
    pause(owners[1])
    overdue = clock.now() - timedelta(seconds=60)
    Delivery.objects.filter(endpoint=owners[2]).update(next_attempt_at=overdue)
    Delivery.objects.exclude(endpoint=owners[2]).update(next_attempt_at=overdue - timedelta(hours=1))

    found = asked(client, token)

    states = ("failing", "paused")
    assert [found["webhook_endpoints_unwell", (("state", state),)] for state in states] == [1, 1]
    assert 60 <= found["webhook_oldest_first_attempt_seconds", ()] < 120


def test_no_question_to_the_database_reads_a_whole_large_table(committed_db, owner):
    """Where no index fits, PostgreSQL reads the table although it was told not to."""
    asked_for = []

    class Spy:
        def __init__(self, cursor):
            self.cursor = cursor

        def execute(self, statement, params=None):
            asked_for.append((statement, params))
            self.cursor.execute(statement, params)

        def __getattr__(self, name):
            return getattr(self.cursor, name)

    with connection.cursor() as cursor:
        spy = Spy(cursor)
        [
            *metrics_queries._payments(spy),
            *metrics_queries._payouts(spy),
            *metrics_queries._inbox(spy),
            *metrics_queries._jobs(spy),
            metrics_queries._release(spy),
        ]
    owner.execute("SET enable_seqscan = off")

    for statement, params in asked_for:
        plan = owner.execute("EXPLAIN (FORMAT JSON) " + statement, params).fetchone()[0]
        scanned = json.dumps(plan)
        for table in ("payments_payment", "payments_payout", "staff_approval", "webhooks_providerevent"):
            for node in nodes(plan[0]["Plan"]):
                if node.get("Relation Name") == table:
                    assert node["Node Type"] != "Seq Scan", scanned
        if "FROM webhooks_providerevent WHERE" in statement:  # walking the primary key would read the whole table, too
            assert "provider_event_due" in scanned or "provider_event_attention" in scanned, scanned


def nodes(plan):
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


def test_the_database_being_away_leaves_the_rest(client, token, monkeypatch):
    def slow(*args, **kwargs):
        raise TimeoutError

    monkeypatch.setattr(metrics.unpooled, "run", slow)
    monkeypatch.setattr(metrics, "sample_pool", lambda: None)

    found = asked(client, token)

    assert found["database_answers", ()] == 0
    assert any(name == "http_requests_total" for name, _ in found)


def test_no_label_is_made_of_what_a_caller_sends(committed_db, client, token, api):
    before = {labels for name, labels in asked(client, token) if name == "http_requests_total"}
    for number in range(30):
        client.get(f"/v1/payments/pay_{number}", headers={"Authorization": f"Bearer {api.secret}"})
        client.get(f"/v1/nowhere/{number}")
        client.get(f"/nowhere/{number}")
        client.generic(f"VERB{number}", "/v1/payments")

    after = {labels for name, labels in asked(client, token) if name == "http_requests_total"}

    assert len(after - before) <= 5
    assert {dict(labels)["route"] for labels in after - before} <= {
        "v1/payments/<str:payment_id>",
        "v1/<path:rest>",
        "unmatched",
        "v1/payments",
        "metrics",
    }


def test_counting_a_request_costs_microseconds():
    metrics.count("unmatched", "GET", 200, 0.01)

    tries = timeit.repeat(
        lambda: metrics.count("unmatched", "GET", 200, 0.01), number=2000, repeat=5, timer=time.thread_time
    )
    seconds = min(tries) / 2000

    assert seconds < 100e-6


def test_several_processes_count_together(committed_db, api, tmp_path):
    environ = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    environ |= {"WEB_CONCURRENCY": "3", "DATABASE_URL": patient(cluster.url("payments_app")), "METRICS_TOKEN": TOKEN}
    environ |= {"DATABASE_POOL_SIZE": "4"}
    web = Web(tmp_path / "log.jsonl", environ)
    web.start()
    key, bearer = {"Authorization": f"Bearer {api.secret}"}, {"Authorization": f"Bearer {TOKEN}"}
    try:
        for _ in range(60):
            assert web.get("/v1/balance", **key).status == 200
        web.get("/v1/balance", Authorization=basic("nobody", "x"))
        seen = [samples(web.get("/metrics", **bearer).body.decode()) for _ in range(6)]

        def every_pool_is_counted() -> bool:
            """A process has a pool once it has served; one after the other, one process may serve them all."""
            with ThreadPoolExecutor(12) as threads:
                list(threads.map(lambda _: web.get("/v1/payments", **key), range(24)))
            seen.append(samples(web.get("/metrics", **bearer).body.decode()))
            return seen[-1]["db_pool_connections", (("kind", "max"),)] == 12

        assert soon(every_pool_is_counted)
    finally:
        web.stop()

    balance = (("method", "GET"), ("route", "v1/balance"))
    for found in seen:
        assert found["http_requests_total", (("code", "200"), *balance)] == 60
        assert found["http_requests_total", (("code", "401"), *balance)] == 1
        assert found["http_request_seconds_count", balance] == 61
    assert seen[5]["db_pool_timeouts_total", ()] == 0
    assert seen[5]["db_pool_waiting", ()] == 0


@override_settings(STATIC_URL="/static/")
def test_static_files_are_one_route():
    request = RequestFactory().get("/static/openapi/docs.css")
    request.resolver_match = None

    assert metrics.route_of(request) == "static"
