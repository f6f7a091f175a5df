"""Events by which Conekta says that money went back, or is disputed."""

from __future__ import annotations

import pytest

from payments.providers.base import MoneyTakenBack
from tests.payments.providers.test_conekta_messages import CHARGE, ORDER, PAYMENT, parse


@pytest.mark.parametrize("kind", ["order.refunded", "order.partially_refunded", "order.charged_back"])
def test_money_taken_back_from_an_order_names_it(kind):
    assert parse(kind, ORDER) == MoneyTakenBack(f"evt-{kind}", kind, ORDER["id"], PAYMENT, livemode=False)


@pytest.mark.parametrize(
    "kind", ["charge.refunded", "charge.reversed", "charge.chargeback.created", "charge.chargeback.lost"]
)
def test_money_taken_back_from_a_charge_names_its_order(kind):
    assert parse(kind, CHARGE) == MoneyTakenBack(f"evt-{kind}", kind, CHARGE["order_id"], PAYMENT, livemode=False)


@pytest.mark.parametrize("subject", [None, [], "x", {}, {"id": 5, "metadata": []}])
def test_money_taken_back_is_never_unreadable_whatever_else_is_wrong(subject):
    noted = parse("order.refunded", subject)

    assert noted == MoneyTakenBack("evt-order.refunded", "order.refunded", livemode=False)
