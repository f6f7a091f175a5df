"""Simulated payments: the simulator calls our webhooks over HTTP like the real provider."""

from __future__ import annotations

import json
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.conf import settings

from payments.models import Deposit, Payment
from payments_site import env
from tests.acceptance.conftest import live as live  # noqa: PLC0414 - a fixture
from tests.concurrency.threads import soon
from tests.problems import assert_problem, rows

pytest_plugins = ["tests.sandbox_process"]


@pytest.fixture
def without_simulator(monkeypatch):
    monkeypatch.setattr(settings, "SANDBOX", env.Sandbox(""))


@pytest.mark.usefixtures("committed_db", "without_simulator")
def test_without_a_simulator_it_says_so(api, stp):
    made = api.post("/v1/payments", {"method": "spei", "amount": 100_000, "currency": "MXN"}).json()
    before = rows()

    answer = api.post(f"/v1/test/payments/{made['id']}/pay", {})

    assert_problem(answer, 503, "provider_unavailable")
    assert "SANDBOX_URL" in answer.json()["detail"]
    assert rows() == before


@pytest.mark.usefixtures("committed_db")
def test_a_simulator_that_is_away_is_named(api, stp, monkeypatch):
    monkeypatch.setattr(settings, "SANDBOX", env.Sandbox("http://127.0.0.1:9"))
    made = api.post("/v1/payments", {"method": "spei", "amount": 100_000, "currency": "MXN"}).json()

    answer = api.post(f"/v1/test/payments/{made['id']}/pay", {})

    assert_problem(answer, 503, "provider_unavailable")


@pytest.mark.django_db
def test_a_live_key_is_refused(merchant, make_api, stp):
    live_api = make_api(merchant, livemode=True)

    answer = live_api.post("/v1/test/payments/pay_00000000000000000000000000/pay", {})

    assert_problem(answer, 403, "key_scope_insufficient")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ({"times": 0}, "invalid_request"),
        ({"times": 21}, "invalid_request"),
        ({"times": "2"}, "invalid_request"),
        ({"times": True}, "invalid_request"),
        ({"late": "yes"}, "invalid_request"),
        ({"late": 1}, "invalid_request"),
        ({"amount": 0}, "invalid_amount"),
        ({"amounts": 1}, "unknown_field"),
    ],
)
def test_bad_input_tells_the_simulator_nothing(api, stp, sent, code):
    made = api.post("/v1/payments", {"method": "spei", "amount": 100_000, "currency": "MXN"}).json()

    assert_problem(api.post(f"/v1/test/payments/{made['id']}/pay", sent), 400, code, next(iter(sent)))


@pytest.mark.usefixtures("committed_db")
def test_spei_and_oxxo_are_paid_over_http_also_late_and_many_times(live, at_conekta):
    """One running site, both simulators: what a merchant's own tests would do."""
    story = Live(live, at_conekta)
    story.connect()

    spei = story.create("spei")
    story.pay(spei, times=5)
    story.until(spei, "completed", 100_000)

    short = story.create("spei")
    story.pay(short, amount=99_999)
    story.until_kept(short, "underpaid")

    late = story.create("spei")
    assert story.post(f"/v1/payments/{late}/cancel", {}).status == 200
    assert story.post(f"/v1/test/payments/{late}/pay", {}).status == 409
    story.pay(late, late=True)
    story.until(late, "completed", 100_000)
    payment = Payment.objects.get(public_id=late)
    assert payment.deposits.get().paid_at > payment.cancelled_at

    oxxo = story.create("oxxo")
    story.pay(oxxo, times=3)
    story.until(oxxo, "completed", 100_000)

    expired = story.create("oxxo")
    story.pay(expired, late=True)
    story.until(expired, "completed", 100_000)
    payment = Payment.objects.get(public_id=expired)
    assert payment.deposits.get().paid_at - payment.expires_at > timedelta(seconds=3)
    assert Deposit.objects.count() == 5


class Live:
    """The running site and the simulators, joined as the demo joins them."""

    def __init__(self, live, at_conekta):
        self.live, self.at_conekta = live, at_conekta
        self.sent = 0

    def connect(self):
        web, client = self.live.web, self.at_conekta.simulator.client
        stp = self.live.stp
        ours = f"127.0.0.1:{web.port}"
        url = f"http://{quote(stp.username)}:{quote(stp.secret)}@{ours}/webhooks/stp/deposits"
        config = {"empresa": "EMPRESA_DEMO", "clabe_prefix": "6461801570", "deposits_url": url}
        assert client.put("/_sim/stp/config", json=config).status_code == 200
        headers = {"Authorization": f"Bearer {self.at_conekta.api_key}"}
        key = client.post("/conekta/webhook_keys", json={"active": True}, headers=headers).json()["public_key"]
        self.at_conekta.account.webhook_public_keys = [key]
        self.at_conekta.account.save(update_fields=["webhook_public_keys"])
        hook = {"url": f"http://{ours}/webhooks/conekta", "subscribed_events": ["order.paid", "charge.paid"]}
        assert client.post("/conekta/webhooks", json=hook, headers=headers).status_code == 200

    def post(self, path, body):
        self.sent += 1
        headers = {
            "Authorization": f"Bearer {self.live.api.secret}",
            "Content-Type": "application/json",
            "Idempotency-Key": f"live-{self.sent}",
        }
        return self.live.web.request("POST", path, json.dumps(body).encode(), headers)

    def create(self, method):
        answer = self.post("/v1/payments", {"method": method, "amount": 100_000, "currency": "MXN"})
        assert answer.status == 201, answer.body
        return json.loads(answer.body)["id"]

    def pay(self, payment_id, **how):
        answer = self.post(f"/v1/test/payments/{payment_id}/pay", how)
        assert answer.status == 202, answer.body

    def until(self, payment_id, status, received):
        def there():
            found = Payment.objects.get(public_id=payment_id)
            return (found.status, found.amount_received) == (status, received)

        assert soon(there), Payment.objects.get(public_id=payment_id).status

    def until_kept(self, payment_id, reason):
        assert soon(lambda: Deposit.objects.filter(payment__public_id=payment_id, suspense_reason=reason).exists())
