"""Every operation once, in an order that makes sense: the examples of the API's reference are recorded from it.

A new operation needs a step in ``STORY``; then ``make openapi`` records it.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from core.clock import mexico_city_date, now, to_rfc3339
from core.mx.clabe import check_digit
from merchants.models import Merchant
from payments.models import Payment, Report
from payments.services import report
from payments_site.openapi.complete import operations
from payments_site.openapi.document import document
from tests.acceptance.conftest import Live
from tests.factories import payouts as factory
from tests.factories import topups as topup_factory
from tests.web_process import basic


def payments(story: Story) -> None:
    spei = story.ask(
        "create_payment",
        "SPEI",
        body={
            "method": "spei",
            "amount": 125050,
            "currency": "MXN",
            "description": "Pedido 1001",
            "external_id": "order-1001",
            "customer": {"name": "Ana López", "email": "ana@example.mx"},
            "metadata": {"cart": "c-77"},
        },
    )
    oxxo = story.ask("create_payment", "OXXO", body={"method": "oxxo", "amount": 49900, "currency": "MXN"})
    story.ask("pay_test_payment", "The payer goes to OXXO", body={"times": 2}, payment_id=oxxo["id"])
    raw = story.live.stp.deposit(spei["spei"]["clabe"], 125050, claveRastreo="MBAN01002611230099887766")
    story.notify("stp_deposit", "The money is kept", raw, Authorization=basic("stp-test", story.live.stp.secret))
    raw = b'{"id":21784922,"empresa":"EMPRESA_DEMO","folioOrigen":"","estado":"LIQUIDACION","causaDevolucion":""}'
    story.notify("stp_order", "An order was settled", raw, Authorization=basic("stp-test", story.live.stp.secret))
    raw = story.live.conekta.event(Payment.objects.get(public_id=oxxo["id"]))
    digest = base64.b64encode(story.live.conekta.sign(raw)).decode()
    story.notify("conekta_event", "An order was paid", raw, DIGEST=digest)
    story.ask("read_payment", "The money is here", payment_id=spei["id"])
    withdrawn = story.ask("create_payment", "Another", body={"method": "spei", "amount": 5000, "currency": "MXN"})
    story.ask("cancel_payment", "A payment that was not paid", payment_id=withdrawn["id"])
    story.ask("list_payments", "One of the completed payments", query={"status": "completed", "limit": 1})


def clabes(story: Story) -> None:
    made = story.ask(
        "create_clabe",
        "For one customer",
        body={"label": "Cliente 17", "customer": {"name": "Ana López"}, "min_amount": 10000, "max_amount": 5000000},
    )
    story.ask("read_clabe", "It takes transfers", clabe_id=made["id"])
    story.ask("list_clabes", "The newest", query={"limit": 1})
    story.ask("close_clabe", "It takes no more", clabe_id=made["id"])


def topups(story: Story) -> None:
    clabe = topup_factory.funding_clabe(Merchant.objects.get()).clabe
    raw = story.live.stp.deposit(clabe, 5_000_000, claveRastreo="BNET01002611230044332211")
    story.notify("stp_deposit", "A merchant's top-up", raw, Authorization=basic("stp-test", story.live.stp.secret))
    found = story.ask("list_topups", "The newest", query={"limit": 1})["data"][0]
    story.ask("read_topup", "It is in your balance", topup_id=found["id"])


def payouts(story: Story) -> None:
    factory.ready_to_send(story.live.stp.account)
    factory.fund(Merchant.objects.get(), 10_000_000)
    body = {
        "amount": 125050,
        "currency": "MXN",
        "destination": {"clabe": "012180015025335996", "name": "Ricardo Peña"},
        "concept": "Liquidación 17",
        "reference_number": 1234567,
        "external_id": "payout-17",
    }
    time.sleep(1.1)  # the site reads its provider accounts once a second
    made = story.ask("create_payout", "To a supplier", body=body)
    story.ask("read_payout", "It waits to be sent", payout_id=made["id"])
    story.ask("decide_test_payout", "The bank sends it back", body={"outcome": "return"}, payout_id=made["id"])
    story.ask("list_payouts", "By your own id", query={"external_id": "payout-17"})
    story.ask("list_destinations", "One CLABE", query={"clabe": "012180015025335996"})
    story.ask("cancel_payout", "Before it was sent", payout_id=made["id"])


def refunds(story: Story) -> None:
    paid = Payment.objects.filter(method="spei", status="completed").earliest("id")
    body = {"payment": paid.public_id, "amount": 25050, "reason": "Producto agotado", "external_id": "refund-3"}
    made = story.ask("create_refund", "A part of it", body=body)
    story.ask("read_refund", "It waits to be sent", refund_id=made["id"])
    story.ask("list_refunds", "Those of a payment", query={"payment": paid.public_id})
    story.ask("cancel_refund", "Before it was sent", refund_id=made["id"])


def balance(story: Story) -> None:
    story.ask("read_balance", "Now")
    story.until(lambda: len(story.get("/v1/balance/transactions")["data"]) >= 2)
    story.ask("list_balance_transactions", "The newest movement", query={"limit": 1})


def reports(story: Story) -> None:
    today = mexico_city_date(now()).isoformat()
    ordered = story.ask(
        "create_report", "Today's payments", body={"type": "payments", "start_date": today, "end_date": today}
    )
    report.write(Report.objects.get(public_id=ordered["id"]).pk)
    story.ask(
        "create_report",
        "Today's payouts as a workbook",
        body={"type": "payouts", "format": "xlsx", "start_date": today, "end_date": today},
    )
    story.ask("read_report", "It is ready", report_id=ordered["id"])
    story.ask("list_reports", "The newest", query={"limit": 1})


def webhooks(story: Story) -> None:
    body = {
        "url": "http://127.0.0.1:9/webhooks",
        "events": ["payment.*", "payout.completed"],
        "description": "Tienda",
        "metadata": {"team": "pagos"},
    }
    made = story.ask("create_webhook_endpoint", "For payments and payouts", body=body)
    one = {"webhook_endpoint_id": made["id"]}
    story.ask("read_webhook_endpoint", "It receives events", **one)
    story.ask("list_webhook_endpoints", "The newest", query={"limit": 1})
    story.ask("update_webhook_endpoint", "In the order of events", body={"ordered": True}, **one)
    story.ask("rotate_webhook_secret", "Both secrets sign for 24 hours", body={}, **one)
    sent = story.ask("test_webhook_endpoint", "A test event", **one)
    story.ask("list_deliveries", "The newest", query={"limit": 1}, **one)
    story.ask("read_delivery", "It waits for its first attempt", delivery_id=sent["id"])
    story.ask("retry_delivery", "Now", delivery_id=sent["id"])
    period = {"since": to_rfc3339(now() - timedelta(hours=1)), "only": "missing", "dry_run": True}
    story.ask("replay_events", "How many were missed", body=period, **one)
    further = story.ask("create_webhook_endpoint", "For everything", body={**body, "events": ["*"]})
    story.ask("delete_webhook_endpoint", "It gets nothing more", webhook_endpoint_id=further["id"])


def events(story: Story) -> None:
    story.until(lambda: len(story.get("/v1/events")["data"]) >= 4)
    first = story.ask("list_events", "The first event", query={"after_sequence": 0, "limit": 1})["data"][0]
    story.ask("read_event", "The same event", event_id=first["id"])


def account(story: Story) -> None:
    story.ask("read_merchant", "With a test key")
    keys = story.ask("list_api_keys", "The newest", query={"limit": 1})["data"]
    story.ask("roll_api_key", "With an overlap of 24 hours", body={}, api_key_id=keys[0]["id"])
    story.ask("list_banks", "All of them")
    story.ask("read_idempotency_key", "It made a payment", key="order-1001")


STORY: list[Callable[[Story], None]] = [
    payments,
    clabes,
    topups,
    payouts,
    refunds,
    balance,
    reports,
    webhooks,
    events,
    account,
]
"""A group of operations adds its function here; earlier ones have left their objects."""


class Story:
    """Asks the running site, checks each answer against the document, and remembers both."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.recorded: dict[str, list[dict[str, Any]]] = {}
        self.ids: dict[str, str] = {}
        """The last real object for each parameter of a path."""
        self._addresses = {op["operationId"]: (verb, path, op) for verb, path, op in operations(document())}
        self._steady = Steady(live.web.port)
        self._keys = 1000

    def tell(self) -> dict[str, list[dict[str, Any]]]:
        """Run all of it and return what was recorded, by operation."""
        for chapter in STORY:
            chapter(self)
        return {name: self.recorded[name] for name in self._addresses if name in self.recorded}

    def ask(
        self,
        operation: str,
        summary: str,
        *,
        body: Any = None,
        query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        status: int | None = None,
        **ids: str,
    ) -> Any:
        """One request of the merchant as an example; returns the answer's JSON (None without a body)."""
        verb, path, described = self._addresses[operation]
        self.ids |= ids
        sent = {"Authorization": f"Bearer {self.live.api.secret}", **(headers or {})}
        if any(parameter.get("name") == "Idempotency-Key" for parameter in described.get("parameters", ())):
            self._keys += 1
            sent.setdefault("Idempotency-Key", f"order-{self._keys}")
        address = path.format(**ids) + (f"?{urlencode(query)}" if query else "")
        raw = json.dumps(body).encode() if body is not None else None
        return self._exchange(operation, summary, verb, address, raw, sent, status)

    def notify(self, operation: str, summary: str, raw: bytes, **headers: str) -> Any:
        """One notice of a provider as an example."""
        return self._exchange(operation, summary, "post", self._addresses[operation][1], raw, headers, None)

    def get(self, path: str) -> Any:
        """What is read on the way, without becoming an example."""
        return json.loads(self.live.web.get(path, Authorization=f"Bearer {self.live.api.secret}").body)

    def until(self, condition: Callable[[], Any], seconds: float = 300.0) -> None:
        """Wait for what happens behind the API."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it did not happen in time"
            time.sleep(0.05)

    def _exchange(
        self,
        operation: str,
        summary: str,
        verb: str,
        address: str,
        raw: bytes | None,
        headers: dict[str, str],
        status: int | None,
    ) -> Any:
        described = self._addresses[operation][2]
        sent = {"Content-Type": "application/json", **headers} if raw is not None else headers
        answer = self.live.web.request(verb.upper(), address, raw, sent)
        said = f"{operation}: {answer.status} {answer.body.decode()[:2000]}"
        assert str(answer.status) in described["responses"], f"a status that is not documented: {said}"
        assert answer.status < 300 if status is None else answer.status == status, said
        value = json.loads(answer.body) if answer.body else None
        content_type = answer.headers.get("content-type", "").split(";")[0]
        check_answer(described, answer.status, content_type, value)
        example: dict[str, Any] = {"summary": summary, "status": answer.status}
        if raw is not None:
            body = json.loads(raw)
            check_request(described, body)
            example["request"] = self._steady.value(body)
        if value is not None:
            example["response"] = self._steady.value(value)
        self.recorded.setdefault(operation, []).append(example)
        return value


def check_answer(operation: dict[str, Any], status: int, content_type: str, value: Any) -> None:
    """The answer is of a documented type and has exactly the documented fields, else ``jsonschema.ValidationError``."""
    answer = _resolved(operation["responses"][str(status)])
    content = answer.get("content", {})
    if value is None:
        assert not content, f"{operation['operationId']}: {status} should have a body"
        return
    assert content_type in content, f"{operation['operationId']}: {status} has type {content_type}, not {list(content)}"
    _validate(content[content_type]["schema"], value)


def check_request(operation: dict[str, Any], value: Any) -> None:
    """What we say is a good request is one by the document, too."""
    _validate(operation["requestBody"]["content"]["application/json"]["schema"], value)


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    kind, name = node["$ref"].split("/")[-2:]
    found: dict[str, Any] = document()["components"][kind][name]
    return found


def _validate(schema: dict[str, Any], value: Any) -> None:
    strict = _strict(document())
    registry = Registry().with_resource("urn:api", DRAFT202012.create_resource(strict))
    rooted = json.loads(json.dumps(_strict(schema)).replace('"#/', '"urn:api#/'))
    Draft202012Validator(rooted, registry=registry, format_checker=FormatChecker()).validate(value)


def _strict(node: Any) -> Any:
    """The same schema, refusing fields that it does not name."""
    if isinstance(node, list):
        return [_strict(inner) for inner in node]
    if not isinstance(node, dict):
        return node
    found = {key: _strict(inner) for key, inner in node.items()}
    if isinstance(node.get("properties"), dict) and node.get("type") == "object":
        found.setdefault("additionalProperties", False)
    return found


class Steady:
    """Replaces what differs from run to run, so that an example can be compared and reads well."""

    MOMENTS = {
        "created_at": "2026-11-23T18:04:05.123456Z",
        "expires_at": "2026-11-26T18:04:05.123456Z",
    }
    LATER = "2026-11-23T18:09:41.654321Z"

    def __init__(self, port: int) -> None:
        self._ours = re.compile(rf"http://(127\.0\.0\.1:{port}|testserver|localhost)")
        self._known: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def value(self, value: Any, key: str = "") -> Any:
        """``value`` with steady ids, moments, account numbers and addresses."""
        if isinstance(value, dict):
            return {name: self.value(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [self.value(inner, key) for inner in value]
        if key == "sequence" and isinstance(value, int):
            return int(self._once(f"sequence {value}", "sequence", lambda n: str(51_539_607_552 + 65_536 * n)))
        if key == "size" and isinstance(value, int):
            return 48_211
        return self._text(value, key) if isinstance(value, str) else value

    def _text(self, text: str, key: str) -> str:
        if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", text):
            return self.MOMENTS.get(key, self.LATER)
        if key == "prefix" and text.startswith("sk_"):
            return self._once(text, "sk", lambda n: f"sk_test_Qm4vT7x{n}")
        if key == "tracking_key" and re.fullmatch(r"[0-9A-Z]{26}", text):
            return "01KB3WDGA4Q9C7MX0YJ65RE2K7"
        if key == "next_cursor":
            return "cGF5XzAxa2Izd2RnYTRxOWM3bXgweWo2NXJlMg"
        if key == "sha256":
            return "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text) and key in ("operating_date", "start_date", "end_date"):
            return "2026-11-23"
        text = re.sub(r"\?token=\S+", "?token=1xZ4bQ:Jq3m0tT1kW8sYd2vN5", text)
        text = re.sub(r"_\d{4}-\d\d-\d\d(_\d{4}-\d\d-\d\d)?", r"_2026-11-23_2026-11-23", text)
        if key in ("reference", "reference_number") and text.isdigit():
            return self._once(text, key, lambda n: f"{93000262280678 + n}" if key == "reference" else f"{4210987 + n}")
        text = self._ours.sub("https://pay.example.mx", text)
        text = re.sub(r"http://127\.0\.0\.1:\d+", "https://conekta.example.mx", text)
        text = re.sub(r"/barcodes/\d+", "/barcodes/93000262280679", text)
        text = re.sub(
            r"\b(ord|pay|mer|dep|po|re|clb|set|evt|we|dlv|att|rep|kyc|doc|key|txn|idk|pev)_[0-9A-Za-z]{12,}",
            self._id,
            text,
        )
        text = re.sub(r"\breq_[0-9a-f]{24}", "req_4f0c7a1e92b35d6880aa17c3", text)
        text = re.sub(r"(sk_(test|live)_)[A-Za-z0-9_-]{20,}", r"\1…", text)
        text = re.sub(r"(whsec_)[A-Za-z0-9+/=]{20,}", r"\1…", text)
        return re.sub(r"(?<!\d)646180\d{12}(?!\d)", self._clabe, text)

    def _id(self, found: re.Match[str]) -> str:
        return self._once(found[0], found[1], lambda n: f"{found[1]}_01kb3wdga4q9c7mx0yj65re2{n:02d}")

    def _clabe(self, found: re.Match[str]) -> str:
        def make(number: int) -> str:
            first = f"6461801570{number:07d}"
            return first + check_digit(first)

        return self._once(found[0], "clabe", make)

    def _once(self, text: str, kind: str, make: Callable[[int], str]) -> str:
        if text not in self._known:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._known[text] = make(self._counts[kind])
        return self._known[text]
