"""``GET /metrics`` for Prometheus, with a token of its own (``METRICS_TOKEN``; without one the page does not exist)."""

from __future__ import annotations

import hmac

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_GET
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from core import invariants
from ledger.services import gate


@require_GET
def metrics(request: HttpRequest) -> HttpResponse:
    """What the database knows, the same from every process: 401 for a wrong token."""
    token = settings.SITE.metrics_token
    if not token:
        raise Http404
    given = request.headers.get("Authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        return HttpResponse(status=401, headers={"WWW-Authenticate": 'Bearer realm="metrics"'})
    registry = CollectorRegistry()
    gauge = Gauge("ledger_invariant_broken", "1 while this invariant is broken.", ["name"], registry=registry)
    broken = gate.broken()
    for invariant in invariants.all_invariants():
        gauge.labels(invariant.name).set(invariant.name in broken)
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
