"""What answers GET answers HEAD: link previews, monitors and download managers ask so first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.contrib import admin
from django.urls import NoReverseMatch, URLPattern, get_resolver, reverse

from merchants.services import event
from tests.conftest import Api
from tests.factories import payouts, refunds, topups
from tests.payments.report_orders import written

TOKEN = "t" * 32
SPEI = {"method": "spei", "amount": 100, "currency": "MXN"}


@pytest.fixture
def ids(committed_db: None, api: Api, stp: Any, merchant: Any, settings: Any) -> dict[str, str]:
    """A value for each part of an address that varies, as the URLconf names it."""
    made = api.post("/v1/payments", SPEI, key="head-1").json()
    clabe = api.post("/v1/clabes", {"label": "head"}, key="head-2").json()
    report = written(api)
    first = event.feed(merchant, livemode=False).first()
    assert first is not None
    payouts.ready_to_send(stp.account)
    payouts.fund(merchant, 100_000)
    stp.post(stp.deposit(topups.funding_clabe(merchant).clabe, 5_000, claveRastreo="TOP"))
    payout = api.post("/v1/payouts", payouts.wanted(), key="payout").json()
    settings.WEBHOOK_ALLOW_HTTP = True
    webhook = {"url": "http://127.0.0.1:9/hook", "events": ["payment.*"]}
    endpoint = api.post("/v1/webhook-endpoints", webhook, key="endpoint").json()
    delivery = api.post(f"/v1/webhook-endpoints/{endpoint['id']}/test", None, key="delivery").json()
    paid = refunds.paid(api, stp)
    return {
        "payment_id": made["id"],
        "refund_id": refunds.create(api, paid).public_id,
        "payout_id": payout["id"],
        "webhook_endpoint_id": endpoint["id"],
        "delivery_id": delivery["id"],
        "topup_id": api.get("/v1/topups").json()["data"][0]["id"],
        "clabe_id": clabe["id"],
        "report_id": report["id"],
        "event_id": first.public_id,
        "api_key_id": api.get("/v1/api-keys").json()["data"][0]["id"],
        "key": "head-1",
        "rest": "nowhere",
        "link": report["file"]["download_url"].removeprefix(settings.SITE.base_url),
    }


def addresses(ids: dict[str, str]) -> Iterator[str]:
    for pattern in get_resolver().url_patterns:
        if isinstance(pattern, URLPattern):
            route = str(pattern.pattern)
            for name, value in ids.items():
                route = route.replace(f"<str:{name}>", value).replace(f"<path:{name}>", value)
            assert "<" not in route, f"{route}: give an example in ids"
            yield ids["link"] if route.startswith("reports/") else f"/{route}"


def test_every_address_that_answers_get_answers_head(api: Api, ids: dict[str, str], settings: Any) -> None:
    settings.SITE = replace(settings.SITE, metrics_token=TOKEN)
    answered = {}
    for path in addresses(ids):
        headers = {"Authorization": f"Bearer {TOKEN if path == '/metrics' else api.secret}"}
        get, head = (getattr(api.client, method)(path, headers=headers) for method in ("get", "head"))
        answered[path] = get.status_code

        assert (path, head.status_code) == (path, get.status_code)
        assert (path, head["Content-Type"]) == (path, get["Content-Type"])
        assert b"".join(head) == b""
        get.close()
        head.close()

    assert list(answered.values()).count(200) >= 18
    assert (answered["/metrics"], answered[f"/pay/{ids['payment_id']}"]) == (200, 200)


@pytest.mark.django_db
def test_a_link_preview_of_the_payers_page_hears_how_long_it_is(api: Api, stp: Any) -> None:
    path = f"/pay/{api.post('/v1/payments', SPEI).json()['id']}"
    get, head = (getattr(api.client, method)(path) for method in ("get", "head"))

    assert head["Content-Length"] == get["Content-Length"] == str(len(get.content))
    assert head["Cache-Control"] == "no-store"
    assert [api.client.generic(method, path).status_code for method in ("POST", "PUT", "DELETE")] == [405] * 3


def test_every_list_of_the_admin_answers_head(admin_client: Any) -> None:
    asked = 0
    for pattern in admin.site.urls[0]:
        for one in getattr(pattern, "url_patterns", [pattern]):
            try:
                path = reverse(f"admin:{one.name}")
            except NoReverseMatch:
                continue
            get, head = (getattr(admin_client, method)(path) for method in ("get", "head"))
            if get.status_code == 200:
                assert (path, head.status_code) == (path, 200)
            asked += 1

    assert asked > 20
