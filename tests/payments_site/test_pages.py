"""Middleware for people's pages: programs pass it by, pages have all of it."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import RequestFactory

from payments_site.pages import is_page


@pytest.mark.parametrize("path", ["/v1/payments", "/v1/openapi.json", "/webhooks/conekta", "/healthz", "/metrics"])
def test_programs_have_no_session(path: str) -> None:
    assert not is_page(RequestFactory().get(path))


@pytest.mark.parametrize("path", ["/", "/admin/", "/v1/docs", "/pay/pay_x", "/static/admin/css/base.css"])
def test_pages_have_one(path: str) -> None:
    assert is_page(RequestFactory().get(path))


def test_a_session_means_nothing_to_the_api(client: Any, admin_client: Any) -> None:
    assert get_user_model().objects.count() == 1

    for caller in (client, admin_client):
        answer = caller.get("/v1/balance")
        assert answer.status_code == 401
        assert "Set-Cookie" not in answer.headers
        assert "Cookie" not in answer.headers.get("Vary", "")
