"""No address of a program or payer fails by what stands in it: every GET of the API's reference, and the pages."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from tests.conftest import Api

ROOT = Path(__file__).resolve().parent.parent.parent
BAD = ["\0", "a\0b", "", "x", "9" * 30, "9" * 5_000, "-1", "2026-02-30", "9999-12-31", "1e999", "[", "%", "\ud7ff"]
ENCODED = [*map(quote, BAD), "%ff%fe", "%c3", "%ED%A0%80"]
PAGES = ["/", "/pay/x", "/reports/x", "/healthz", "/readyz", "/v1/docs", "/v1/openapi.json", "/v1/x", "/webhooks/x"]


def reads() -> list[tuple[str, list[str]]]:
    """Path and query parameters of every GET operation."""
    document = json.loads((ROOT / "docs" / "openapi.json").read_text())
    found = []
    for path, operations in document["paths"].items():
        if "get" in operations:
            given = [named(document, one) for one in operations["get"].get("parameters", ())]
            found.append((path, [one["name"] for one in given if one["in"] == "query"]))
    return found


def named(document: dict[str, Any], parameter: dict[str, Any]) -> dict[str, Any]:
    name = parameter.get("$ref", "").rpartition("/")[2]
    return document["components"]["parameters"][name] if name else parameter


@pytest.mark.django_db
def test_no_query_string_makes_the_api_fail(api: Api) -> None:
    failed = []

    for path, names in reads():
        url = re.sub(r"{\w+}", "x", path)
        queries = [f"{quote(name)}={value}" for name in [*names, "nosuch"] for value in ENCODED]
        queries += ["%00=1", "%ff=1", "&".join(f"{quote(name)}=1&{quote(name)}=x" for name in names)]
        failed += [(url, q[:60]) for q in queries if api.get(f"{url}?{q}").status_code not in (200, 400, 404, 422)]

    assert failed == []


@pytest.mark.django_db
def test_no_id_in_an_address_makes_the_api_fail(api: Api) -> None:
    failed = []

    for path in [path for path, _ in reads() if "{" in path]:
        for value in ENCODED:
            if api.get(re.sub(r"{\w+}", value, path)).status_code not in (200, 400, 404):
                failed.append((path, value[:20]))

    assert failed == []


@pytest.mark.django_db
@pytest.mark.parametrize("page", PAGES)
def test_no_query_string_makes_a_page_fail(client: Client, page: str) -> None:
    client.raise_request_exception = False

    for value in ENCODED:
        asked = [page.replace("x", value), f"{page}?{value}=1", f"{page}?signature={value}&expires={value}"]
        assert [client.get(address).status_code < 500 for address in asked] == [True] * 3, value[:20]
