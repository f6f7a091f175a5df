"""STP's states of sent orders: stored and answered."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta

import pytest
import time_machine

from core import clock
from tests.problems import assert_problem, rows
from webhooks.models import ProviderEvent

pytestmark = pytest.mark.django_db

RECEIVED = (200, b'{"mensaje":"recibido"}')


def tell(stp, body, *, secret=None):
    credentials = base64.b64encode(f"{stp.username}:{secret or stp.secret}".encode()).decode()
    return stp.client.post(
        "/webhooks/stp/orders",
        body if isinstance(body, bytes) else json.dumps(body),
        content_type="application/json",
        headers={"Authorization": f"Basic {credentials}"},
    )


def identity(number, said, written=""):
    if said == "unknown":
        said += ":" + hashlib.sha256(written.casefold().encode()).hexdigest()[:12]
    return f"order:{number}:{said}:{clock.mexico_city_date(clock.now()):%Y%m%d}"


def told(answer):
    return answer.status_code, answer.content


@pytest.mark.parametrize(
    ("written", "state"),
    [
        ("LIQUIDACION", "settled"),
        ("Liquidación", "settled"),
        ("Éxito", "settled"),
        ("Success", "settled"),
        ("Refund", "returned"),
        ("Cancel", "cancelled"),
        ("Decline", "cancelled"),
        ("DEVOLUCION", "returned"),
        ("devuelta", "returned"),
        ("CANCELADA", "cancelled"),
        ("Algo nuevo", "unknown"),
    ],
)
def test_a_state_is_stored_in_our_words_and_answered(stp, written, state):
    before = rows()
    body = {"id": 21784922, "empresa": "E", "folioOrigen": "po_1", "estado": written, "causaDevolucion": ""}

    assert told(tell(stp, body)) == RECEIVED

    assert rows() == {**before, "webhooks_providerevent": 1}
    event = ProviderEvent.objects.get()
    assert (event.channel, event.event_type, event.event_id, event.business_key) == (
        "stp.orders",
        f"stp.order.{state}",
        identity(21784922, state, written),
        "21784922",
    )
    assert (event.status, event.reason) == ("ignored", "unmatched: no payout has this order")


def test_a_repeated_state_is_one_event_and_another_state_is_another(stp):
    first = {"id": 7, "estado": "LIQUIDACION", "tsLiquidacion": "1634919027297"}

    answers = [told(tell(stp, body)) for body in (first, first, {"id": "7", "estado": "Liquidada"})]
    answers.append(told(tell(stp, {"id": 7, "estado": "DEVOLUCION", "causaDevolucion": 3})))

    assert answers == [RECEIVED] * 4
    assert list(ProviderEvent.objects.order_by("pk").values_list("event_id", flat=True)) == [
        identity(7, "settled"),
        identity(7, "returned:3"),
    ]


def test_a_state_of_another_day_and_each_unknown_spelling_are_messages_of_their_own(stp):
    """A forged or early notice must not make a true one look like its repetition."""
    returned = {"id": 7, "estado": "DEVOLUCION", "causaDevolucion": 3}
    for body in (returned, {"id": 7, "estado": "CCR"}, {"id": 7, "estado": "CCE"}, {"id": 7, "estado": "ccr"}):
        tell(stp, body)
    with time_machine.travel(clock.now() + timedelta(days=2)):
        tell(stp, returned)

    assert ProviderEvent.objects.count() == 4


@pytest.mark.parametrize("body", [b"not json", b"{}", b'{"id": 1}', b'{"id": "x", "estado": "L"}', b'{"estado": 1}'])
def test_what_cannot_be_read_is_kept_for_another_try_and_answered(stp, body):
    assert told(tell(stp, body)) == RECEIVED

    event = ProviderEvent.objects.get()
    assert (event.status, event.event_type, event.body) == ("retry", "stp.order.unreadable", body)
    assert event.last_error.startswith("unreadable: ")


def test_a_state_without_the_secret_is_not_believed(stp):
    before = rows()

    assert_problem(tell(stp, {"id": 7, "estado": "LIQUIDACION"}, secret="wrong"), 401, "invalid_signature")

    assert rows() == before
