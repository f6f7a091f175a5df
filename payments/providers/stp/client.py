"""STP client of one company: lists deposits and sent orders, sends orders, queries them, and registers CLABEs.

Wire formats: STP speiws (``ordenPago/registra``, ``cuentaModule``) and efws (``V2/conciliacion``, ``consultaOrden``,
``consultaSaldoCuenta``). For the current operating day efws requires ``fechaOperacion`` to be absent. It answers "none"
with HTTP 400 and ``estado`` 6. Every request is signed: only the worker's lane ``providers`` holds the key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any, Final, TypeVar

from core import clock
from core.errors import OutcomeUnknown, ProviderNotContacted, ProviderRefused
from core.money import pesos_to_centavos
from payments.providers.base import Access
from payments.providers.calls import Call, Outcome, Record, unrecorded
from payments.providers.errors import UnreadableNotice, printable
from payments.providers.payout import (
    Balance,
    ClabeHolder,
    OrderState,
    OutgoingOrder,
    RegistrationResult,
    SendReason,
    SendResult,
)
from payments.providers.reading import read_object, write_record
from payments.providers.redaction import redacted, redacted_answer
from payments.providers.stp import registration
from payments.providers.stp.payout import read_sent, read_state, to_json, write_order
from payments.providers.stp.signing import order_text, signer, text_of
from payments.providers.stp.status import REQUEST_TIMEOUT, TURNED_AWAY
from payments.providers.transport import exchange

CONNECT_SECONDS: Final = 2.0
SEND_SECONDS: Final = 10.0
LIST_SECONDS: Final = 20.0
MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024
MAX_PAGES: Final = 100
MAX_MESSAGE_LENGTH: Final = 300

ARRIVED: Final = frozenset({"LQ", "TLQ", "CCO"})
"""States of a received order whose money is ours: settled, settled within STP, confirmed."""

RECEIVED, SENT = "R", "E"
"""tipoOrden: received or sent orders."""

_NOTHING, _TOO_MANY = 6, 3
"""Values of ``estado``: no such order; the hourly limit of requests is exceeded."""

EFWS: Final = "efws"
"""The quota that every request to efws counts against."""

T = TypeVar("T")


class StpClient:
    """One company (empresa) at STP. Neither messages nor reprs contain the key."""

    __slots__ = ("_company", "_orders_url", "_record", "_signer", "_url")

    def __init__(
        self,
        company: str,
        private_key_pem: bytes,
        base_url: str,
        *,
        password: str = "",
        record: Record = unrecorded,
        orders_url: str = "",
    ) -> None:
        """``orders_url``: the address of speiws, if it differs from ``base_url``, as in STP's demo.

        Raises ``ValueError`` if the key is not an RSA key or the password is wrong.
        """
        self._company, self._signer, self._record = company, signer(private_key_pem, password), record
        self._url = base_url.rstrip("/")
        self._orders_url = orders_url.rstrip("/") or self._url

    def __repr__(self) -> str:
        return f"StpClient({self._company!r}, key='***')"

    def list_notices(self, since: datetime, *, today: date) -> Iterator[list[bytes]]:
        """``list_deposits`` from the day of ``since`` in Mexico City."""
        return self.list_deposits(clock.mexico_city_date(since), today)

    def list_deposits(self, first: date, today: date) -> Iterator[list[bytes]]:
        """Deposits of every day from ``first`` to ``today``, the current operating day; one list per page.

        Raises ``ProviderNotContacted`` (no connection, or STP's gateway rejected the request), ``ProviderRefused`` or
        ``OutcomeUnknown``, also for a list that does not advance or ends early.
        """
        day = first
        while day <= today:
            for records in self._list("list_deposits", RECEIVED, _written(day, today)):
                yield [write_record(record) for record in records if _has_arrived(record)]
            day += timedelta(days=1)

    def list_sent(self, day: date, *, today: date) -> Iterator[list[OrderState]]:
        """``PayoutClient.list_sent``."""
        for records in self._list("list_payouts", SENT, _written(day, today)):
            try:
                yield [read_state(record) for record in records]
            except UnreadableNotice:
                raise OutcomeUnknown("STP lists an order without a tracking key.") from None

    def find_sent(self, tracking_key: str, operating_date: date, *, today: date) -> OrderState | None:
        """``PayoutClient.find_sent``."""
        day = _written(operating_date, today)
        question = {"empresa": self._company, "claveRastreo": tracking_key, "tipoOrden": SENT} | day
        signed = (self._company, tracking_key, SENT, day.get("fechaOperacion"))
        answer = self._ask("find_payout", "/efws/API/consultaOrden", question, signed, _order)
        if answer is None:
            return None
        if answer.tracking_key != tracking_key or answer.operating_date not in (None, operating_date):
            raise OutcomeUnknown("STP answered about another order than the one that was asked for.")
        return answer

    def balance(self, clabe: str) -> Balance:
        """``PayoutClient.balance``."""
        question = {"empresa": self._company, "cuentaOrdenante": clabe}
        signed = (self._company, clabe, None)
        answer = self._ask("read_balance", "/efws/API/consultaSaldoCuenta", question, signed, _balance)
        if answer is None:
            raise OutcomeUnknown("STP has no balance of this account.")
        return answer

    def send(self, order: OutgoingOrder) -> SendResult:
        """``PayoutClient.send``."""
        body = write_order(self._company, order)
        content = body | {"firma": self._signer.sign(order_text(body))}
        call = Call("send_payout", redacted(content))
        try:
            with self._record(call):
                result = read_sent(*self._exchange(call, "PUT", "/speiws/rest/ordenPago/registra", content))
                call.outcome = result.outcome
        except ProviderNotContacted as error:
            return SendResult(Outcome.NOT_SENT, SendReason.UNREACHABLE, detail=error.message)
        except OutcomeUnknown as error:
            return SendResult(Outcome.UNKNOWN, SendReason.ANSWER_LOST, detail=error.message)
        return replace(result, raw=call.answer)

    def register_clabe(self, clabe: str, holder: ClabeHolder) -> RegistrationResult:
        """``PayoutClient.register_clabe``."""
        body = registration.write_registration(self._company, clabe, holder)
        return self._change_clabe("register_clabe", "PUT", holder, body)

    def remove_clabe(self, clabe: str, holder: ClabeHolder) -> RegistrationResult:
        """``PayoutClient.remove_clabe``."""
        body = registration.write_removal(self._company, clabe, holder)
        return self._change_clabe("remove_clabe", "DELETE", holder, body)

    def _change_clabe(
        self, operation: str, method: str, holder: ClabeHolder, body: dict[str, Any]
    ) -> RegistrationResult:
        text = text_of((self._company, body["cuenta"], body["rfcCurp"]))
        content = body | {"firma": self._signer.sign(text)}
        call = Call(operation, redacted(content))
        try:
            with self._record(call):
                status, raw = self._exchange(call, method, registration.path(holder), content)
                result = registration.read_registered(status, raw, removing=method == "DELETE")
                call.outcome = result.outcome
        except ProviderNotContacted as error:
            return RegistrationResult(Outcome.NOT_SENT, detail=error.message)
        except OutcomeUnknown as error:
            return RegistrationResult(Outcome.UNKNOWN, detail=error.message)
        return replace(result, raw=call.answer)

    def _list(self, operation: str, kind: str, day: dict[str, str]) -> Iterator[list[dict[str, Any]]]:
        """All records of one day, page by page."""
        seen, expected, pages = 0, 0, set[bytes]()
        signed = (self._company, kind, day.get("fechaOperacion"))
        for page in range(MAX_PAGES):
            question = {"empresa": self._company, "tipoOrden": kind, "page": page} | day
            answer = self._ask(operation, "/efws/API/V2/conciliacion", question, signed, _page)
            records, total = answer or ([], 0)
            expected = max(expected, total or 0)
            if not records:
                if seen < expected:
                    raise OutcomeUnknown(f"STP's list of a day ends after {seen} of {expected} orders.")
                return
            digest = hashlib.sha256(b"".join(map(write_record, records))).digest()
            if digest in pages:
                raise OutcomeUnknown(f"STP's list of a day does not advance: page {page} was there before.")
            pages.add(digest)
            yield records
            seen += len(records)
            if total is None and kind == SENT:
                raise OutcomeUnknown("STP does not say how many orders it sent that day.")
            if total is None or seen >= expected:
                return
        raise OutcomeUnknown("STP lists more orders of a day than can be true.")

    def _ask(
        self,
        operation: str,
        path: str,
        question: Mapping[str, Any],
        signed: tuple[str | None, ...],
        read: Callable[[dict[str, Any]], T],
    ) -> T | None:
        """One request to efws; None if STP has no such record."""
        content = {**question, "firma": self._signer.sign(text_of(signed))}
        call = Call(operation, redacted(content), quota=EFWS)
        with self._record(call):
            answer = _understood(*self._exchange(call, "POST", path, content))
            return None if answer is None else read(answer)

    def _exchange(self, call: Call, method: str, path: str, content: Mapping[str, Any]) -> tuple[int, bytes]:
        status, raw = exchange(
            "STP",
            method,
            (self._orders_url if path.startswith("/speiws") else self._url) + path,
            headers={"Content-Type": "application/json"},
            content=to_json(content),
            connect_seconds=CONNECT_SECONDS,
            total_seconds=LIST_SECONDS if call.operation.startswith("list") else SEND_SECONDS,
            max_bytes=MAX_ANSWER_BYTES,
        )
        call.status, call.answer = status, redacted_answer(raw)
        return status, raw


def connect(access: Access) -> StpClient:
    """A client for an account. Raises ``ValueError`` without a usable signing key."""
    return StpClient(
        access.company,
        access.signing_key or b"",
        access.base_url,
        password=access.signing_password,
        record=access.record,
        orders_url=access.orders_url,
    )


def _written(day: date, today: date) -> dict[str, str]:
    return {} if day == today else {"fechaOperacion": f"{day:%Y%m%d}"}


def _has_arrived(record: dict[str, Any]) -> bool:
    state = record.get("estado")
    return isinstance(state, str) and state in ARRIVED


def _understood(status: int, raw: bytes) -> dict[str, Any] | None:
    """An answer of efws; None if STP has no such record."""
    if status in TURNED_AWAY:
        raise ProviderNotContacted(f"STP turned the question away before doing anything (HTTP {status}).")
    try:
        answer = read_object(raw)
    except UnreadableNotice:
        raise OutcomeUnknown(f"STP answered HTTP {status} with a body that cannot be read.") from None
    state = answer.get("estado")
    if type(state) is not int or status >= 500 or status == REQUEST_TIMEOUT:
        raise OutcomeUnknown(f"STP answered HTTP {status} without saying what came of the question.")
    if state == 0:
        return answer
    if state == _NOTHING:
        return None
    if state == _TOO_MANY:
        raise ProviderNotContacted("STP was asked too often in this hour (estado 3).")
    message = printable(answer.get("mensaje"))[:MAX_MESSAGE_LENGTH]
    raise ProviderRefused(message or f"STP refused the question (HTTP {status}).", provider_code=str(state)[:20])


def _page(answer: dict[str, Any]) -> tuple[list[dict[str, Any]], int | None]:
    records, total = answer.get("datos"), answer.get("total")
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise OutcomeUnknown("STP answered with something that is not a list of orders.")
    return records, total if type(total) is int else None


def _order(answer: dict[str, Any]) -> OrderState:
    record = answer.get("respuesta")
    try:
        return read_state(record if isinstance(record, dict) else {})
    except UnreadableNotice:
        raise OutcomeUnknown("STP answered with something that is not an order.") from None


def _balance(answer: dict[str, Any]) -> Balance:
    """STP's figures are in the answer itself or in ``respuesta``: both occur."""
    inner = answer.get("respuesta")
    figures = inner if isinstance(inner, dict) else answer
    try:
        return Balance(pesos_to_centavos(figures["saldo"]), pesos_to_centavos(figures["cargosPendientes"]))
    except (KeyError, TypeError, ValueError):
        raise OutcomeUnknown("STP answered with something that is not a balance.") from None
