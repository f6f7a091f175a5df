"""Conekta's events about refunded or disputed money."""

from __future__ import annotations

import pytest

from payments.providers.base import MoneyTakenBack
from tests.factories.conekta import CHARGE, ORDER, PAYMENT, parse


@pytest.mark.parametrize("kind", ["order.refunded", "order.partially_refunded", "order.charged_back"])
def test_money_taken_back_from_an_order_names_it(kind):
    assert parse(kind, ORDER) == MoneyTakenBack(f"evt-{kind}", kind, ORDER["id"], PAYMENT, livemode=False)


@pytest.mark.parametrize(
    "kind", ["charge.refunded", "charge.reversed", "charge.chargeback.created", "charge.chargeback.lost"]
)
def test_money_taken_back_from_a_charge_names_its_order(kind):
    assert parse(kind, CHARGE) == MoneyTakenBack(f"evt-{kind}", kind, CHARGE["order_id"], PAYMENT, livemode=False)


@pytest.mark.parametrize("subject", [None, [], "x", {}, {"id": 5, "metadata": []}])
def test_a_damaged_event_about_returned_money_is_still_readable(subject):
    noted = parse("order.refunded", subject)

    assert noted == MoneyTakenBack("evt-order.refunded", "order.refunded", livemode=False)
