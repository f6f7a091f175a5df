"""One intention, one effect: the Idempotency-Key of a POST that moves or reserves money.

The key's row commits together with the effect and the answer. An equal request that arrives meanwhile waits up to
``WAIT_SECONDS`` for the answer and replays it: for that transaction by the lock on the key, for a creation in phases by
looking again, without a database connection in between. A refusal on business grounds (422) is an
answer too: its effect is rolled back, the answer kept. Malformed requests, missing rights, conflicts with a passing
state and faults of ours are not: nothing was done, the key stays free.
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
from merchants.services.idempotency_key import Intention

T = TypeVar("T")

WAIT_SECONDS = 2.0
"""How long an equal request waits for the answer of the first one."""
_LOOK_FIRST, _LOOK_MOST = 0.05, 0.25
"""Seconds between two looks at a key in progress: doubled each time, up to the most."""

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
    status: int = 201,
) -> HttpResponse:
    """Carry the request out once and answer; a repetition gets the same bytes with ``Idempotent-Replayed: true``.

    ``create`` reads, decides, and calls services, whose changes join the unit of work: key, effect and answer go into
    the database by one statement, which takes the key first and writes nothing if it was taken before. A write beside
    that statement raises ``core.write_guard.WriteBesideUnit``.
    ``finish``, if given, runs after it and outside any transaction (a provider is called). Its second argument is True
    if an earlier request already began it and may have reached the provider. ``find`` loads an object by public id.

    Raises ``InvalidRequest`` for a missing or malformed key, ``IdempotencyKeyReused`` if the key came with another
    method, path or body, ``IdempotencyInProgress`` if the first request still runs after ``WAIT_SECONDS``, and whatever
    ``create`` refuses.
    """
    intention = _intention(view, request, _key(request))
    until = monotonic() + WAIT_SECONDS
    try:
        with _claiming() as writes:
            obj = create()
            answer = _json(render(obj)) if finish is None else ""
            idempotency_key.claim(
                writes, intention, public_id(obj), status=status if finish is None else None, answer=answer
            )
    except PaymentsError as error:
        if (kept := _kept(intention, error)) is not None:
            return kept
        row_id = None
    else:
        row_id = writes.condition_id
    begun_before = row_id is None
    if row_id is None:
        record = _known(intention)
        if finish is None or not idempotency_key.take_over(record):
            return _replay(_completed(record, until))
        row_id, obj = record.pk, find(record.object_id)
    if finish is not None:
        obj = finish(obj, begun_before)
        answer = _json(render(obj))
        if not idempotency_key.complete(row_id, status, answer, public_id(obj)):
            return _replay(_known(intention))
    return _answer(status, answer)


def stored_answer(view: MerchantView, request: Request) -> HttpResponse | None:
    """The answer of exactly this request if it was carried out before, else None.

    For a request that is not valid any more: what was in the future when it came may have passed. Raises
    ``IdempotencyInProgress`` if the request is still being carried out after ``WAIT_SECONDS``.
    """
    key = _given(request)
    if not is_key(key):
        return None
    record = idempotency_key.find(view.merchant, livemode=view.livemode, key=key)
    if record is None or not _intention(view, request, key).is_that_of(record) or idempotency_key.is_abandoned(record):
        return None
    return _replay(_completed(record, monotonic() + WAIT_SECONDS))


def bare(text: str) -> str:
    """An Idempotency-Key without the quotation marks that it may come in (RFC 8941 writes strings so)."""
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def is_key(text: str) -> bool:
    """True if ``text`` may be an Idempotency-Key."""
    return bool(_SHAPE.match(text))


@contextmanager
def _claiming() -> Iterator[Writes]:
    """A transaction whose writes claim a key. ``IdempotencyInProgress`` if an equal request takes too long."""
    try:
        with unit_of_work(keyed=True) as writes:
            yield writes
    except OperationalError as error:
        if idempotency_key.waited_in_vain(error):
            raise IdempotencyInProgress from error
        raise


def _kept(intention: Intention, error: PaymentsError) -> HttpResponse | None:
    """The refusal as the answer, kept if it is one on its merits; None if an equal request came before.

    Raises ``error`` if it is not kept and the key is free.
    """
    if error.http_status != HTTPStatus.UNPROCESSABLE_ENTITY:
        if _record(intention) is None:
            raise error
        return None
    answer = _json(problem(error, instance=intention.path))
    with _claiming() as writes:
        idempotency_key.claim(writes, intention, "", status=error.http_status, answer=answer)
    return None if writes.condition_id is None else _answer(error.http_status, answer)


def _known(intention: Intention) -> IdempotencyKey:
    record = _record(intention)
    if record is None:  # thirty days old, and forgotten in this moment
        raise IdempotencyInProgress
    return record


def _completed(record: IdempotencyKey, until: float) -> IdempotencyKey:
    """``record`` once it holds an answer; ``IdempotencyInProgress`` if it has none at ``until`` (monotonic clock)."""
    pause = _LOOK_FIRST
    while record.state != IdempotencyKey.State.COMPLETED:
        if monotonic() >= until:
            raise IdempotencyInProgress
        connection.close()  # back to the pool: the request that is waited for needs one
        sleep(min(pause, max(0.0, until - monotonic())))
        pause = min(2 * pause, _LOOK_MOST)
        found = IdempotencyKey.objects.filter(pk=record.pk).first()
        if found is None:  # forgotten in this moment
            raise IdempotencyInProgress
        record = found
    return record


def _record(intention: Intention) -> IdempotencyKey | None:
    """What is known of the key; ``IdempotencyKeyReused`` if another request used it."""
    record = idempotency_key.find(intention.merchant, livemode=intention.livemode, key=intention.key)
    if record is not None and not intention.is_that_of(record):
        message = "This differs from the first request with this Idempotency-Key."
        fields = intention.differing_fields(record) if intention.path == record.path else []
        raise IdempotencyKeyReused(errors=[FieldError(name[:100], "differs", message) for name in fields])
    return record


def _replay(record: IdempotencyKey) -> HttpResponse:
    response = _answer(record.response_status or HTTPStatus.INTERNAL_SERVER_ERROR, record.response_body)
    response["Idempotent-Replayed"] = "true"
    return response


def _answer(status: int, body: str) -> HttpResponse:
    return HttpResponse(body, status=status, content_type=CONTENT_TYPE if status >= 400 else "application/json")


def _given(request: Request) -> str:
    return bare(request.headers.get("Idempotency-Key", ""))


def _key(request: Request) -> str:
    key = _given(request)
    if not key:
        raise _wrong_key(
            "required",
            "Send an Idempotency-Key: one fresh value for each thing you want done, the same one when you retry it.",
            code="idempotency_key_required",
        )
    if not is_key(key):
        raise _wrong_key("invalid", "An Idempotency-Key has 1 to 255 characters out of A-Z a-z 0-9 _ - : .")
    return key


def _wrong_key(fault: str, message: str, *, code: str | None = None) -> InvalidRequest:
    return InvalidRequest(message, code=code, errors=[FieldError("Idempotency-Key", fault, message)])


def _intention(view: MerchantView, request: Request, key: str) -> Intention:
    body = cast("dict[str, Any]", request.data)
    # Salted with the key: equal values of two requests are not seen to be equal.
    hashes = {
        name: hashlib.sha256(f"{key}\0{_canonical(value)}".encode()).hexdigest()[:16] for name, value in body.items()
    }
    return Intention(
        merchant=view.merchant,
        livemode=view.livemode,
        key=key,
        method=request.method or "",
        path=request.path,
        body_sha256=hashlib.sha256(_canonical(body).encode()).hexdigest(),
        field_hashes=hashes,
    )


def _decimal(value: Any) -> dict[str, str]:
    """A number with a fraction, which no text can be mistaken for."""
    if isinstance(value, Decimal):
        return {"\0number": str(value)}
    raise TypeError(type(value).__name__)


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), default=_decimal).encode
"""What a value means: key order and white space do not make another request."""

_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""The body of an answer."""
