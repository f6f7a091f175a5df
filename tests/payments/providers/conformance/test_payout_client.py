"""What every adapter that pays out must do, asked of each one over HTTP at its simulated provider."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from core.errors import OutcomeUnknown, ProviderNotContacted
from payments.providers.calls import Outcome
from payments.providers.payout import OrderState, OrderStatus, SendReason
from tests.payments.providers.conformance.adapters import ADAPTERS, Adapter
from tests.payments.providers.stp_orders import COMPANY, PERSON
from tests.sandbox.process import Simulator

pytest_plugins = ["tests.sandbox_process"]

REFUSALS = {
    SendReason.DESTINATION_INVALID,
    SendReason.BANK_UNAVAILABLE,
    SendReason.AMOUNT_NOT_ALLOWED,
    SendReason.COMPLIANCE_REJECTED,
    SendReason.PROVIDER_REJECTED,
}
CLABE = "646180157000000004"


@pytest.fixture(params=sorted(ADAPTERS))
def adapter(request: pytest.FixtureRequest, conekta_process: Simulator) -> Adapter:
    made: Adapter = ADAPTERS[request.param](conekta_process)
    return made


def found(adapter: Adapter, order: Any) -> OrderState | None:
    return adapter.client.find_sent(order.tracking_key, order.operating_date, today=adapter.today())


def listed(adapter: Adapter) -> dict[str, OrderState]:
    pages = adapter.client.list_sent(adapter.today(), today=adapter.today())
    return {state.tracking_key: state for page in pages for state in page}


def test_an_accepted_order_is_found_as_it_was_sent(adapter):
    order = adapter.order()

    result = adapter.client.send(order)

    assert (result.outcome, result.reason, result.code) == (Outcome.ACCEPTED, SendReason.NONE, "")
    state = found(adapter, order)
    assert state is not None and state.is_of(order)
    assert (state.order_id, state.status) == (result.order_id, OrderStatus.IN_PROGRESS)
    assert not state.is_of(replace(order, amount=order.amount + 1))


def test_a_refused_order_does_not_exist_and_says_why_in_our_words(adapter):
    order = adapter.order()
    adapter.refuse(order.tracking_key)

    result = adapter.client.send(order)

    assert result.outcome is Outcome.REFUSED
    assert result.reason is SendReason.DESTINATION_INVALID and result.reason in REFUSALS
    assert result.code and result.detail and not result.order_id
    assert order.beneficiary_clabe not in result.detail + result.raw
    assert (found(adapter, order), listed(adapter)) == (None, {})


@pytest.mark.parametrize("changes", [{}, {"amount": 1}, {"beneficiary_clabe": "072180000118359711"}])
def test_a_key_used_twice_is_unknown_and_one_order_stays(adapter, changes):
    order = adapter.order()
    first = adapter.client.send(order)

    second = adapter.client.send(replace(order, **changes))

    assert (second.outcome, second.reason, second.order_id) == (Outcome.UNKNOWN, SendReason.ALREADY_USED, "")
    state = listed(adapter)[order.tracking_key]
    assert (len(listed(adapter)), state.order_id) == (1, first.order_id)
    assert state.is_of(order)
    assert state.is_of(replace(order, **changes)) == (not changes)


def test_an_answer_lost_after_the_order_was_taken_is_unknown_and_found(adapter):
    order = adapter.order()
    adapter.lose_answer(order.tracking_key)

    result = adapter.client.send(order)

    assert (result.outcome, result.reason, result.order_id) == (Outcome.UNKNOWN, SendReason.ANSWER_LOST, "")
    state = found(adapter, order)
    assert state is not None and state.is_of(order)
    assert len(adapter.calls.made) == 2  # sent once, asked once


def test_a_connection_lost_before_the_order_was_taken_is_unknown_too(adapter):
    order = adapter.order()
    adapter.lose_request(order.tracking_key)

    result = adapter.client.send(order)

    assert (result.outcome, result.reason) == (Outcome.UNKNOWN, SendReason.ANSWER_LOST)
    assert found(adapter, order) is None
    assert len(adapter.calls.made) == 2


def test_a_provider_that_is_not_reached_was_sent_nothing(adapter):
    result = adapter.unreachable.send(adapter.order())

    assert (result.outcome, result.reason) == (Outcome.NOT_SENT, SendReason.UNREACHABLE)
    with pytest.raises(ProviderNotContacted):
        adapter.unreachable.balance(adapter.account)
    assert adapter.unreachable.register_clabe(CLABE, COMPANY).outcome is Outcome.NOT_SENT


def test_a_call_that_may_not_be_recorded_is_not_made(adapter):
    order = adapter.order()
    adapter.calls.refuse = ProviderNotContacted("The hour's quota is spent.")

    result = adapter.client.send(order)

    assert (result.outcome, result.reason) == (Outcome.NOT_SENT, SendReason.UNREACHABLE)
    adapter.calls.refuse = None
    assert found(adapter, order) is None
    adapter.calls.refuse = RuntimeError("no provider is called inside a transaction")
    with pytest.raises(RuntimeError):
        adapter.client.send(order)


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, "", "unknown"),
        (200, "<html>ok</html>", "unknown"),
        (200, "{}", "unknown"),
        (200, "[1]", "unknown"),
        (302, "", "unknown"),
        (400, "bad", "unknown"),
        (403, "<html>403 Forbidden</html>", "not_sent"),
        (408, "", "unknown"),
        (429, "slow down", "not_sent"),
        (500, "<soapenv:Fault/>", "unknown"),
        (503, "", "unknown"),
    ],
)
def test_an_answer_that_says_nothing_is_never_taken_for_one_that_does(adapter, status, body, outcome):
    adapter.answer(status, body)
    sent = adapter.client.send(adapter.order())
    adapter.answer(status, body)
    registered = adapter.client.register_clabe(CLABE, COMPANY)
    adapter.answer(status, body)
    with pytest.raises(ProviderNotContacted if outcome == "not_sent" else OutcomeUnknown):
        adapter.client.find_sent("K1", adapter.today(), today=adapter.today())

    assert (sent.outcome, registered.outcome, sent.order_id) == (outcome, outcome, "")


def test_the_days_list_shows_all_orders_and_their_states(adapter):
    settled, returned, hidden, waiting = (adapter.order(amount=amount) for amount in (1_00, 2_00, 3_00, 4_00))
    adapter.hide(hidden.tracking_key)
    for order in (settled, returned, hidden, waiting):
        assert adapter.client.send(order).outcome is Outcome.ACCEPTED
    adapter.settle(settled.tracking_key)
    adapter.send_back(returned.tracking_key, 14)
    phantom = adapter.add_phantom()

    states = listed(adapter)

    assert set(states) == {settled.tracking_key, returned.tracking_key, waiting.tracking_key, phantom}
    assert [states[order.tracking_key].status for order in (settled, returned, waiting)] == [
        OrderStatus.SETTLED,
        OrderStatus.RETURNED,
        OrderStatus.IN_PROGRESS,
    ]
    assert states[returned.tracking_key].cause == 14
    assert states[settled.tracking_key].settled_at is not None
    assert all(states[order.tracking_key].is_of(order) for order in (settled, returned, waiting))
    yesterday = adapter.today() - timedelta(days=7)
    assert list(adapter.client.list_sent(yesterday, today=adapter.today())) == []


def test_the_balance_is_the_providers_to_the_centavo(adapter):
    order = adapter.order(amount=1_23)
    adapter.client.send(order)

    waiting = adapter.client.balance(adapter.account)
    adapter.settle(order.tracking_key)
    after = adapter.client.balance(adapter.account)

    assert (waiting.amount, waiting.pending) == (10_000_000, 1_23)
    assert waiting.spendable == after.spendable == after.amount == 9_999_877
    assert (after.amount, after.pending) == adapter.figures()


@pytest.mark.parametrize("holder", [COMPANY, PERSON], ids=["company", "person"])
def test_a_clabe_is_registered_and_removed_however_often(adapter, holder):
    first, again = (adapter.client.register_clabe(CLABE, holder) for _ in range(2))
    removed, gone = (adapter.client.remove_clabe(CLABE, holder) for _ in range(2))

    assert {result.outcome for result in (first, again, removed, gone)} == {Outcome.ACCEPTED}
    assert (first.in_review, again.in_review) == (True, False)


@pytest.mark.parametrize(
    "changes",
    [
        {"concept": "a|b"},
        {"concept": "x" * 41},
        {"beneficiary_name": "Ana\nRuiz"},
        {"beneficiary_name": "Ana \U0001f3e0"},
        {"tracking_key": "K-1"},
        {"amount": 0},
        {"beneficiary_clabe": "072691004495711490"},
    ],
)
def test_an_order_that_cannot_be_written_is_neither_recorded_nor_sent(adapter, changes):
    with pytest.raises(ValueError):
        adapter.client.send(adapter.order(**changes))

    assert adapter.calls.made == []
    assert listed(adapter) == {}


def test_each_request_is_recorded_once_without_secrets_and_people(adapter):
    order = adapter.order()
    adapter.client.send(order)
    adapter.lose_answer((second := adapter.order()).tracking_key)
    adapter.client.send(second)
    adapter.client.register_clabe(CLABE, PERSON)
    found(adapter, order)
    list(adapter.client.list_sent(adapter.today(), today=adapter.today()))
    adapter.client.balance(adapter.account)
    adapter.client.remove_clabe(CLABE, PERSON)

    made = [(call.operation, call.outcome, call.status, call.quota) for call in adapter.calls.made]
    assert [operation for operation, *_ in made] == [
        "send_payout",
        "send_payout",
        "register_clabe",
        "find_payout",
        "list_payouts",
        "read_balance",
        "remove_clabe",
    ]
    assert [bool(quota) for *_, quota in made] == [False, False, False, True, True, True, False]
    assert [status for _, _, status, _ in made] == [200, None, 200, 200, 200, 200, 200]
    assert adapter.calls.open == 0
    kept = "".join(call.request + call.answer for call in adapter.calls.made)
    people = (order.beneficiary_name, order.beneficiary_clabe, order.concept, PERSON.tax_id, "SANCHEZ", "19800416")
    for secret in (*people, CLABE, adapter.account, order.ordering_name):
        assert secret not in kept, secret
    assert order.tracking_key in kept and order.reference in kept
