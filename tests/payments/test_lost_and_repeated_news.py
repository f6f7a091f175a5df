"""Lost, late, duplicate and out-of-order notices."""

from __future__ import annotations

import pytest

from core import clock
from ledger.services import balance
from merchants.models import ApiKey, Event
from payments.models import Deposit, Payment
from payments.services import order as order_service
from tests.history import rewrite
from tests.problems import rows
from webhooks.models import ProviderEvent

pytest_plugins = ["tests.sandbox_process"]
pytestmark = pytest.mark.usefixtures("committed_db")

OXXO = {"method": "oxxo", "amount": 25_000, "currency": "MXN"}
SPEI = {"method": "spei", "amount": 100_000, "currency": "MXN"}


def types(payment_id: str) -> list[str]:
    return list(Event.objects.filter(object_id=payment_id).order_by("sequence").values_list("type", flat=True))


def test_a_payment_found_by_polling_and_by_its_notice_is_credited_once(api, at_conekta, conekta):
    made = api.post("/v1/payments", OXXO).json()
    client = at_conekta.simulator.client
    assert client.post("/_sim/conekta/pay", json={"reference": made["oxxo"]["reference"]}).status_code == 202
    over = clock.now() - order_service.EXPIRES_AFTER
    rewrite(Payment.objects.all(), expires_at=over, voucher_asked_until=None)
    assert order_service.expire_unpaid() == 1
    payment = Payment.objects.get()
    charge = at_conekta.orders(made["id"])[0]["charges"]["data"][0]["id"]

    answers = [
        conekta.post(conekta.event(payment, kind, event_id=kind.replace(".", ""), charge_id=charge)).status_code
        for kind in ("charge.paid", "order.paid", "order.expired")
    ]

    assert answers == [200, 200, 200]
    assert Deposit.objects.count() == 1
    assert types(made["id"]) == ["payment.created", "payment.updated", "payment.completed"]


def test_a_voucher_that_was_issued_is_not_money(api, at_conekta, merchant):
    made = api.post("/v1/payments", OXXO).json()

    assert (made["status"], made["amount_received"]) == ("pending", 0)
    assert balance.of_merchant(merchant, livemode=False).pending == 0


def test_an_event_shows_the_object_as_it_was_at_that_moment_for_ever(api, stp, merchant):
    merchant.deposit_policy = "accept_any"
    merchant.save()
    made = api.post("/v1/payments", SPEI).json()
    for number, amount in enumerate((40_000, 60_000)):
        stp.post(stp.deposit(made["spei"]["clabe"], amount, claveRastreo=f"P{number}"))

    events = Event.objects.filter(object_id=made["id"]).order_by("sequence")
    seen = [(e.type, e.data["object"]["status"], e.data["object"]["amount_received"]) for e in events]

    assert seen == [
        ("payment.created", "pending", 0),
        ("payment.completed", "completed", 40_000),
        ("payment.updated", "completed", 100_000),
    ]
    assert events.last().data["previous"] == {"amount_received": 40_000, "fee": 400, "fee_tax": 64, "net": 39_536}


def test_a_late_failure_never_takes_back_what_was_paid(api, stp):
    made = api.post("/v1/payments", SPEI).json()
    stp.post(stp.deposit(made["spei"]["clabe"], 100_000))
    before = rows()

    answer = api.post(f"/v1/payments/{made['id']}/cancel", {})

    assert answer.status_code == 409
    assert rows() == before
    assert api.get(f"/v1/payments/{made['id']}").json()["status"] == "completed"


def test_a_merchants_cancellation_that_conekta_echoes_is_told_once_and_stays_the_merchants(api, at_conekta, conekta):
    made = api.post("/v1/payments", OXXO).json()
    assert api.post(f"/v1/payments/{made['id']}/cancel", {}).status_code == 200
    payment = Payment.objects.get()
    told = types(made["id"])

    answers = [
        conekta.post(conekta.event(payment, kind, event_id=kind.replace(".", ""))).status_code
        for kind in ("order.canceled", "order.expired")
    ]

    assert answers == [200, 200]
    assert told == types(made["id"]) == ["payment.created", "payment.updated", "payment.cancelled"]
    ended = payment.transitions.get(to_status="cancelled")
    assert (ended.cause, ended.actor) == ("api", ApiKey.objects.get().public_id)
    payment.refresh_from_db()
    assert payment.status == "cancelled"


def test_a_refund_in_the_providers_panel_books_nothing_and_needs_review(api, at_conekta, conekta, merchant):
    made = api.post("/v1/payments", OXXO).json()
    payment = Payment.objects.get()
    conekta.post(conekta.event(payment, "order.paid", event_id="paid"))
    before = rows()

    answer = conekta.post(conekta.event(payment, "order.refunded", event_id="refunded"))

    assert answer.status_code == 200
    assert rows() == {**before, "webhooks_providerevent": before["webhooks_providerevent"] + 1}
    kept = ProviderEvent.objects.get(event_type="order.refunded")
    assert (kept.status, kept.event_id, kept.object_id) == ("conflict", "refunded", made["id"])
    assert api.get(f"/v1/payments/{made['id']}").json()["status"] == "completed"


def test_all_five_figures_of_a_balance_are_read_at_one_moment(api, stp, merchant, django_assert_num_queries):
    made = api.post("/v1/payments", SPEI).json()
    stp.post(stp.deposit(made["spei"]["clabe"], 100_000))

    with django_assert_num_queries(1):
        found = balance.of_merchant(merchant, livemode=False)

    assert (found.available, found.pending, found.reserved, found.blocked, found.debt) == (98_840, 0, 0, 0, 0)
