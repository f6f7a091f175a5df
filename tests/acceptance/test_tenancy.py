"""One merchant never sees nor touches what is another's: every route of the schema, with every kind of caller.

A new operation needs a line in ``IDS`` for each of its path parameters and, if it takes a body, one in ``BODIES``.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, get_resolver

from core import ids
from core.clock import now
from merchants.api.views import MerchantView
from merchants.models import ApiKey, Event, Merchant
from merchants.services import api_key
from payments.models import Payment, Report
from payments.services import provider_account, report
from tests.conftest import Api
from tests.factories import payouts, refunds, topups
from tests.problems import rows
from tests.provider_messages import StpSender

pytestmark = pytest.mark.usefixtures("committed_db")

SPEI = {"method": "spei", "amount": 100_000, "currency": "MXN"}
REPORT = {"type": "payments", "start_date": "2026-11-01", "end_date": "2026-11-02"}
WEBHOOK = {"url": "http://127.0.0.1:9/hook", "events": ["payment.*"]}
SECRET_ORDER = "secret-order"


@pytest.fixture(autouse=True)
def _loopback(settings: Any) -> None:
    """Endpoints may be on this machine."""
    settings.WEBHOOK_ALLOW_HTTP = True


@dataclass
class Victim:
    """A merchant whose objects nobody else may reach."""

    api: Api
    merchant: Merchant
    stp: StpSender
    made: int = 0

    def payment(self) -> dict[str, Any]:
        """A new pending payment."""
        self.made += 1
        body = {**SPEI, "external_id": f"{SECRET_ORDER}-{self.made}", "customer": {"name": "Ana"}}
        answer = self.api.post("/v1/payments", body, key=f"victim-{self.made}")
        assert answer.status_code == 201, answer.content
        return dict(answer.json())

    def clabe(self) -> str:
        """A reusable CLABE."""
        self.made += 1
        return str(self.api.post("/v1/clabes", {"label": SECRET_ORDER}, key=f"victim-{self.made}").json()["id"])

    def api_key(self) -> str:
        """Another key of the victim, no mightier than any: what is refused is not refused for its scopes."""
        return api_key.create(self.merchant, livemode=False, scopes=[])[0].public_id

    def idempotency_key(self) -> str:
        """A key that made a payment."""
        self.payment()
        return f"victim-{self.made}"

    def payout(self) -> str:
        """A payout that waits to be sent."""
        payouts.ready_to_send(self.stp.account)
        payouts.fund(self.merchant, 100_000)
        provider_account._seen.clear()
        self.made += 1
        answer = self.api.post("/v1/payouts", payouts.wanted(), key=f"victim-{self.made}")
        assert answer.status_code == 202, answer.content
        return str(answer.json()["id"])

    def refund(self) -> str:
        """A refund that waits to be sent."""
        payouts.ready_to_send(self.stp.account)
        payouts.fund(self.merchant, 100_000)
        provider_account._seen.clear()
        return refunds.create(self.api, refunds.paid(self.api, self.stp)).public_id

    def topup(self) -> str:
        """A top-up of the victim's balance."""
        self.made += 1
        clabe = topups.funding_clabe(self.merchant)
        assert self.stp.post(self.stp.deposit(clabe.clabe, 5_000, claveRastreo=f"TOP{self.made}")).status_code == 200
        return str(self.api.get("/v1/topups?limit=1").json()["data"][0]["id"])

    def report(self) -> str:
        """A report that can be downloaded."""
        answer = self.api.post("/v1/reports", REPORT, key=None)
        assert answer.status_code == 202, answer.content
        report.write(Report.objects.get(public_id=answer.json()["id"]).pk)
        return str(answer.json()["id"])

    def webhook_endpoint(self) -> str:
        """A webhook endpoint; the oldest ones make room."""
        self.made += 1
        for known in self.api.get("/v1/webhook-endpoints").json()["data"][13:]:
            path = f"/v1/webhook-endpoints/{known['id']}"
            self.api.client.delete(path, headers={"Authorization": f"Bearer {self.api.secret}"})
        body = {**WEBHOOK, "description": SECRET_ORDER}
        return str(self.api.post("/v1/webhook-endpoints", body, key=f"victim-{self.made}").json()["id"])

    def delivery(self) -> str:
        """A delivery of a test event."""
        endpoint = self.webhook_endpoint()
        return str(self.api.post(f"/v1/webhook-endpoints/{endpoint}/test", None, key=None).json()["id"])

    def _deposit(self, payment: dict[str, Any]) -> bytes:
        known = {"id": 7_000_000 + self.made, "claveRastreo": f"TENANCY{self.made}"}
        return self.stp.deposit(payment["spei"]["clabe"], payment["amount"], **known)

    def event(self) -> str:
        """An event that the feed shows."""
        paid = self.payment()
        assert self.stp.post(self._deposit(paid)).status_code == 200
        event: str = Event.objects.order_by("sequence").last().public_id  # type: ignore[union-attr]
        end = time.monotonic() + 300
        while self.api.get(f"/v1/events/{event}").status_code != 200 and time.monotonic() < end:
            time.sleep(0.05)
        return event


IDS: dict[str, Callable[[Victim], str]] = {
    "payment_id": lambda victim: victim.payment()["id"],
    "clabe_id": lambda victim: victim.clabe(),
    "event_id": lambda victim: victim.event(),
    "api_key_id": lambda victim: victim.api_key(),
    "key": lambda victim: victim.idempotency_key(),
    "report_id": lambda victim: victim.report(),
    "payout_id": lambda victim: victim.payout(),
    "topup_id": lambda victim: victim.topup(),
    "webhook_endpoint_id": lambda victim: victim.webhook_endpoint(),
    "delivery_id": lambda victim: victim.delivery(),
    "refund_id": lambda victim: victim.refund(),
}
"""Path parameter -> a real object of the victim, made anew for each operation."""

BODIES: dict[tuple[str, str], Any] = {
    ("post", "/v1/payments"): SPEI,
    ("post", "/v1/clabes"): {"label": "Luisa"},
    ("post", "/v1/test/payments/{payment_id}/pay"): {},
    ("post", "/v1/api-keys/{api_key_id}/roll"): {},
    ("post", "/v1/reports"): REPORT,
    ("post", "/v1/webhook-endpoints"): WEBHOOK,
    ("patch", "/v1/webhook-endpoints/{webhook_endpoint_id}"): {"description": "Other"},
    ("post", "/v1/webhook-endpoints/{webhook_endpoint_id}/rotate-secret"): {},
    ("post", "/v1/webhook-endpoints/{webhook_endpoint_id}/replay"): {"since": now().isoformat()},
    ("post", "/v1/payouts"): payouts.wanted(),
    ("post", "/v1/refunds"): {"payment": "pay_01kb3wdga4q9c7mx0yj65re201", "reason": "Producto agotado"},
    ("post", "/v1/test/payouts/{payout_id}/outcome"): {"outcome": "settle"},
}
"""A valid body for every operation that takes one."""

VERBS = ("get", "post", "put", "patch", "delete")
FILTERS = {
    "/v1/payments": {"?status=completed", "?method=spei"},
    "/v1/events": {"?after_sequence=0"},
    "/v1/reports": {"?status=completed"},
}
QUERIES = ["", "?limit=100", "?status=completed", "?method=spei", "?after_sequence=0"]


@lru_cache
def _schema() -> dict[str, Any]:
    return dict(Client().get("/v1/openapi.json").json()["paths"])


def operations() -> dict[tuple[str, str], list[str]]:
    """(verb, path) of everything that the schema offers to merchants -> the scopes it needs."""
    return {
        (verb, path): operation["security"][0]["apiKey"]
        for path, item in _schema().items()
        for verb, operation in item.items()
        if verb in VERBS and operation["tags"] != ["provider webhooks"]
    }


def parameters(path: str) -> list[str]:
    return re.findall(r"{(\w+)}", path)


def address_of(path: str, victim: Victim) -> str:
    return path.format(**{name: IDS[name](victim) for name in parameters(path)})


def call(verb: str, path: str, secret: str | None, *, body: Any = None, key: str = "tenancy") -> Any:
    headers = {"Idempotency-Key": key} | ({"Authorization": f"Bearer {secret}"} if secret else {})
    options = {"data": body, "content_type": "application/json"} if body is not None else {}
    return getattr(Client(raise_request_exception=False), verb)(path, headers=headers, **options)


@pytest.fixture
def victim(api: Api, merchant: Merchant, stp: StpSender) -> Victim:
    return Victim(api, merchant, stp)


def traces(victim: Victim, *urls: str) -> list[bytes]:
    """What must not be in any answer to somebody else."""
    known = [SECRET_ORDER, victim.merchant.public_id, *(part for url in urls for part in url.split("/")[3:4])]
    for payment in Payment.objects.filter(merchant=victim.merchant):
        known += [payment.public_id, payment.clabe or "", payment.tracking_key]
    return [text.encode() for text in known if text]


def test_every_operation_has_what_these_tests_need():
    missing = sorted({name for _, path in operations() for name in parameters(path)} - set(IDS))
    assert missing == [], f"add a line for {missing} to IDS: how a real object of the victim is made"

    bodiless = sorted(
        {(verb, path) for verb, path in operations() if "requestBody" in _schema()[path][verb]} - set(BODIES)
    )
    assert bodiless == [], f"add a line for {bodiless} to BODIES: a valid request"


def test_every_route_for_merchants_is_in_the_schema_and_takes_its_tenant_from_the_key():
    public = {"v1/openapi.json", "v1/docs", "v1/<path:rest>"}
    routes = {}
    for pattern in get_resolver().url_patterns:
        if isinstance(pattern, URLPattern) and (route := str(pattern.pattern)).startswith("v1/"):
            routes[route] = getattr(pattern.callback, "view_class", None) or getattr(pattern.callback, "cls", None)

    theirs = {route: view for route, view in routes.items() if route not in public}

    assert all(view is not None and issubclass(view, MerchantView) for view in theirs.values()), theirs
    served = {
        (verb, "/" + re.sub(r"<\w+:(\w+)>", r"{\1}", route))
        for route, view in theirs.items()
        for verb in VERBS
        if hasattr(view, verb)
    }
    assert served == set(operations())


@pytest.mark.promise("P10", "every operation of the schema with another merchant's ids", unit="kinds of caller")
@pytest.mark.parametrize("reader", ["another merchant", "the other mode"])
def test_nobody_elses_object_can_be_reached_in_any_way(victim, merchant, other_merchant, make_api, reader):
    intruder = make_api(other_merchant) if reader == "another merchant" else make_api(merchant, livemode=True)
    with_ids = [(verb, path) for verb, path in operations() if "{" in path]
    refusals = (403, 404) if reader == "the other mode" else (404,)

    for verb, path in with_ids:
        address, body = address_of(path, victim), BODIES.get((verb, path))
        unknown = path.format(
            **{name: _like(address.split("/")[path.split("/").index(f"{{{name}}}")]) for name in parameters(path)}
        )
        secrets, before = traces(victim, address), rows()

        for tried in dict.fromkeys((verb, "head", "options", *VERBS)):
            answer = call(tried, address, intruder.secret, body=body)
            if tried == verb:
                assert answer.status_code in (refusals if path.startswith("/v1/test/") else (404,)), (verb, path)
                nothing = call(verb, unknown, intruder.secret, body=body)
                assert set(nothing.json()) == set(answer.json())
                assert nothing.json()["detail"] == answer.json()["detail"]
            assert answer.status_code in ((200, 404, 405) if tried == "options" else (403, 404, 405)), (tried, path)
            shown = answer.content.replace(answer.wsgi_request.path.encode(), b"")
            assert not any(secret in shown for secret in secrets), (tried, path)

        assert rows() == before, (verb, path)
        # Only now the proof that there was something to reach.
        mine = call(verb, address, victim.api.secret, body=body, key=f"own-{verb}-{len(path)}")
        simulated = (503,) if path.startswith("/v1/test/") else ()  # no simulator here
        assert mine.status_code in (200, 201, 202, 204, 409, 422, *simulated), (verb, path, mine.content)
        assert b'"not_found"' not in mine.content

    assert len(with_ids) >= 2


def _like(identifier: str) -> str:
    """An identifier of the same kind that names nothing."""
    if not ids.is_id(identifier):
        return f"{identifier}-of-nobody"
    return ids.new_id(next(kind for kind in ids.PREFIXES if ids.is_id(identifier, kind)))


def test_lists_and_balances_are_free_of_other_merchants(victim, other_merchant, make_api):
    victim.event()
    victim.report()
    intruder, secrets = make_api(other_merchant), traces(victim)

    for verb, path in operations():
        if verb == "get" and "{" not in path:
            for query in QUERIES:
                answer = call("get", path + query, intruder.secret)
                assert not any(secret in answer.content for secret in secrets), (path, query)
                if answer.status_code == 400:  # it has no such filter
                    assert answer.json()["code"] == "unknown_field", (path, query)
                    assert query not in {"", "?limit=100", *FILTERS.get(path, ())}, (path, query)
                    continue
                assert answer.status_code == 200, (path, query, answer.content)

    for path in FILTERS:
        assert intruder.get(path).json()["data"] == []
        assert victim.api.get(path).json()["data"] != []
    assert json.loads(call("get", "/v1/balance", intruder.secret).content)["available"] == 0


def test_another_merchants_idempotency_key_and_external_id_are_not_noticed(victim, other_merchant, make_api):
    theirs = victim.payment()
    intruder = make_api(other_merchant)
    before = Payment.objects.count()

    answer = intruder.post("/v1/payments", {**SPEI, "external_id": theirs["external_id"]}, key="victim-1")

    assert answer.status_code == 201
    assert "Idempotent-Replayed" not in answer
    assert answer.json()["id"] != theirs["id"]
    assert Payment.objects.count() == before + 1


def test_a_merchant_cannot_name_another_as_its_own(victim, merchant, other_merchant, make_api):
    intruder = make_api(other_merchant)
    before = rows()

    for field in ("merchant", "merchant_id", "livemode", "status", "id", "clabe", "fee"):
        answer = intruder.post("/v1/payments", {**SPEI, field: merchant.public_id}, key=f"as-{field}")
        assert (answer.status_code, answer.json()["code"]) == (400, "unknown_field")
    for query in (f"?merchant={merchant.public_id}", f"?merchant_id={merchant.pk}", "?livemode=true"):
        refused = intruder.get(f"/v1/payments{query}")
        assert (refused.status_code, refused.json()["code"]) == (400, "unknown_field")

    assert rows() == before


def strangers(merchant, other_merchant) -> dict[str, tuple[str | None, int, str]]:
    """Callers that must not get in anywhere: credential, status, code."""
    revoked, revoked_secret = api_key.create(merchant, livemode=False)
    api_key.revoke(revoked)
    _, expired_secret = api_key.create(merchant, livemode=False, expires_at=revoked.created_at)
    _, elsewhere_secret = api_key.create(merchant, livemode=False, networks=["203.0.113.0/24"])
    _, suspended_secret = api_key.create(other_merchant, livemode=False)
    Merchant.objects.filter(pk=other_merchant.pk).update(status="suspended")
    return {
        "nobody": (None, 401, "authentication_required"),
        "an unknown key": ("sk_test_" + "a" * 43, 401, "invalid_api_key"),
        "a revoked key": (revoked_secret, 401, "invalid_api_key"),
        "an expired key": (expired_secret, 401, "invalid_api_key"),
        "a key of another address": (elsewhere_secret, 403, "ip_not_allowed"),
        "a suspended merchant": (suspended_secret, 403, "merchant_suspended"),
    }


@pytest.mark.promise("P11", "every operation of the schema without a valid key", unit="rounds over all routes")
def test_no_route_lets_a_stranger_in(victim, merchant, other_merchant):
    event = victim.event()
    callers, secrets = strangers(merchant, other_merchant), traces(victim, f"/v1/events/{event}")
    before = rows()
    tried = 0

    for verb, path in operations():
        address = re.sub(r"{\w+}", event, path)
        for name, (secret, status, code) in callers.items():
            answer = call(verb, address, secret, body=BODIES.get((verb, path)))
            tried += 1
            assert (answer.status_code, answer.json()["code"]) == (status, code), (name, verb, path)
            shown = answer.content.replace(answer.wsgi_request.path.encode(), b"")
            assert not any(found in shown for found in secrets)

    assert tried == len(callers) * len(operations())
    assert rows() == before


@pytest.mark.promise("P11", "a revoked key, on every route", unit="rounds over all routes")
def test_revoking_a_key_closes_every_route_at_once(api, victim, merchant):
    key = ApiKey.objects.get(merchant=merchant)
    addresses = {(verb, path): address_of(path, victim) for verb, path in operations()}
    for verb, path in operations():
        if verb == "get":
            assert call(verb, addresses[verb, path], api.secret).status_code == 200, path

    api_key.revoke(key)

    for verb, path in operations():
        answer = call(verb, addresses[verb, path], api.secret, body=BODIES.get((verb, path)), key="after")
        assert answer.status_code == 401, path
