"""Keyed requests, and assertions about their replays."""

from __future__ import annotations

SPEI = {"method": "spei", "amount": 100_000, "currency": "MXN"}


OXXO = {**SPEI, "method": "oxxo", "customer": {"name": "Ana", "email": "ana@example.mx", "phone": "5555555555"}}


def raw_post(api, raw, key="k-1"):
    headers = {"Authorization": f"Bearer {api.secret}", "Idempotency-Key": key}
    return api.client.post("/v1/payments", raw, content_type="application/json", headers=headers)


def assert_replays(answer, first):
    assert (answer.status_code, answer.content) == (first.status_code, first.content)
    assert answer["Content-Type"] == first["Content-Type"]
    assert answer["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first
