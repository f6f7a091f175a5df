"""POST requests whose Idempotency-Key is optional."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.db import transaction
from django.http import HttpResponse
from rest_framework.request import Request

from core.api.views import ApiResponse
from merchants.api.idempotency import run_once
from merchants.api.views import MerchantView

T = TypeVar("T")


def once_if_keyed(
    view: MerchantView,
    request: Request,
    *,
    create: Callable[[], T],
    public_id: Callable[[T], str],
    render: Callable[[T], dict[str, Any]],
    reveal: Callable[[T], dict[str, Any]] | None = None,
    has_body: bool = True,
    status: int,
) -> HttpResponse:
    """Execute the request: once if it has an Idempotency-Key (``run_once``), else each time."""
    if "Idempotency-Key" not in request.headers:
        with transaction.atomic():
            made = create()
        return ApiResponse({**render(made), **(reveal(made) if reveal else {})}, status=status)

    def find(public_id: str) -> T:
        raise LookupError(public_id)  # only needed for creations in phases

    return run_once(
        view,
        request,
        create=create,
        find=find,
        public_id=public_id,
        render=render,
        reveal=reveal,
        has_body=has_body,
        status=status,
    )
