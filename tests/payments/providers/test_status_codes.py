"""The meaning of each HTTP status of a provider for each request."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from core.errors import OutcomeUnknown, ProviderError, ProviderNotContacted, ProviderRefused, UnknownToProvider
from payments.providers.stp.client import StpClient
from tests.factories.conekta import PAYMENT, REFUSAL, REQUEST
from tests.payments.providers.http_server import replies

CONEKTA = {
    "create": lambda client: client.create_cash_order(**REQUEST),
    "find": lambda client: client.find_order(PAYMENT),
    "events": lambda client: list(client.list_events(datetime(2026, 1, 1, tzinfo=UTC))),
    "webhook key": lambda client: client.create_webhook_key(),
    "webhook": lambda client: client.register_webhook("https://pay.example/hooks", ["order.paid"]),
    "read": lambda client: client.get_order("ord_1"),
    "cancel": lambda client: client.cancel_order("ord_1"),
}
ABOUT_ONE = ("read", "cancel")
TURNED_AWAY, REFUSED = (401, 403, 405, 429), (400, 402, 406, 409, 415, 422, 428)
UNKNOWN = (301, 302, 408, 500, 502, 503, 504)


def outcome(ask: Any, client: Any) -> type[ProviderError]:
    with pytest.raises(ProviderError) as raised:
        ask(client)
    return type(raised.value)


@pytest.mark.parametrize("question", CONEKTA)
def test_each_status_of_conekta_means_what_the_table_says(server, client, question):
    gone = UnknownToProvider if question in ABOUT_ONE else ProviderNotContacted
    wanted = {
        **dict.fromkeys(TURNED_AWAY, ProviderNotContacted),
        **dict.fromkeys(REFUSED, ProviderRefused),
        **dict.fromkeys(UNKNOWN, OutcomeUnknown),
        404: gone,
        410: gone,
    }
    found = {}

    for status in wanted:
        server.answer = replies(status, REFUSAL)
        found[status] = outcome(CONEKTA[question], client)

    assert found == wanted
    assert len(server.requests) == len(wanted)  # nothing is repeated by itself


@pytest.mark.parametrize("question", CONEKTA)
@pytest.mark.parametrize("body", [b"", b"<html>", {"message": "no"}])
def test_a_status_without_conektas_explanation_refuses_nothing(server, client, question, body):
    gone = UnknownToProvider if question in ABOUT_ONE else ProviderNotContacted
    wanted = {404: gone, 410: gone, 405: ProviderNotContacted, 409: OutcomeUnknown, 422: OutcomeUnknown}
    found = {}

    for status in wanted:
        server.answer = replies(status, body)
        found[status] = outcome(CONEKTA[question], client)

    assert found == wanted


@pytest.fixture(scope="module")
def stp_key() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


@pytest.fixture
def stp_client(server, stp_key) -> StpClient:
    return StpClient("EMPRESA", stp_key, server.address)


def ask_stp(client: StpClient) -> list[list[bytes]]:
    return list(client.list_deposits(date(2026, 11, 27), date(2026, 11, 27)))


def test_each_status_of_stp_means_what_the_table_says(server, stp_client):
    table = [
        *[(status, {"estado": 2, "mensaje": "no"}, ProviderNotContacted) for status in (401, 403, 404, 405, 410, 429)],
        *[(status, {"estado": 2, "mensaje": "no"}, ProviderRefused) for status in (200, 400, 409, 422)],
        *[(status, {"estado": 0, "datos": [], "total": 0}, OutcomeUnknown) for status in (408, 500, 502, 503)],
        *[(status, body, OutcomeUnknown) for status in (200, 400, 422) for body in (b"<html>", {"message": "no"})],
        (400, {"estado": 3, "mensaje": "Limite"}, ProviderNotContacted),
        (200, {"estado": "0"}, OutcomeUnknown),
        (200, {"estado": False, "datos": []}, OutcomeUnknown),
    ]
    found = []

    for status, body, _ in table:
        server.answer = replies(status, body)
        found.append((status, body, outcome(ask_stp, stp_client)))

    assert found == table


def test_words_of_stp_that_no_database_could_store_are_left_out(server, stp_client):
    server.answer = replies(400, b'{"estado": 2, "mensaje": "a\\u0000b\\nc' + b"x" * 400 + b'"}')

    with pytest.raises(ProviderRefused) as refused:
        ask_stp(stp_client)

    assert refused.value.message == ("a b c" + "x" * 400)[:300]


EVENT = {"id": "e", "type": "order.paid", "created_at": 1_790_000_000}


def pages(*cursors: str | None) -> Any:
    """A list of events whose pages point to these cursors, the last one for ever."""
    left = list(cursors)

    def answer(handler: Any) -> None:
        cursor = left.pop(0) if len(left) > 1 else left[0]
        following = None if cursor is None else f"https://api.conekta.io/events?limit=25&next={cursor}"
        handler.reply(200, {"object": "list", "has_more": True, "data": [EVENT], "next_page_url": following})

    return answer


@pytest.mark.parametrize(
    ("cursors", "asked"),
    [
        (["a"], 2),
        (["a", "b", "a"], 3),
        (["a", "b", "c", "b"], 4),
        ([None], 1),
        (["a", None], 2),
        (["", "a"], 1),
    ],
)
def test_a_list_of_events_that_does_not_advance_ends_with_an_error(server, client, cursors, asked):
    server.answer = pages(*cursors)

    with pytest.raises(OutcomeUnknown, match="does not advance"):
        list(client.list_events(datetime(2026, 1, 1, tzinfo=UTC)))

    assert len(server.requests) == asked


def test_an_invalid_url_of_the_next_page_is_an_error(server, client):
    body = {"object": "list", "has_more": True, "data": [EVENT], "next_page_url": "http://[x"}
    server.answer = replies(200, body)

    with pytest.raises(OutcomeUnknown, match="does not advance"):
        list(client.list_events(datetime(2026, 1, 1, tzinfo=UTC)))

    assert len(server.requests) == 1


def record(number: int) -> dict[str, Any]:
    return {"estado": "LQ", "claveRastreo": f"K{number}", "monto": 1.5}


@pytest.mark.parametrize(("numbers", "asked"), [([1, 1], 2), ([1, 2, 1], 3), ([1, 2, 3, 3], 4)])
def test_a_day_of_stp_whose_pages_repeat_ends_with_an_error(server, stp_client, numbers, asked):
    left = list(numbers)

    def answer(handler: Any) -> None:
        number = left.pop(0) if len(left) > 1 else left[0]
        handler.reply(200, {"estado": 0, "datos": [record(number)], "total": 1_000})

    server.answer = answer

    with pytest.raises(OutcomeUnknown, match="does not advance"):
        ask_stp(stp_client)

    assert len(server.requests) == asked


def test_lists_that_advance_are_read_to_their_end(server, client, stp_client):
    cursors = iter(["a", "b", None])

    def events(handler: Any) -> None:
        cursor = next(cursors)
        following = f"/events?next={cursor}" if cursor else None
        handler.reply(200, {"has_more": bool(cursor), "data": [EVENT], "next_page_url": following})

    server.answer = events
    assert len(list(client.list_events(datetime(2026, 1, 1, tzinfo=UTC)))) == 3

    numbers = iter(range(3))
    server.answer = lambda handler: handler.reply(200, {"estado": 0, "datos": [record(next(numbers))], "total": 3})
    assert len(ask_stp(stp_client)) == 3
