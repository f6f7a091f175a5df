"""What STP can be asked: the deposits of an operating day ("conciliación").

Wire format: STP efws, ``POST /efws/API/V2/conciliacion`` with ``empresa``, ``tipoOrden`` R (received),
``fechaOperacion`` (left out for the present day), ``page`` and ``firma``: RSA PKCS#1 v1.5 with SHA-256 over
``||empresa|tipoOrden|fechaOperacion||``, base64. A day without deposits is HTTP 400 with ``estado`` 6. Every question
is signed: only the worker asks.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from core import clock
from core.errors import OutcomeUnknown, ProviderNotContacted, ProviderRefused
from payments.providers.base import Access
from payments.providers.calls import Call, Record, unrecorded
from payments.providers.errors import UnreadableNotice, printable
from payments.providers.reading import read_object, write_record
from payments.providers.redaction import redacted, redacted_answer
from payments.providers.transport import exchange

CONNECT_SECONDS: Final = 2.0
TOTAL_SECONDS: Final = 20.0
MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024
MAX_PAGES: Final = 100
MAX_MESSAGE_LENGTH: Final = 300

ARRIVED: Final = frozenset({"LQ", "TLQ", "CCO"})
"""States of a received order whose money is ours: settled, settled within STP, confirmed."""

_NOTHING, _TOO_MANY = 6, 3
"""Values of ``estado``: no deposits; more questions than STP answers in an hour."""
# Credentials or address refused, or too many requests: nothing was done.
_TURNED_AWAY = {401, 403, 404, 405, 410, 429}
_REQUEST_TIMEOUT = 408

EFWS: Final = "efws"
"""The quota that every request to efws counts against."""


def _has_arrived(record: dict[str, Any]) -> bool:
    state = record.get("estado")
    return isinstance(state, str) and state in ARRIVED


class StpClient:
    """One company (empresa) at STP. No message and no repr ever holds the key."""

    __slots__ = ("_address", "_company", "_key", "_record")

    def __init__(
        self,
        company: str,
        private_key_pem: bytes,
        base_url: str,
        *,
        password: str = "",
        record: Record = unrecorded,
    ) -> None:
        """Raises ``ValueError`` for what is no RSA key, or a password that does not open it."""
        try:
            key = load_pem_private_key(private_key_pem, password.encode() or None)
        except (TypeError, ValueError) as error:
            raise ValueError("this is not STP's signing key, or its password is wrong") from error
        if not isinstance(key, RSAPrivateKey):
            raise ValueError("STP's signing key is an RSA key")
        self._company, self._key, self._address = company, key, base_url.rstrip("/")
        self._record = record

    def __repr__(self) -> str:
        return f"StpClient({self._company!r}, key='***')"

    def list_notices(self, since: datetime, *, today: date) -> Iterator[list[bytes]]:
        """``list_deposits`` from the day of ``since`` in Mexico City."""
        return self.list_deposits(clock.mexico_city_date(since), today)

    def list_deposits(self, first: date, today: date) -> Iterator[list[bytes]]:
        """Deposits of every day from ``first`` to ``today``, the present operating day; a list for each page.

        Raises ``ProviderNotContacted`` (no connection, or STP turned the question away), ``ProviderRefused`` or
        ``OutcomeUnknown``, also for a list that does not advance: the same page comes twice.
        """
        day = first
        while day <= today:
            yield from self._day(day, is_today=day == today)
            day += timedelta(days=1)

    def _day(self, day: date, *, is_today: bool) -> Iterator[list[bytes]]:
        seen, pages = 0, set[bytes]()
        for page in range(MAX_PAGES):
            answer = self._ask("" if is_today else f"{day:%Y%m%d}", page)
            records = answer["datos"]
            if not records:
                return
            digest = hashlib.sha256(b"".join(map(write_record, records))).digest()
            if digest in pages:
                raise OutcomeUnknown(f"STP's list of a day does not advance: page {page} was there before.")
            pages.add(digest)
            yield [write_record(record) for record in records if _has_arrived(record)]
            seen += len(records)
            total = answer.get("total")
            if not isinstance(total, int) or seen >= total:
                return
        raise OutcomeUnknown("STP lists more orders of a day than can be true.")

    def _ask(self, day: str, page: int) -> dict[str, Any]:
        question = {"empresa": self._company, "tipoOrden": "R", "page": page}
        if day:
            question["fechaOperacion"] = day
        question["firma"] = self._sign(f"||{self._company}|R|{day}||")
        call = Call("list_deposits", redacted(question), quota=EFWS)
        with self._record(call):
            status, raw = self._exchange("/efws/API/V2/conciliacion", question)
            call.status, call.answer = status, redacted_answer(raw)
            return self._understood(status, raw)

    @staticmethod
    def _understood(status: int, raw: bytes) -> dict[str, Any]:
        if status in _TURNED_AWAY:
            raise ProviderNotContacted(f"STP turned the question away before doing anything (HTTP {status}).")
        try:
            answer = read_object(raw)
        except UnreadableNotice:
            raise OutcomeUnknown(f"STP answered HTTP {status} with a body that cannot be read.") from None
        state = answer.get("estado")
        if type(state) is not int or status >= 500 or status == _REQUEST_TIMEOUT:
            raise OutcomeUnknown(f"STP answered HTTP {status} without saying what came of the question.")
        if state == 0:
            records = answer.get("datos")
            if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
                raise OutcomeUnknown("STP answered with something that is not a list of orders.")
            return answer
        if state == _NOTHING:
            return {"datos": [], "total": 0}
        if state == _TOO_MANY:
            raise ProviderNotContacted("STP was asked too often in this hour (estado 3).")
        message = printable(answer.get("mensaje"))[:MAX_MESSAGE_LENGTH]
        raise ProviderRefused(message or f"STP refused the question (HTTP {status}).", provider_code=str(state)[:20])

    def _sign(self, text: str) -> str:
        return base64.b64encode(self._key.sign(text.encode(), PKCS1v15(), SHA256())).decode()

    def _exchange(self, path: str, body: dict[str, Any]) -> tuple[int, bytes]:
        return exchange(
            "STP",
            "POST",
            self._address + path,
            headers={"Content-Type": "application/json"},
            content=json.dumps(body).encode(),
            connect_seconds=CONNECT_SECONDS,
            total_seconds=TOTAL_SECONDS,
            max_bytes=MAX_ANSWER_BYTES,
        )


def connect(access: Access) -> StpClient:
    """A client for an account. Raises ``ValueError`` without a usable signing key."""
    return StpClient(
        access.company,
        access.signing_key or b"",
        access.base_url,
        password=access.signing_password,
        record=access.record,
    )
