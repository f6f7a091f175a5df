"""Strict parsing of Conekta's orders and events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.providers.base import MoneyReceived, OrderClosed, Uninteresting
from payments.providers.conekta.messages import CashOrder, identify, order_request, parse_event, parse_order
from payments.providers.errors import UnreadableNotice
from tests.factories.bodies import HOSTILE_BODIES
from tests.factories.conekta import CHARGE, ORDER, PAYMENT, RECEIVED_AT, REQUEST, changed, event, parse

PAID_AT = datetime(2025, 3, 4, 16, 0, tzinfo=UTC)


def test_one_payment_is_two_events_and_one_deposit():
    of_order, of_charge = parse("order.paid", ORDER), parse("charge.paid", CHARGE)

    assert of_order == MoneyReceived(
        event_id="evt-order.paid",
        event_type="order.paid",
        deposit_key="67c72196e777ac0001f2140c",
        amount=15000,
        currency="MXN",
        paid_at=PAID_AT,
        order_id="ord_2xayxSvfWzQ2TLz7r",
        payment_id=PAYMENT,
        reference_number="93000262276908",
        livemode=False,
    )
    assert of_charge.event_id != of_order.event_id
    for same in (
        "deposit_key",
        "amount",
        "currency",
        "paid_at",
        "order_id",
        "payment_id",
        "reference_number",
        "livemode",
    ):
        assert getattr(of_charge, same) == getattr(of_order, same)


def test_our_payment_id_is_found_wherever_conekta_kept_it():
    bare = changed(CHARGE, "reference_id", ...)

    assert parse("charge.paid", {**bare, "metadata": {"payment_id": "pay_2"}}).payment_id == "pay_2"
    assert parse("charge.paid", bare).payment_id == ""
    assert parse("order.paid", changed(ORDER, "metadata", {})).payment_id == PAYMENT
    assert parse("order.expired", changed(ORDER, "metadata", None)).payment_id == ""


def test_a_missing_time_of_payment_is_that_of_the_event_or_arrival():
    without = changed(CHARGE, "paid_at", None)

    assert parse("charge.paid", without).paid_at == PAID_AT + timedelta(seconds=1)
    assert parse("charge.paid", without, created_at="soon").paid_at == RECEIVED_AT
    assert parse("charge.paid", changed(CHARGE, "paid_at", 10**30), created_at=True).paid_at == RECEIVED_AT
    with pytest.raises(ValueError, match="time zone"):
        parse_event(event("charge.paid", CHARGE), received_at=RECEIVED_AT.replace(tzinfo=None))


def test_the_paid_charge_counts_among_those_that_failed():
    failed = {**CHARGE, "id": "c0", "status": "expired", "amount": 99}
    order = changed(ORDER, "charges.data", [failed, CHARGE])

    assert parse("order.paid", order).deposit_key == CHARGE["id"]
    assert parse("order.paid", changed(ORDER, "charges", [CHARGE])).deposit_key == CHARGE["id"]


@pytest.mark.parametrize("amount", [15000.0, "15000", True, None, 0, -1, 2**53, 1.5, [], ...])
def test_an_amount_that_is_no_integer_of_centavos_is_refused(amount):
    with pytest.raises(UnreadableNotice, match="amount"):
        parse("charge.paid", changed(CHARGE, "amount", amount))
    with pytest.raises(UnreadableNotice, match="amount"):
        parse("order.paid", changed(ORDER, "charges.data.0.amount", amount))
    with pytest.raises(UnreadableNotice, match="amount"):
        parse_order(changed(ORDER, "amount", amount))


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("id", ..., "data.object.id"),
        ("id", "a\x00b", "data.object.id"),
        ("id", 7, "data.object.id"),
        ("id", "x" * 65, "data.object.id"),
        ("charges", ..., "data.object.charges"),
        ("charges", [], "data.object.charges"),
        ("charges", "none", "data.object.charges"),
        ("charges.data", [1], "data.object.charges"),
        ("charges.data", [CHARGE, {**CHARGE, "id": "c2"}], "data.object.charges"),
        ("charges.data.0.status", "pending_payment", "data.object.charges"),
        ("charges.data.0.status", [], "data.object.charges"),
        ("charges.data.0.id", None, "data.object.charges.id"),
        ("charges.data.0.order_id", "ord_other", "data.object.charges.order_id"),
        ("charges.data.0.currency", "PESOS", "data.object.charges.currency"),
    ],
)
def test_a_paid_order_that_contradicts_itself_is_refused(path, value, field):
    with pytest.raises(UnreadableNotice) as rejection:
        parse("order.paid", changed(ORDER, path, value))

    assert rejection.value.field == field


@pytest.mark.parametrize(
    ("path", "value"), [("id", ...), ("order_id", None), ("status", "pending_payment"), ("status", []), ("currency", 1)]
)
def test_a_paid_charge_must_say_which_and_whose_it_is(path, value):
    with pytest.raises(UnreadableNotice, match=path):
        parse("charge.paid", changed(CHARGE, path, value))


@pytest.mark.parametrize(
    ("kind", "subject", "reason"),
    [
        ("order.expired", ORDER, "expired"),
        ("charge.expired", CHARGE, "expired"),
        ("order.canceled", ORDER, "cancelled"),
    ],
)
def test_an_order_that_ends_unpaid_is_closed(kind, subject, reason):
    closed = parse(kind, subject)

    assert closed == OrderClosed(
        event_id=f"evt-{kind}",
        event_type=kind,
        reason=reason,
        order_id="ord_2xayxSvfWzQ2TLz7r",
        payment_id=PAYMENT,
        livemode=False,
    )


@pytest.mark.parametrize(("said", "read"), [(True, True), (False, False), (None, None), ("false", None), (0, None)])
@pytest.mark.parametrize(
    ("kind", "subject"), [("order.paid", ORDER), ("charge.paid", CHARGE), ("order.expired", ORDER)]
)
def test_an_event_says_its_mode_or_nothing(kind, subject, said, read):
    assert parse(kind, subject, livemode=said).livemode is read


@pytest.mark.parametrize(
    ("raw", "known"),
    [
        (event("order.paid", {}), ("evt-order.paid", "order.paid")),
        (event("order.paid", {}, id=7), ("", "order.paid")),
        (event("order.paid", {}, id="a\0b", type="x" * 65), ("", "")),
        (b'{"id": "evt", "id": "other", "type": "order.paid"}', ("", "order.paid")),
        (b"[]", ("", "")),
        (b"\xff", ("", "")),
    ],
)
def test_what_cannot_be_read_is_identified_as_far_as_it_can(raw, known):
    assert identify(raw) == known


@pytest.mark.parametrize(
    "kind",
    ["order.created", "charge.created", "order.fraudulent", "charge.declined", "charge.pending_confirmation", "x.y"],
)
def test_every_other_event_is_noted_and_changes_nothing(kind):
    noted = parse(kind, None, data=[])

    assert isinstance(noted, Uninteresting)
    assert (noted.event_id, noted.event_type) == (f"evt-{kind}", kind)
    assert noted.reason


def test_a_ping_without_an_id_gets_one_that_repeats():
    ping = b'{"data":{"action":"ping","livemode":true},"type":"webhook_ping"}'
    first = parse_event(ping, received_at=RECEIVED_AT)

    assert isinstance(first, Uninteresting)
    assert first.reason == "ping"
    assert first.event_id.startswith("sha256:")
    assert parse_event(ping, received_at=RECEIVED_AT) == first
    assert parse_event(ping + b" ", received_at=RECEIVED_AT) != first


@pytest.mark.parametrize("change", [{"id": None}, {"id": 5}, {"type": None}, {"data": None}, {"data": {"object": []}}])
def test_an_event_without_identity_or_subject_is_refused(change):
    with pytest.raises(UnreadableNotice):
        parse("charge.paid", CHARGE, **change)


@pytest.mark.parametrize("raw", HOSTILE_BODIES.values(), ids=HOSTILE_BODIES.keys())
def test_a_hostile_body_is_unreadable_and_nothing_worse(raw):
    with pytest.raises(UnreadableNotice):
        parse_event(raw, received_at=RECEIVED_AT)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800") | st.sampled_from([ORDER]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(CHARGE)), inner, max_size=3),
    max_leaves=5,
)
PATHS = ["id", "metadata", "metadata.payment_id", "charges", "charges.data", "currency", "charges.data.0"] + [
    f"charges.data.0.{name}" for name in [*CHARGE, "payment_method.reference"]
]


@settings(max_examples=300)
@given(st.sampled_from(["order.paid", "order.expired", "order.canceled"]), st.sampled_from(PATHS), JSON_VALUES)
def test_any_change_to_an_order_event_gives_a_sound_notice_or_is_unreadable(kind, path, value):
    subject = changed({**ORDER, "charges": {"data": {"0": CHARGE}}}, path, value) if path else value
    data = subject["charges"].get("data") if isinstance(subject["charges"], dict) else None
    if isinstance(data, dict) and "0" in data:
        subject["charges"]["data"] = [data["0"]]

    for attempt in (lambda: parse(kind, subject), lambda: parse("charge.paid", value), lambda: parse_order(subject)):
        try:
            notice = attempt()
        except UnreadableNotice:
            continue
        assert isinstance(notice, MoneyReceived | OrderClosed | CashOrder)
        if isinstance(notice, MoneyReceived):
            assert type(notice.amount) is int
            assert notice.amount > 0
            assert "\x00" not in notice.deposit_key + notice.order_id + notice.payment_id + notice.reference_number


@settings(max_examples=200)
@given(st.integers(0, 1200), st.integers(0, 5), st.binary(max_size=5))
def test_any_bytes_are_a_notice_or_unreadable(start, length, patch):
    raw = event("order.paid", ORDER)

    for body in (raw[:start] + patch + raw[start + length :], patch):
        try:
            parse_event(body, received_at=RECEIVED_AT)
        except UnreadableNotice:
            pass


def test_an_order_is_read_completely():
    assert parse_order(ORDER) == CashOrder(
        order_id="ord_2xayxSvfWzQ2TLz7r",
        charge_id="67c72196e777ac0001f2140c",
        status="paid",
        amount=15000,
        currency="MXN",
        reference="93000262276908",
        barcode_url="https://s3.amazonaws.com/barcodes/93000262276908.png",
        store_name="OXXO",
        expires_at=datetime(2025, 4, 4, 0, 0, tzinfo=UTC),
        paid_at=PAID_AT,
        payment_id=PAYMENT,
        livemode=False,
        has_money=True,
    )


def test_an_order_without_a_charge_yet_has_no_reference():
    order = parse_order(changed(ORDER, "charges", None))

    assert (order.charge_id, order.reference, order.expires_at, order.paid_at) == ("", "", None, None)


def test_a_reference_is_text_and_never_a_number():
    long = parse_order(changed(ORDER, "charges.data.0.payment_method.reference", "00001140326893401915"))
    number = parse_order(changed(ORDER, "charges.data.0.payment_method.reference", 93000262276908))

    assert parse_order(changed(ORDER, "charges.data.0.payment_method.reference", "1" * 33)).reference == ""
    assert (long.reference, number.reference) == ("00001140326893401915", "")


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ({"store_name": "OXXO"}, "OXXO"),
        ({"store_names": ["7 Eleven", "Extra"]}, "7 Eleven, Extra"),
        ({"store_name": '["7 Eleven", "Extra"]'}, "7 Eleven, Extra"),
        ({"store_name": '["7 Eleven"]', "store_names": ["Extra", 7]}, "Extra"),
        ({"store_name": "[broken", "service_name": "Cash"}, "Cash"),
        ({"store_name": "[" * 100_000}, ""),
        ({"store_name": 7}, ""),
        ({}, ""),
    ],
)
def test_the_stores_that_take_the_money_are_named(method, name):
    assert parse_order(changed(ORDER, "charges.data.0.payment_method", method)).store_name == name


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "//x", 'https://x/"onload=', "https://x/<b>", "https://ñ", 7, None]
)
def test_a_barcode_that_is_no_plain_web_address_is_left_out(url):
    assert parse_order(changed(ORDER, "charges.data.0.payment_method.barcode_url", url)).barcode_url == ""


def test_a_request_names_our_payment_in_the_order_the_item_and_the_charge():
    assert order_request(**REQUEST) == {
        "currency": "MXN",
        "customer_info": {"name": "Ana", "email": "ana@example.mx", "phone": "5555555555"},
        "line_items": [
            {"name": "Mensualidad", "unit_price": 15000, "quantity": 1, "metadata": {"payment_id": PAYMENT}}
        ],
        "charges": [
            {
                "amount": 15000,
                "reference_id": PAYMENT,
                "payment_method": {"type": "cash", "expires_at": 1743724800},
            }
        ],
        "metadata": {"payment_id": PAYMENT},
    }


def test_a_request_carries_no_empty_contact_and_always_a_description():
    request = order_request(**{**REQUEST, "customer_phone": "", "description": " \n"})

    assert request["customer_info"] == {"name": "Ana", "email": "ana@example.mx"}
    assert request["line_items"][0]["name"] == PAYMENT
    assert len(order_request(**{**REQUEST, "description": "x" * 999})["line_items"][0]["name"]) == 250


@pytest.mark.parametrize(
    "wrong",
    [{"amount": amount} for amount in (0, -1, True, 1.0, "1", 2**53)]
    + [{"payment_id": ""}, {"payment_id": "x" * 65}, {"expires_at": datetime(2025, 4, 4)}],  # noqa: DTZ001
)
def test_a_request_that_must_never_be_sent_is_refused(wrong):
    with pytest.raises(ValueError):  # noqa: PT011
        order_request(**{**REQUEST, **wrong})
