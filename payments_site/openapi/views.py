"""Views of ``/v1/openapi.json`` and ``/v1/docs``."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import condition, require_safe

from payments_site.openapi import document, page

FRESH = "public, max-age=300"
PAGE_POLICY = "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'"
"""The page runs no scripts and loads only our own style sheet."""


def _etag(request: HttpRequest) -> str:
    return document.etag()


@require_safe
@condition(etag_func=_etag)
def openapi(request: HttpRequest) -> HttpResponse:
    """The OpenAPI document, cached in memory."""
    return HttpResponse(document.as_bytes(), content_type="application/json", headers={"Cache-Control": FRESH})


@require_safe
@condition(etag_func=_etag)
def docs(request: HttpRequest) -> HttpResponse:
    """The API reference as HTML."""
    headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": FRESH}
    return HttpResponse(page.html(), headers=headers)
