"""What every refusal looks like, and what it must not leave behind."""

from __future__ import annotations

from typing import Any

from django.db import connection

MEMBERS = {"type", "title", "status", "detail", "instance", "code", "request_id"}

_TABLES = (
    "payments_payment",
    "payments_paymenttransition",
    "payments_deposit",
    "payments_deposittransition",
    "merchants_event",
    "merchants_idempotencykey",
    "webhooks_providerevent",
    "ledger_transaction",
    "ledger_entry",
    "procrastinate_jobs",
)


def assert_problem(answer: Any, status: int, code: str, *fields: str) -> dict[str, Any]:
    """``answer`` is a problem (RFC 9457) with this status and code that blames exactly ``fields``; return its body."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert set(body) == MEMBERS | ({"errors"} if fields else set()), body
    assert (body["status"], body["code"]) == (status, code), body
    assert body["type"] == f"/v1/docs#error-{code}"
    assert body["title"]
    assert body["detail"]
    assert body["instance"] == answer.wsgi_request.path
    assert body["request_id"] == answer["X-Request-Id"]
    if fields:
        assert sorted({error["field"] for error in body["errors"]}) == sorted(fields)
        assert all(set(error) == {"field", "code", "message"} and error["message"] for error in body["errors"])
    return body


def rows() -> dict[str, int]:
    """How many rows there are where a request or a notice may write: compare before and after a refusal."""
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(f"SELECT '{table}', count(*) FROM {table}" for table in _TABLES))
        return dict(cursor.fetchall())
