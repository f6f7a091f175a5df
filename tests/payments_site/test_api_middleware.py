"""API and webhook requests skip the browser middleware; pages run through all of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.sessions.middleware import SessionMiddleware
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.locale import LocaleMiddleware
from django.test import Client, RequestFactory, override_settings

from payments_site.api_middleware import is_page


@pytest.mark.parametrize("path", ["/v1/payments", "/v1/openapi.json", "/webhooks/conekta", "/healthz", "/metrics"])
def test_api_requests_are_not_pages(path: str) -> None:
    assert not is_page(RequestFactory().get(path))


@pytest.mark.parametrize("path", ["/", "/admin/", "/v1/docs", "/pay/pay_x", "/static/admin/css/base.css"])
def test_browser_requests_are_pages(path: str) -> None:
    assert is_page(RequestFactory().get(path))


def test_the_api_ignores_sessions(client: Any, admin_client: Any) -> None:
    assert get_user_model().objects.count() == 1

    for caller in (client, admin_client):
        answer = caller.get("/v1/balance")
        assert answer.status_code == 401
        assert "Set-Cookie" not in answer.headers
        assert "Cookie" not in answer.headers.get("Vary", "")


def test_api_requests_skip_the_browser_middleware(client: Any, monkeypatch: Any) -> None:
    passed: list[str] = []
    for middleware in (LocaleMiddleware, SessionMiddleware, XFrameOptionsMiddleware):

        def spy(self: Any, request: Any, whole: Any = middleware.__call__) -> Any:
            passed.append(type(self).__name__)
            return whole(self, request)

        monkeypatch.setattr(middleware, "__call__", spy)

    assert client.get("/healthz").status_code == 200
    assert passed == []
    assert client.get("/nowhere").status_code == 404
    assert sorted(set(passed)) == ["LocaleMiddleware", "SessionMiddleware", "XFrameOptionsMiddleware"]


def test_requests_of_programs_run_through_the_list_api_middleware(settings: Any) -> None:
    settings.API_MIDDLEWARE = [*settings.API_MIDDLEWARE, "django.middleware.http.ConditionalGetMiddleware"]
    client = Client()

    assert "ETag" in client.get("/healthz").headers
    assert "ETag" not in client.get("/nowhere").headers


@override_settings(
    SECURE_SSL_REDIRECT=True, SECURE_REDIRECT_EXEMPT=[r"^healthz$"], SECURE_HSTS_SECONDS=60, SECURE_HSTS_PRELOAD=True
)
def test_api_requests_are_redirected_to_https_and_get_hsts() -> None:
    client = Client()

    plain = client.get("/v1/nowhere?a=1")
    assert (plain.status_code, plain["Location"]) == (301, "https://testserver/v1/nowhere?a=1")
    assert client.get("/healthz").status_code == 200
    secure = client.get("/v1/nowhere", secure=True)
    assert (secure.status_code, secure["Strict-Transport-Security"]) == (404, "max-age=60; preload")
    assert secure["X-Content-Type-Options"] == "nosniff"


HOSTS = [
    "10.0.3.17:8000",
    "10.0.3.17",
    "[fd00::17]:8000",
    "elsewhere.example",
    "",
    "a b",
    "[::1",
    "x:99999999",
    "é",
    ":",
]


@pytest.mark.django_db
@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("elsewhere", [False, True])
def test_health_and_metrics_answer_under_every_host(host: str, elsewhere: bool, settings: Any) -> None:
    settings.SITE = replace(settings.SITE, metrics_token="t" * 32)
    settings.USE_X_FORWARDED_HOST = elsewhere
    headers = {"X-Forwarded-Host" if elsewhere else "Host": host, "Authorization": "Bearer " + "t" * 32}

    answers = [Client().get(path, headers=headers).status_code for path in ("/healthz", "/readyz", "/metrics")]

    assert answers == [200, 200, 200]


@pytest.mark.django_db
def test_in_production_health_and_metrics_answer_over_plain_http(settings: Any) -> None:
    from payments_site.settings import production

    settings.SITE = replace(settings.SITE, metrics_token="t" * 32)
    settings.SECURE_SSL_REDIRECT = production.SECURE_SSL_REDIRECT
    settings.SECURE_REDIRECT_EXEMPT = production.SECURE_REDIRECT_EXEMPT
    headers = {"Host": "10.0.3.17:8000", "Authorization": "Bearer " + "t" * 32}

    paths = ("/healthz", "/readyz", "/metrics", "/healthz/", "/v1/merchant")
    answers = [Client().get(path, headers=headers).status_code for path in paths]

    assert answers == [200, 200, 200, 400, 400]


@pytest.mark.parametrize("path", ["/healthz/", "/healthzz", "/v1/nowhere", "/webhooks/nowhere", "/pay/pay_x"])
def test_a_host_that_is_not_allowed_is_refused(client: Any, path: str) -> None:
    assert client.get(path, headers={"Host": "elsewhere.example"}).status_code == 400


def test_an_unknown_address_is_404_for_every_method_without_a_csrf_token() -> None:
    strict = Client(enforce_csrf_checks=True)

    for method in ("get", "post", "put", "delete"):
        answer = getattr(strict, method)("/v1/nowhere")
        assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")


def test_the_language_of_one_request_does_not_leak_into_the_next(client: Any) -> None:
    said = [
        client.get("/v1/nowhere", headers=headers).json()["title"]
        for headers in ({"Accept-Language": "en"}, {}, {"Accept-Language": "en"})
    ]
    page = client.get("/nowhere", headers={"Accept-Language": "en"})

    assert said == ["Not Found", "No encontrado", "Not Found"]
    assert page["Content-Language"] == "en"
    assert client.get("/v1/nowhere").json()["title"] == "No encontrado"


@pytest.mark.parametrize("path", ["/v1/nowhere", "/healthz"])
def test_an_answer_has_a_content_length(client: Any, path: str) -> None:
    answer = client.get(path)

    assert int(answer["Content-Length"]) == len(answer.content)
