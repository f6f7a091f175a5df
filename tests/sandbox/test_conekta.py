from __future__ import annotations

import base64
import json
import re
import time
import uuid
from typing import Any

import httpx2
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from sandbox import barcode
from sandbox.conekta_order import fee

from .process import Receiver, Simulator, wait_for

EVENTS = ["charge.paid", "order.paid", "order.expired", "order.canceled"]


class Api:
    """A fresh Conekta account, subscribed to a receiver."""

    def __init__(self, simulator: Simulator, receiver: Receiver | None = None, key: str = "key_test_") -> None:
        self.simulator = simulator
        self.headers = {
            "Authorization": f"Bearer {key}{uuid.uuid4().hex}",
            "Accept": "application/vnd.conekta-v2.3.0+json",
        }
        if receiver is not None:
            self.key = self.post("webhook_keys", {"active": True}, 200)
            hook = {"url": f"http://{receiver.address}/webhooks/conekta", "subscribed_events": EVENTS}
            self.webhook = self.post("webhooks", hook, 200)

    def call(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        return self.simulator.client.request(method, f"/conekta/{path}", json=body, headers=self.headers)

    def post(self, path: str, body: Any, status: int) -> dict[str, Any]:
        answer = self.call("POST", path, body)
        assert answer.status_code == status, answer.text
        result: dict[str, Any] = answer.json()
        return result

    def get(self, path: str) -> dict[str, Any]:
        answer = self.call("GET", path)
        assert answer.status_code == 200, answer.text
        result: dict[str, Any] = answer.json()
        return result

    def order(self, **changes: Any) -> dict[str, Any]:
        return self.post("orders", order_body(**changes), 200)


def order_body(**changes: Any) -> dict[str, Any]:
    body = {
        "currency": "MXN",
        "customer_info": {"name": "Ana Muñoz", "email": "ana@example.mx", "phone": "5555555555"},
        "line_items": [{"name": "Mensualidad", "unit_price": 7500, "quantity": 2}],
        "charges": [{"amount": 15000, "payment_method": {"type": "cash", "expires_at": int(time.time()) + 3600}}],
        "metadata": {"payment_id": "pay_1"},
    }
    return {**body, **changes}


def charge(amount: Any = 15000, **method: Any) -> list[dict[str, Any]]:
    return [{"amount": amount, "payment_method": {"type": "cash", **method}}]


def reference_of(order: dict[str, Any]) -> str:
    return str(order["charges"]["data"][0]["payment_method"]["reference"])


def control(simulator: Simulator, action: str, reference: str, **fields: Any) -> httpx2.Response:
    return simulator.client.post(f"/_sim/conekta/{action}", json={"reference": reference, **fields})


def verify(public_key: str, digest: str, body: bytes) -> None:
    key = load_pem_public_key(public_key.encode())
    assert isinstance(key, rsa.RSAPublicKey) and key.key_size == 2048
    key.verify(base64.b64decode(digest, validate=True), body, padding.PKCS1v15(), hashes.SHA256())


def test_an_order_is_answered_as_oxxo_pay(simulator: Simulator) -> None:
    api = Api(simulator)

    answer = api.call("POST", "orders", order_body())

    order = answer.json()
    one = order["charges"]["data"][0]
    method = one["payment_method"]
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("application/vnd.conekta-v2.3.0+json")
    assert re.fullmatch(r"ord_[0-9A-Za-z]{17}", order["id"]) and re.fullmatch(r"[0-9a-f]{24}", one["id"])
    assert (order["object"], order["amount"], order["payment_status"]) == ("order", 15000, "pending_payment")
    assert (order["livemode"], order["metadata"]) == (False, {"payment_id": "pay_1"})
    assert order["customer_info"]["name"] == "Ana Muñoz"
    assert order["line_items"]["object"] == order["charges"]["object"] == "list"
    assert (one["object"], one["order_id"], one["status"], one["paid_at"]) == (
        "charge",
        order["id"],
        "pending_payment",
        None,
    )
    assert (method["object"], method["type"], method["service_name"]) == ("cash_payment", "oxxo", "OxxoPay")
    assert method["store_name"] == "OXXO" and re.fullmatch(r"[0-9]{14}", method["reference"])
    assert method["expires_at"] > time.time() and method["auth_code"] is None
    picture = simulator.client.get(method["barcode_url"])
    assert picture.status_code == 200 and picture.headers["content-type"] == "image/svg+xml"
    assert method["reference"] in picture.text


def test_basic_with_the_key_as_user_is_the_same_account(simulator: Simulator) -> None:
    api = Api(simulator, key="key_live_")
    order = api.order()
    key = api.headers["Authorization"].removeprefix("Bearer ")

    answer = simulator.client.get(f"/conekta/orders/{order['id']}", auth=(key, ""))

    assert answer.json() == order
    assert order["livemode"] is True


@pytest.mark.parametrize("authorization", [None, "Bearer", "Basic !!!", "Basic Og==", "Digest x"])
def test_without_a_key_the_answer_is_conektas_401(simulator: Simulator, authorization: str | None) -> None:
    headers = {"Authorization": authorization} if authorization else {}

    answer = simulator.client.post("/conekta/orders", json=order_body(), headers=headers)

    assert answer.status_code == 401
    assert answer.json()["object"] == "error" and answer.json()["type"] == "authentication_error"
    assert answer.json()["details"][0]["code"] == "conekta.errors.authentication.missing_key"


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"currency": "USD"}, "currency"),
        ({"customer_info": None}, "customer_info"),
        ({"customer_info": {"name": "Ana", "email": "ana@example.mx"}}, "customer_info.phone"),
        ({"line_items": []}, "line_items"),
        ({"line_items": [{"name": "x", "unit_price": 1.5, "quantity": 1}]}, "line_items.unit_price"),
        ({"line_items": [{"name": "x", "unit_price": 15000, "quantity": 0}]}, "line_items.quantity"),
        ({"charges": charge(14999)}, "charges.amount"),
        ({"charges": charge("15000")}, "charges.amount"),
        ({"charges": []}, "charges"),
        ({"charges": charge(type="card")}, "charges.payment_method.type"),
        ({"charges": charge(expires_at=1)}, "charges.payment_method.expires_at"),
        ({"charges": charge(expires_at=4102444800000)}, "charges.payment_method.expires_at"),
        ({"metadata": {"k": {"nested": 1}}}, "metadata"),
        ({"metadata": {"k": "x" * 250}}, "metadata"),
        ({"line_items": [{"name": "x", "unit_price": 999, "quantity": 1}], "charges": charge(999)}, "charges.amount"),
    ],
)
def test_a_wrong_order_is_conektas_422(simulator: Simulator, changes: dict[str, Any], param: str) -> None:
    answer = Api(simulator).call("POST", "orders", order_body(**changes))

    assert answer.status_code == 422
    assert answer.json()["type"] == "parameter_validation_error"
    assert answer.json()["details"][0]["param"] == param


def test_accounts_do_not_see_each_other(simulator: Simulator) -> None:
    order = Api(simulator).order()
    stranger = Api(simulator)

    assert stranger.call("GET", f"orders/{order['id']}").status_code == 404
    assert stranger.call("POST", f"orders/{order['id']}/cancel").status_code == 404
    assert stranger.get("orders")["data"] == []


def test_orders_are_found_by_id_reference_or_metadata(simulator: Simulator) -> None:
    api = Api(simulator)
    orders = [api.order(metadata={"payment_id": f"pay_{n}", "n": n}) for n in range(3)]

    for term in (orders[1]["id"], reference_of(orders[1]), "pay_1"):
        assert [o["id"] for o in api.get(f"orders?search={term}")["data"]] == [orders[1]["id"]]
    assert api.get("orders?search=pay_")["data"] == []
    first = api.get("orders?limit=2")
    assert (first["object"], first["has_more"], first["total"]) == ("list", True, 3)
    rest = simulator.client.get(first["next_page_url"], headers=api.headers).json()
    assert [o["id"] for o in first["data"] + rest["data"]] == [o["id"] for o in reversed(orders)]
    assert (rest["has_more"], rest["next_page_url"]) == (False, None)
    assert api.call("GET", "orders?limit=0").status_code == 422


def test_a_payment_is_told_by_charge_paid_then_order_paid_both_signed(simulator: Simulator, receiver: Receiver) -> None:
    api = Api(simulator, receiver)
    order = api.order()

    answer = control(simulator, "pay", reference_of(order))
    wait_for(lambda: len(receiver.received) == 2)

    assert answer.status_code == 202 and answer.json()["order_id"] == order["id"]
    events = [json.loads(body) for body in receiver.bodies()]
    assert [(e["type"], e["id"]) for e in events] == list(zip(EVENTS, answer.json()["events"], strict=False))
    one, paid = events[0]["data"]["object"], events[1]["data"]["object"]
    assert (one["object"], one["order_id"], one["status"]) == ("charge", order["id"], "paid")
    assert (one["fee"], one["amount"]) == (800, 15000)
    assert one["paid_at"] and isinstance(one["payment_method"]["auth_code"], int)
    assert (paid["object"], paid["payment_status"], paid["charges"]["data"]) == ("order", "paid", [one])
    assert events[1]["data"]["previous_attributes"] == {"payment_status": "pending_payment"}
    assert (events[1]["livemode"], events[1]["object"]) == (False, "event")
    assert events[1]["webhook_logs"][0]["url"] == f"http://{receiver.address}/webhooks/conekta"
    for _, headers, body in receiver.received:
        verify(api.key["public_key"], headers["digest"], body)
    with pytest.raises(InvalidSignature):
        verify(api.key["public_key"], receiver.received[0][1]["digest"], receiver.received[1][2])
    assert api.get(f"orders/{order['id']}") == paid
    assert "PRIVATE" not in json.dumps(api.get("webhook_keys"))
    assert api.get("webhook_keys")["data"] == [api.key]


def test_the_newest_active_key_signs_and_without_a_key_nothing_does(simulator: Simulator, receiver: Receiver) -> None:
    api = Api(simulator, receiver)
    newer = api.post("webhook_keys", {"active": True}, 200)
    api.post("webhook_keys", {"active": False}, 200)
    keyless = Api(simulator)
    keyless.post("webhooks", {"url": f"http://{receiver.address}/", "subscribed_events": ["order.paid"]}, 200)

    control(simulator, "pay", reference_of(api.order()))
    wait_for(lambda: len(receiver.received) == 2)
    control(simulator, "pay", reference_of(keyless.order()))
    wait_for(lambda: len(receiver.received) == 3)

    verify(newer["public_key"], receiver.received[0][1]["digest"], receiver.received[0][2])
    assert "digest" not in receiver.received[2][1]


def test_a_503_is_tried_again_and_a_resend_has_the_same_bytes(simulator: Simulator, receiver: Receiver) -> None:
    api = Api(simulator, receiver)
    order = api.order()
    receiver.answers = [(503, {}), (503, {})]
    control(simulator, "pay", reference_of(order))
    record = wait_for(lambda: _delivered(simulator, order))

    assert sorted(d["status"] for e in record["events"] for d in e["deliveries"]) == [200, 200, 503, 503]
    event_id = record["events"][1]["id"]
    answer = api.post(f"events/{event_id}/resend", {"webhooks_ids": [api.webhook["id"]]}, 200)

    assert [(d["webhook_id"], d["status"]) for d in answer["deliveries"]] == [(api.webhook["id"], 200)]
    assert answer["deliveries"][0]["body"] == '{"mensaje": "confirmar"}'
    assert len(set(receiver.bodies("order.paid"))) == 1 and len(set(receiver.bodies("charge.paid"))) == 1
    digests = {h["digest"] for _, h, body in receiver.received if json.loads(body)["id"] == event_id}
    assert len(digests) == 1
    assert api.get(f"events/{event_id}")["webhook_status"] == "successful"
    assert [e["type"] for e in api.get("events")["data"]] == ["order.paid", "charge.paid"]
    assert api.call("POST", f"events/{event_id}/resend", {"webhooks_ids": ["0" * 24]}).status_code == 422
    assert api.call("POST", f"events/{'0' * 24}/resend", {"webhooks_ids": []}).status_code == 404


def _delivered(simulator: Simulator, order: dict[str, Any]) -> dict[str, Any] | None:
    record: dict[str, Any] = simulator.client.get(f"/_sim/conekta/orders/{reference_of(order)}").json()
    last = [e["deliveries"][-1]["status"] for e in record["events"] if e["deliveries"]]
    return record if last == [200, 200] else None


def test_an_order_is_paid_once(simulator: Simulator) -> None:
    reference = reference_of(Api(simulator).order())

    answers = [control(simulator, "pay", reference, late=late) for late in (False, False, True)]

    assert [a.status_code for a in answers] == [202, 409, 409]
    assert answers[1].json()["error"]["code"] == "not_pending"
    assert control(simulator, "pay", "93000000000000").status_code == 404


def test_an_order_expires_by_itself_and_may_still_be_paid_late(simulator: Simulator, receiver: Receiver) -> None:
    api = Api(simulator, receiver)
    order = api.order(charges=charge(expires_at=int(time.time()) + 4))
    wait_for(lambda: receiver.bodies("order.expired"))

    refused = control(simulator, "pay", reference_of(order))
    late = control(simulator, "pay", reference_of(order), late=True)
    wait_for(lambda: receiver.bodies("order.paid"))

    assert (refused.status_code, refused.json()["error"]["code"], late.status_code) == (409, "expired", 202)
    assert json.loads(receiver.bodies("order.expired")[0])["data"]["object"]["payment_status"] == "expired"
    paid = json.loads(receiver.bodies("order.paid")[0])
    assert paid["data"]["previous_attributes"] == {"payment_status": "expired"}
    assert len(receiver.bodies("order.expired")) == 1


def test_expiring_and_cancelling_by_hand_are_told(simulator: Simulator, receiver: Receiver) -> None:
    api = Api(simulator, receiver)
    expired, canceled = api.order(), api.order()

    answer = control(simulator, "expire", reference_of(expired))
    cancel = api.post(f"orders/{canceled['id']}/cancel", None, 200)
    wait_for(lambda: len(receiver.received) == 2)

    assert answer.status_code == 202 and len(answer.json()["events"]) == 1
    assert cancel["payment_status"] == "canceled"
    assert control(simulator, "expire", reference_of(expired)).status_code == 409
    assert control(simulator, "pay", reference_of(canceled)).status_code == 409
    assert api.call("POST", f"orders/{canceled['id']}/cancel").status_code == 422
    assert sorted(json.loads(b)["type"] for b in receiver.bodies()) == ["order.canceled", "order.expired"]


def test_a_webhook_is_registered_once_per_url_and_gets_only_what_it_asked_for(
    simulator: Simulator, receiver: Receiver
) -> None:
    api = Api(simulator, receiver)
    again = api.post("webhooks", {"url": api.webhook["url"], "subscribed_events": ["order.paid"]}, 200)

    control(simulator, "pay", reference_of(api.order()))
    wait_for(lambda: receiver.bodies("order.paid"))

    assert again["id"] == api.webhook["id"]
    assert api.get("webhooks")["data"] == [again]
    assert len(receiver.received) == 1
    for wrong in ({"url": "ftp://x"}, {"url": "http://x", "subscribed_events": ["orders.paid"]}):
        assert api.call("POST", "webhooks", wrong).status_code == 422


@pytest.mark.parametrize(("amount", "expected"), [(1000, 626), (9230, 626), (15000, 800), (100000, 3364)])
def test_the_fee_has_a_minimum_and_iva(amount: int, expected: int) -> None:
    assert fee(amount) == expected


def test_the_barcode_decodes_to_its_digits() -> None:
    text, seven = barcode.widths("93000262276908"), 6
    values = [barcode.PATTERNS[i : i + seven] for i in range(0, len(barcode.PATTERNS), seven)]
    assert len(values) == len(set(values)) == 106

    codes = [values.index(text[i : i + seven]) for i in range(0, len(text) - 7, seven)]

    assert codes[0] == 105 and text.endswith("2331112")
    assert "".join(f"{code:02d}" for code in codes[1:-1]) == "93000262276908"
    assert codes[-1] == (105 + sum(n * code for n, code in enumerate(codes[1:-1], 1))) % 103
