"""Client of Conekta's API.

Wire format: Conekta API 2.3.0 (version in the Accept header, bearer authentication, errors as
``{"object": "error", "details": [{"code", "message", …}]}``). The API has no idempotency key: after ``OutcomeUnknown``
from ``create_cash_order`` call ``find_order`` before creating again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, TypeVar
from urllib.parse import parse_qs, urlsplit

from core.errors import OutcomeUnknown, ProviderNotContacted, ProviderRefused, UnknownToProvider
from payments.providers.base import Access, CashOrder
from payments.providers.calls import Call, Record, unrecorded
from payments.providers.conekta.messages import concerns_us, order_request, parse_order, payment_id_of
from payments.providers.conekta.signature import load_public_key
from payments.providers.errors import UnreadableNotice, printable
from payments.providers.reading import read_object, write_record
from payments.providers.redaction import redacted, redacted_answer
from payments.providers.transport import exchange

T = TypeVar("T")

MAX_ANSWER_BYTES: Final = 256 * 1024
CONNECT_SECONDS: Final = 2.0
TOTAL_SECONDS: Final = 10.0
MAX_MESSAGE_LENGTH: Final = 300
EVENTS_A_PAGE: Final = 25
"""An event contains its whole order: a larger page could exceed ``MAX_ANSWER_BYTES``."""
MAX_EVENT_PAGES: Final = 400

_ACCEPT: Final = "application/vnd.conekta-v2.3.0+json"
_API_KEY = re.compile(r"[!-~]{1,200}")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
# Credentials or address refused, or too many requests: nothing was done, so it may be retried.
_TURNED_AWAY = {401, 403, 404, 405, 410, 429}
# Responses to a request for one object by its id.
_NO_SUCH_OBJECT = {404, 410}
_REQUEST_TIMEOUT = 408


def _created(event: Mapping[str, Any]) -> int:
    """Time of the event in unix seconds; later than any other if it is missing."""
    created = event.get("created_at")
    return created if type(created) is int else 1 << 60


def _cursor(listing: Mapping[str, Any]) -> str:
    """The cursor of the next page, or ""."""
    try:
        return parse_qs(urlsplit(str(listing.get("next_page_url") or "")).query).get("next", [""])[0]
    except ValueError:  # not a URL
        return ""


def _events_page(answer: dict[str, Any]) -> dict[str, Any]:
    listed = answer.get("data")
    if not isinstance(listed, list) or not all(isinstance(event, dict) for event in listed):
        raise OutcomeUnknown("Conekta answered with something that is not a list of events.")
    return answer


class ConektaClient:
    """A client for one Conekta account. Cheap to create: all clients of a process share connections.

    Every method raises ``ProviderNotContacted`` (DNS, connection or TLS failed, or 401, 403, 404, 405, 410, 429:
    nothing was done), ``ProviderRefused`` (another 4xx with an error object: final) or ``OutcomeUnknown`` (anything
    else). For a request by an order's id, 404 and 410 raise ``UnknownToProvider``, a subclass of ``ProviderRefused``.
    ``total_timeout`` limits the whole exchange except the DNS lookup. No message or repr contains the key.
    """

    __slots__ = ("_api_key", "_base_url", "_connect_timeout", "_record", "_total_timeout")

    def __init__(
        self,
        api_key: str,
        base_url: str,
        *,
        connect_timeout: float = CONNECT_SECONDS,
        total_timeout: float = TOTAL_SECONDS,
        record: Record = unrecorded,
    ) -> None:
        """Raises ``ValueError`` for an invalid key or address."""
        if not _API_KEY.fullmatch(api_key):
            raise ValueError("a Conekta key is 1 to 200 visible ASCII characters")
        if not 0 < connect_timeout <= total_timeout <= TOTAL_SECONDS:
            raise ValueError(f"timeouts: 0 < connect <= total <= {TOTAL_SECONDS:g} seconds")
        address = urlsplit(base_url)
        if address.scheme not in ("https", "http") or not address.hostname:
            raise ValueError("Conekta's address begins with https:// or http:// and names a host")
        if address.username is not None or address.query or address.fragment:
            raise ValueError("Conekta's address has no user, query or fragment")
        self._api_key = api_key
        self._base_url = base_url.rstrip("/")
        self._connect_timeout = connect_timeout
        self._total_timeout = total_timeout
        self._record = record

    def __repr__(self) -> str:
        return f"ConektaClient(api_key='***', base_url={self._base_url!r})"

    def create_cash_order(
        self,
        *,
        payment_id: str,
        amount: int,
        description: str,
        customer_name: str,
        customer_email: str,
        customer_phone: str,
        expires_at: datetime,
    ) -> CashOrder:
        """Create an order of ``amount`` centavos that can be paid in cash until ``expires_at`` (``POST /orders``).

        Raises ``OutcomeUnknown`` for a response with another amount, currency or payment, or without a reference.
        """
        request = order_request(
            payment_id=payment_id,
            amount=amount,
            description=description,
            customer_name=customer_name,
            customer_email=customer_email,
            customer_phone=customer_phone,
            expires_at=expires_at,
        )
        expected = (amount, request["currency"], payment_id)

        def read(answer: dict[str, Any]) -> CashOrder:
            order = self._order(answer)
            if (order.amount, order.currency, order.payment_id) != expected:
                raise OutcomeUnknown("Conekta answered with an order of another amount, currency or payment.")
            if not order.charge_id or not order.reference:
                raise OutcomeUnknown("Conekta answered with an order that has no reference to pay with.")
            return order

        return self._call("create_order", "POST", "/orders", body=request, read=read)

    def find_order(self, payment_id: str) -> CashOrder | None:
        """The order whose metadata holds exactly ``payment_id`` (``GET /orders?search=``); None if there is none.

        Raises ``OutcomeUnknown`` for two such orders, or for more than one page of results without it.
        """

        def read(answer: dict[str, Any]) -> CashOrder | None:
            listed = answer.get("data")
            if not isinstance(listed, list):
                raise OutcomeUnknown("Conekta answered with something that is not a list of orders.")
            found = [order for order in listed if isinstance(order, dict) and payment_id_of(order) == payment_id]
            if len(found) > 1:
                raise OutcomeUnknown("Conekta has several orders for this payment.")
            if not found and answer.get("has_more"):
                raise OutcomeUnknown("Conekta found too many orders.")
            return self._order(found[0]) if found else None

        params = {"search": payment_id, "limit": "20"}
        order = self._call("find_order", "GET", "/orders", params=params, read=read)
        return order if order is None or order.charge_id else self.get_order(order.order_id)

    def get_order(self, order_id: str) -> CashOrder:
        """The current order (``GET /orders/{id}``).

        Raises ``UnknownToProvider`` if Conekta has none with this id, ``ValueError`` for an invalid id.
        """
        return self._one_order("get_order", "GET", order_id)

    def list_notices(self, since: datetime, *, today: date) -> Iterator[list[bytes]]:
        """As ``list_events``."""
        return self.list_events(since)

    def list_events(self, since: datetime) -> Iterator[list[bytes]]:
        """Raw relevant events since a time, newest first, one list per page (``GET /events``).

        Raises ``OutcomeUnknown`` for a list that does not advance (a repeated cursor, or none although there is more)
        or has more than ``MAX_EVENT_PAGES``.
        """
        params, seen = {"limit": str(EVENTS_A_PAGE)}, set[str]()
        for _ in range(MAX_EVENT_PAGES):
            answer = self._call("list_events", "GET", "/events", params=params, read=_events_page)
            listed = answer["data"]
            recent = [event for event in listed if _created(event) >= since.timestamp()]
            yield [write_record(event) for event in recent if concerns_us(event)]
            if not answer.get("has_more") or len(recent) < len(listed):
                return
            following = _cursor(answer)
            if not following or following in seen:
                raise OutcomeUnknown("Conekta's list of events does not advance: the same cursor again, or none.")
            seen.add(following)
            params = {**params, "next": following}
        raise OutcomeUnknown("Conekta lists more events than can be read at once.")

    def cancel_order(self, order_id: str) -> CashOrder:
        """Cancel a pending order (``POST /orders/{id}/cancel``). Raises ``ProviderRefused`` if it is not pending.

        ``UnknownToProvider`` and ``ValueError`` as for ``get_order``.
        """
        return self._one_order("cancel_order", "POST", order_id, "/cancel")

    def create_webhook_key(self) -> str:
        """Create a key pair with which Conekta signs events (``POST /webhook_keys``); returns the public key (PEM)."""

        def read(answer: dict[str, Any]) -> str:
            pem = answer.get("public_key")
            try:
                load_public_key(pem if isinstance(pem, str) else "")
            except ValueError as error:
                raise OutcomeUnknown(f"Conekta answered without a usable public key: {error}.") from error
            return str(pem)

        return self._call("create_webhook_key", "POST", "/webhook_keys", body={"active": True}, read=read)

    def register_webhook(self, url: str, events: Sequence[str]) -> str:
        """Register ``url`` for ``events`` (``POST /webhooks``); returns the webhook's id."""

        def read(answer: dict[str, Any]) -> str:
            webhook_id = answer.get("id")
            if not isinstance(webhook_id, str) or not _ID.fullmatch(webhook_id):
                raise OutcomeUnknown("Conekta answered without the webhook's id.")
            return webhook_id

        body = {"url": url, "subscribed_events": list(events)}
        return self._call("register_webhook", "POST", "/webhooks", body=body, read=read)

    def _one_order(self, operation: str, method: str, order_id: str, action: str = "") -> CashOrder:
        if not _ID.fullmatch(order_id):
            raise ValueError("an order's id is letters, digits, - and _")
        body: dict[str, Any] | None = {} if method == "POST" else None

        def read(answer: dict[str, Any]) -> CashOrder:
            order = self._order(answer)
            if order.order_id != order_id:
                raise OutcomeUnknown("Conekta answered with another order.")
            return order

        return self._call(operation, method, f"/orders/{order_id}{action}", body=body, read=read, about_one=True)

    def _order(self, data: Mapping[str, Any]) -> CashOrder:
        try:
            return parse_order(data)
        except UnreadableNotice as error:
            raise OutcomeUnknown(f"Conekta answered with an order that cannot be read: {error.message}") from error

    def _call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        read: Callable[[dict[str, Any]], T],
        params: dict[str, str] | None = None,
        body: dict[str, Any] | None = None,
        about_one: bool = False,
    ) -> T:
        """Send a request and parse the JSON response with ``read``. ``about_one``: ``path`` names one object."""
        asked = {"method": method, "path": path, "params": params, "body": body}
        call = Call(operation, redacted({name: value for name, value in asked.items() if value}))
        with self._record(call):
            status, raw = self._exchange(method, path, params, body)
            call.status, call.answer = status, redacted_answer(raw).replace(self._api_key, "***")
            return read(self._understood(status, raw, about_one=about_one))

    def _understood(self, status: int, raw: bytes, *, about_one: bool) -> dict[str, Any]:
        if about_one and status in _NO_SUCH_OBJECT:
            raise UnknownToProvider(f"Conekta has no such object (HTTP {status}).")
        if status in _TURNED_AWAY:
            raise ProviderNotContacted(f"Conekta rejected the request before processing it (HTTP {status}).")
        try:
            answer = read_object(raw)
        except UnreadableNotice:
            raise OutcomeUnknown(f"Conekta answered HTTP {status} with a body that cannot be read.") from None
        if 200 <= status < 300 and answer.get("object") != "error":
            return answer
        if 400 <= status < 500 and status != _REQUEST_TIMEOUT and answer.get("object") == "error":
            raise self._refusal(status, answer)
        raise OutcomeUnknown(f"Conekta answered HTTP {status}.")

    def _exchange(
        self, method: str, path: str, params: dict[str, str] | None, body: dict[str, Any] | None
    ) -> tuple[int, bytes]:
        return exchange(
            "Conekta",
            method,
            self._base_url + path,
            headers=self._headers(),
            content=None if body is None else json.dumps(body).encode(),
            params=params,
            connect_seconds=self._connect_timeout,
            total_seconds=self._total_timeout,
            max_bytes=MAX_ANSWER_BYTES,
        )

    def _headers(self) -> dict[str, str]:
        return {
            "Accept": _ACCEPT,
            "Accept-Language": "es",
            "Authorization": f"Bearer {self._api_key}",
            "Content-Type": "application/json",
            "User-Agent": "payments-back-office",
        }

    def _refusal(self, status: int, answer: Mapping[str, Any]) -> ProviderRefused:
        """The first error of Conekta's response, without the key in case it is quoted there."""
        details = answer.get("details")
        detail = details[0] if isinstance(details, list) and details and isinstance(details[0], dict) else {}
        code = self._printable(detail.get("code")) or self._printable(answer.get("type"))
        message = self._printable(detail.get("message")) or self._printable(detail.get("debug_message"))
        return ProviderRefused(message or f"Conekta refused the request (HTTP {status}).", provider_code=code)

    def _printable(self, text: Any) -> str:
        return printable(text).replace(self._api_key, "***")[:MAX_MESSAGE_LENGTH]


def connect(access: Access) -> ConektaClient:
    """A client for an account. Raises ``ValueError`` for an invalid key or address."""
    return ConektaClient(access.credentials.get("api_key", ""), access.base_url, record=access.record)
