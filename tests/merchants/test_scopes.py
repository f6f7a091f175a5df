"""Every operation with every scope: what the guide's table says is what the API does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.urls import URLPattern, get_resolver

from core.ids import PREFIXES
from merchants.api.views import MerchantView
from merchants.models import ApiKey
from payments_site.openapi import document
from tests.problems import assert_problem

pytestmark = pytest.mark.django_db
GUIDE = Path(__file__).resolve().parent.parent.parent / "docs" / "guides" / "merchant-api.md"
OPERATION = re.compile(r"`(GET|POST|PUT|PATCH|DELETE) (/v1/[^`]+)`")
ABSENT = "0" * 26
SPEI = {"method": "spei", "amount": 100, "currency": "MXN"}


KINDS = PREFIXES | {"topup": PREFIXES["deposit"]}
"""Name in a path -> prefix of its ids: a top-up is the deposit that brought it."""


def operations() -> Iterator[tuple[str, str]]:
    """Every method of every address that takes an API key, from the URLconf."""
    for pattern in get_resolver().url_patterns:
        view = getattr(pattern.callback, "view_class", None) if isinstance(pattern, URLPattern) else None
        if view is not None and issubclass(view, MerchantView):
            path = re.sub(r"<str:(\w+)>", r"{\1}", f"/{pattern.pattern}")
            yield from ((method, path) for method in view.scopes)


def written() -> dict[tuple[str, str], set[str] | None]:
    """The guide's table: the scopes of which an operation needs one; None: every key will do."""
    found: dict[tuple[str, str], set[str] | None] = {}
    for line in GUIDE.read_text().splitlines():
        if line.startswith("| `") and len(cells := line.strip("|").split("|")) == 2:
            for method, path in OPERATION.findall(cells[0]):
                assert (method, path) not in found
                scopes = set(re.findall(r"`([a-z]+:[a-z]+)`", cells[1]))
                assert scopes or "none" in cells[1]
                found[method, path] = scopes or None
    return found


def example(path: str) -> str:
    return re.sub(r"{(?:(\w+)_id|key)}", lambda m: f"{KINDS[m[1]]}_{ABSENT}" if m[1] else "unused", path)


def test_the_guide_names_every_operation_once() -> None:
    assert sorted(written()) == sorted(operations())
    assert len(written()) >= 21


@pytest.mark.parametrize("scope", ["", *ApiKey.Scope.values])
def test_a_key_may_do_what_the_table_says_and_no_more(scope: str, merchant: Any, stp: Any, make_api: Any) -> None:
    api = make_api(merchant, scopes=[scope] if scope else [])
    for (method, path), needed in written().items():
        may = needed is None or scope in needed
        headers = {"Authorization": f"Bearer {api.secret}", "Idempotency-Key": "k-1"}
        body = {} if method in ("GET", "DELETE") else {"data": "{}", "content_type": "application/json"}
        answers = [api.client.generic(method, example(path), headers=headers, **body)]
        if method == "GET":
            answers.append(api.client.head(example(path), headers=headers))

        for answer in answers:
            assert answer.status_code < 500, (method, path)
            assert (method, path, answer.status_code != 403) == (method, path, may)
        if not may:
            assert_problem(answers[0], 403, "key_scope_insufficient")


def test_the_openapi_document_names_the_same_scopes() -> None:
    described = {}
    for path, verbs in document.document()["paths"].items():
        for verb, operation in verbs.items():
            ways = operation.get("security", [])
            if path.startswith("/v1/") and any("apiKey" in way for way in ways):
                described[verb.upper(), path] = {scope for way in ways for scope in way.get("apiKey", ())} or None

    assert described == written()


@pytest.mark.parametrize(
    ("scopes", "of_payment", "of_report"),
    [
        ([], 403, 403),
        (["payments:read"], 200, 403),
        (["payments:write"], 200, 403),
        (["reports:read"], 403, 200),
        (["payments:write", "reports:read"], 200, 200),
        (["kyc:manage", "payouts:write"], 403, 403),
    ],
)
def test_what_became_of_a_request_is_told_to_keys_that_share_its_resource(
    api: Any, stp: Any, merchant: Any, make_api: Any, scopes: list[str], of_payment: int, of_report: int
) -> None:
    api.post("/v1/payments", {**SPEI, "external_id": "1"}, key="p-1")
    refused = api.post("/v1/payments", {**SPEI, "external_id": "1"}, key="p-2")
    api.post("/v1/reports", {"type": "payments", "start_date": "2026-01-01", "end_date": "2026-01-02"}, key="r-1")
    asker = make_api(merchant, scopes=scopes)

    answers = [asker.get(f"/v1/idempotency-keys/{key}") for key in ("p-1", "p-2", "r-1")]

    assert refused.status_code == 422
    assert [answer.status_code for answer in answers] == [of_payment, of_payment, of_report]
    for answer in answers:
        assert answer.status_code == 200 or answer.json()["code"] == "key_scope_insufficient"


def test_an_unused_key_is_not_told_to_an_api_key_without_scope(merchant: Any, make_api: Any) -> None:
    assert_problem(make_api(merchant, scopes=[]).get("/v1/idempotency-keys/unused"), 403, "key_scope_insufficient")
    assert_problem(make_api(merchant, scopes=["reports:read"]).get("/v1/idempotency-keys/unused"), 404, "not_found")
