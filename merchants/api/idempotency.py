"""One intention, one effect: the Idempotency-Key of a POST that moves or reserves money.

The key's row commits together with the effect. An equal request that arrives meanwhile waits for that transaction (up
to the database's lock timeout) and then replays its answer. Business refusals are answers too, and are kept; malformed
requests and server faults are not: nothing was done, the key stays free.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from django.db import OperationalError, transaction
from django.http import HttpResponse
from psycopg.errors import LockNotAvailable
from rest_framework.request import Request

from core import clock
from core.api.errors import CONTENT_TYPE, problem
from core.errors import IdempotencyInProgress, IdempotencyKeyReused, InvalidRequest, RequestRefused
from merchants.api.views import MerchantView
from merchants.models import IdempotencyKey

T = TypeVar("T")

TAKEOVER_AFTER = timedelta(seconds=60)
"""A creation in phases that stopped half-way may be finished by a repetition after this time."""

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

    ``create`` runs inside the transaction that records the key. ``finish``, if given, runs after it and outside any
    transaction (a provider is called); until it returns, repetitions get 409. Its second argument is True if an earlier
    request already began it and may have reached the provider. ``find`` loads an object by public id.

    Raises ``InvalidRequest`` for a missing or malformed key, ``IdempotencyKeyReused`` if the key came with another
    method, path or body, ``IdempotencyInProgress`` while the first request runs.
    """
    key = _key(request)
    fingerprint = _fingerprint(request)
    with transaction.atomic():
        record, created = _claim(view, key, fingerprint)
        if not created:
            if {name: getattr(record, name) for name in fingerprint} != fingerprint:
                raise IdempotencyKeyReused
            if record.state == IdempotencyKey.State.COMPLETED:
                return _answer(record, replayed=True)
            if clock.now() - record.locked_at < TAKEOVER_AFTER:
                raise IdempotencyInProgress
            record.locked_at = clock.now()
            record.save(update_fields=["locked_at"])
            obj = find(record.object_id)
        else:
            try:
                with transaction.atomic():
                    obj = create()
            except RequestRefused as refusal:
                _complete(record, refusal.http_status, problem(refusal, instance=request.path))
                return _answer(record)
            record.object_id = public_id(obj)
            if finish is None:
                _complete(record, status, render(obj))
                return _answer(record)
            record.save(update_fields=["object_id"])
    if finish is not None:
        obj = finish(obj, not created)
    with transaction.atomic():
        _complete(record, status, render(obj))
    return _answer(record)


def stored_answer(view: MerchantView, request: Request) -> HttpResponse | None:
    """The answer of exactly this request if it was carried out before, else None.

    For a request that is not valid any more: what was in the future when it came may have passed.
    """
    key = _given(request)
    if not _SHAPE.match(key):
        return None
    record = IdempotencyKey.objects.filter(
        merchant=view.merchant,
        livemode=view.livemode,
        key=key,
        state=IdempotencyKey.State.COMPLETED,
        **_fingerprint(request),
    ).first()
    return None if record is None else _answer(record, replayed=True)


def _claim(view: MerchantView, key: str, fingerprint: dict[str, str]) -> tuple[IdempotencyKey, bool]:
    fresh = IdempotencyKey(merchant=view.merchant, livemode=view.livemode, key=key, **fingerprint)
    try:
        IdempotencyKey.objects.bulk_create([fresh], ignore_conflicts=True)
        record = IdempotencyKey.objects.select_for_update().get(merchant=view.merchant, livemode=view.livemode, key=key)
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            raise IdempotencyInProgress from error
        raise
    return record, record.public_id == fresh.public_id


def _complete(record: IdempotencyKey, status: int, body: dict[str, Any]) -> None:
    record.state = IdempotencyKey.State.COMPLETED
    record.response_status = status
    record.response_body = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    record.save(update_fields=["state", "response_status", "response_body", "object_id"])


def _answer(record: IdempotencyKey, *, replayed: bool = False) -> HttpResponse:
    status = record.response_status or 500
    return HttpResponse(
        record.response_body,
        status=status,
        content_type=CONTENT_TYPE if status >= 400 else "application/json",
        headers={"Idempotent-Replayed": "true"} if replayed else {},
    )


def _given(request: Request) -> str:
    given: str = request.headers.get("Idempotency-Key", "").strip()
    return given[1:-1] if len(given) > 1 and given[0] == given[-1] == '"' else given


def _key(request: Request) -> str:
    key = _given(request)
    if not key:
        raise InvalidRequest(
            "Send an Idempotency-Key: one fresh value for each thing you want done, the same one when you retry it.",
            code="idempotency_key_required",
        )
    if not _SHAPE.match(key):
        raise InvalidRequest(
            "An Idempotency-Key has 1 to 255 characters out of A-Z a-z 0-9 _ - : .", code="invalid_request"
        )
    return key


def _fingerprint(request: Request) -> dict[str, str]:
    return {
        "method": request.method or "",
        "path": request.path,
        "body_sha256": hashlib.sha256(_canonical(request.data)).hexdigest(),
    }


def _canonical(body: Any) -> bytes:
    """The body's meaning: key order and white space do not make another request."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), default=str).encode()
