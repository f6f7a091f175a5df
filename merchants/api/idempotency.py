"""Idempotent POST requests by the Idempotency-Key header.

The key's row commits together with the effect and the response. A concurrent equal request waits up to ``WAIT_SECONDS``
for the response and replays it: it waits for a single transaction by the lock on the key, for a two-phase creation by
polling without holding a database connection. A refusal by a business rule (422) is stored too: its effect is rolled
back, the response is kept. Invalid requests, missing rights, conflicts with a temporary state and internal errors are
not stored: nothing was written and the key stays unused.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from http import HTTPStatus
from time import monotonic, sleep
from typing import Any, TypeVar, cast

from django.db import OperationalError, connection
from django.http import HttpResponse
from rest_framework.request import Request

from core.api.errors import CONTENT_TYPE, problem
from core.errors import (
    FieldError,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    InvalidRequest,
    PaymentsError,
)
from core.unit_of_work import unit_of_work
from core.writes import Writes
from merchants.api.views import MerchantView
from merchants.models import IdempotencyKey
from merchants.services import idempotency_key
from merchants.services.idempotency_key import KeyedRequest

T = TypeVar("T")

WAIT_SECONDS = 2.0
"""How long a concurrent equal request waits for the response of the first one."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 0.25
"""Seconds between two polls of a key in progress: doubled each time, up to the longest."""

_SHAPE = re.compile(r"[A-Za-z0-9_\-:.]{1,255}\Z")


def run_once(
    view: MerchantView,
    request: Request,
    *,
    create: Callable[[], T],
    find: Callable[[str], T],
    public_id: Callable[[T], str],
    render: Callable[[T], dict[str, Any]],
    finish: Callable[[T, bool], T] | None = None,
    reveal: Callable[[T], dict[str, Any]] | None = None,
    has_body: bool = True,
    status: int = 201,
) -> HttpResponse:
    """Execute the request once; a repeated request gets the same bytes with ``Idempotent-Replayed: true``.

    ``create`` reads, decides, and calls services, whose changes join the unit of work: key, effect and response are
    written by one statement, which claims the key first and writes nothing if it was claimed before. Any other write
    raises ``core.write_guard.WriteBesideUnit``.
    ``finish``, if given, runs afterwards, outside any transaction (it calls a provider). Its second argument is True if
    an earlier request already started it and may have reached the provider. ``find`` loads an object by public id.
    ``reveal`` gives fields that only the first response has, such as a secret: they are not stored. ``has_body``: False
    for operations that ignore the body.

    Raises ``InvalidRequest`` for a missing or malformed key, ``IdempotencyKeyReused`` if the key was used with another
    method, path or body, ``IdempotencyInProgress`` if the first request still runs after ``WAIT_SECONDS``, and the
    refusals of ``create``.
    """
    keyed = _keyed_request(view, request, _key(request), has_body=has_body)
    until = monotonic() + WAIT_SECONDS
    try:
        with _claiming() as writes:
            obj = create()
            answer = _json(render(obj)) if finish is None else ""
            idempotency_key.claim(
                writes, keyed, public_id(obj), status=status if finish is None else None, answer=answer
            )
    except PaymentsError as error:
        if (stored := _store_refusal(keyed, error)) is not None:
            return stored
        row_id = None
    else:
        row_id = writes.condition_id
    begun_before = row_id is None
    if row_id is None:
        record = _existing(keyed)
        if finish is None or not idempotency_key.take_over(record):
            return _replay(_completed(record, until))
        row_id, obj = record.pk, find(record.object_id)
    if finish is not None:
        obj = finish(obj, begun_before)
        answer = _json(render(obj))
        if not idempotency_key.complete(row_id, status, answer, public_id(obj)):
            return _replay(_existing(keyed))
    if reveal is not None:
        answer = _json({**render(obj), **reveal(obj)})
    return _answer(status, answer)


def stored_response(view: MerchantView, request: Request) -> HttpResponse | None:
    """The stored response of exactly this request, or None.

    For a repeated request that is no longer valid, for example because a time in it has passed. Raises
    ``IdempotencyInProgress`` if the first request still runs after ``WAIT_SECONDS``.
    """
    key = _header(request)
    if not is_key(key):
        return None
    record = idempotency_key.find(view.merchant, livemode=view.livemode, key=key)
    if record is None or not _keyed_request(view, request, key).matches(record) or idempotency_key.is_abandoned(record):
        return None
    return _replay(_completed(record, monotonic() + WAIT_SECONDS))


def unquoted(text: str) -> str:
    """An Idempotency-Key without the optional quotation marks (an RFC 8941 string)."""
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def is_key(text: str) -> bool:
    """True if ``text`` is a well-formed Idempotency-Key."""
    return bool(_SHAPE.match(text))


@contextmanager
def _claiming() -> Iterator[Writes]:
    """A unit of work that claims a key. Raises ``IdempotencyInProgress`` if an equal request takes too long."""
    try:
        with unit_of_work(keyed=True) as writes:
            yield writes
    except OperationalError as error:
        if idempotency_key.is_lock_timeout(error):
            raise IdempotencyInProgress from error
        raise


def _store_refusal(keyed: KeyedRequest, error: PaymentsError) -> HttpResponse | None:
    """Store and return a refusal by a business rule (422); None if an equal request came first.

    Raises ``error`` if it is not stored and the key is unused.
    """
    if error.http_status != HTTPStatus.UNPROCESSABLE_ENTITY or isinstance(error, InvalidRequest):
        if _record(keyed) is None:
            raise error
        return None
    answer = _json(problem(error, instance=keyed.path))
    with _claiming() as writes:
        idempotency_key.claim(writes, keyed, "", status=error.http_status, answer=answer)
    return None if writes.condition_id is None else _answer(error.http_status, answer)


def _existing(keyed: KeyedRequest) -> IdempotencyKey:
    record = _record(keyed)
    if record is None:  # thirty days old, and deleted concurrently
        raise IdempotencyInProgress
    return record


def _completed(record: IdempotencyKey, until: float) -> IdempotencyKey:
    """``record`` once it has a response. Raises ``IdempotencyInProgress`` at ``until`` (monotonic clock)."""
    pause = _FIRST_PAUSE
    while record.state != IdempotencyKey.State.COMPLETED:
        if monotonic() >= until:
            raise IdempotencyInProgress
        connection.close()  # back to the pool: the first request may need one
        sleep(min(pause, max(0.0, until - monotonic())))
        pause = min(2 * pause, _LONGEST_PAUSE)
        found = IdempotencyKey.objects.filter(pk=record.pk).first()
        if found is None:  # deleted concurrently
            raise IdempotencyInProgress
        record = found
    return record


def _record(keyed: KeyedRequest) -> IdempotencyKey | None:
    """The key's row, or None. Raises ``IdempotencyKeyReused`` if a different request used the key."""
    record = idempotency_key.find(keyed.merchant, livemode=keyed.livemode, key=keyed.key)
    if record is not None and not keyed.matches(record):
        message = "This differs from the first request with this Idempotency-Key."
        fields = keyed.differing_fields(record) if keyed.path == record.path else []
        raise IdempotencyKeyReused(errors=[FieldError(name[:100], "differs", message) for name in fields])
    return record


def _replay(record: IdempotencyKey) -> HttpResponse:
    response = _answer(record.response_status or HTTPStatus.INTERNAL_SERVER_ERROR, record.response_body)
    response["Idempotent-Replayed"] = "true"
    return response


def _answer(status: int, body: str) -> HttpResponse:
    return HttpResponse(body, status=status, content_type=CONTENT_TYPE if status >= 400 else "application/json")


def _header(request: Request) -> str:
    return unquoted(request.headers.get("Idempotency-Key", ""))


def _key(request: Request) -> str:
    key = _header(request)
    if not key:
        raise _wrong_key(
            "required",
            "Send an Idempotency-Key: a new value for each operation, the same value for a retry.",
            code="idempotency_key_required",
        )
    if not is_key(key):
        raise _wrong_key("invalid", "An Idempotency-Key has 1 to 255 characters of A-Z a-z 0-9 _ - : .")
    return key


def _wrong_key(fault: str, message: str, *, code: str | None = None) -> InvalidRequest:
    return InvalidRequest(message, code=code, errors=[FieldError("Idempotency-Key", fault, message)])


def _keyed_request(view: MerchantView, request: Request, key: str, *, has_body: bool = True) -> KeyedRequest:
    body = cast("dict[str, Any]", request.data) if has_body else {}
    # Salted with the key, so that equal values of two requests have different hashes.
    hashes = {
        name: hashlib.sha256(f"{key}\0{_canonical(value)}".encode()).hexdigest()[:16] for name, value in body.items()
    }
    return KeyedRequest(
        merchant=view.merchant,
        livemode=view.livemode,
        key=key,
        method=request.method or "",
        path=request.path,
        body_sha256=hashlib.sha256(_canonical(body).encode()).hexdigest(),
        field_hashes=hashes,
    )


def _decimal(value: Any) -> dict[str, str]:
    """A decimal number in a form that no JSON text of a request can have."""
    if isinstance(value, Decimal):
        return {"\0number": str(value)}
    raise TypeError(type(value).__name__)


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=_decimal).encode
"""Canonical JSON: requests that differ only in key order or white space are equal."""

_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""The body of a response."""
