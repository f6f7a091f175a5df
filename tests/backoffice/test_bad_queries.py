"""No query string makes a page of the back office fail: every list, every filter, every kind of bad value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import cycle
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client, RequestFactory
from django.urls import URLResolver, reverse

from backoffice.models import Transfer
from payments.models import FeeRule
from tests.backoffice.conftest import Desk

BAD = [
    "\0",
    "a\0b",
    "x",
    "9" * 30,
    "9" * 5_000,
    "-1",
    "2026-02-30",
    "9999-12-31",
    "1e999999",
    "[",
    "1,\0",
    f"1,{'9' * 30}",
    "%ff%fe",  # what is quoted once more below is no UTF-8
]
CONTROLS = ["o", "p", "q", "e", "all", "_facets", "_to_field", "_popup", "_changelist_filters", "page", "as_of", "\0"]
NO_FILTERS = ["nosuch", "merchant__nosuch", "a__b__c", "__", "id__regex", "id__range", "created_at__year", "pk__in"]
UNREADABLE = "El filtro de la dirección no se puede leer, así que la lista se muestra sin él."


def lists() -> Iterator[tuple[Any, str]]:
    for model, options in admin.site._registry.items():
        yield options, reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def parameters(options: Any) -> list[str]:
    """Every parameter of every filter of a list."""
    request = RequestFactory().get("/")
    request.user = User.objects.get()
    specs = options.get_changelist_instance(request).filter_specs
    return [name for spec in specs for name in spec.expected_parameters() if name]


def encoded(value: str) -> str:
    return value if value.startswith("%") else quote(value)


@pytest.fixture
def staff(committed_db: None) -> Client:
    """A superuser outside any transaction: a statement that fails does not spoil the next."""
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("ana"))
    return client


def test_no_query_string_makes_a_list_fail(staff: Client, desk: Desk) -> None:
    failed = []
    values = cycle(BAD)  # each filter is given NUL and three of them, the next one the next three

    for options, url in lists():
        names = parameters(options)
        queries = [(name, value) for name in names for value in ("\0", next(values), next(values), next(values))]
        queries += [(name, "\0x") for name in NO_FILTERS]
        if options.model in (Transfer, FeeRule, User):
            queries += [(name, value) for name in CONTROLS for value in ("\0", "x", "9" * 30, "-1")]
        for name, value in queries:
            status = staff.get(f"{url}?{quote(name)}={encoded(value)}").status_code
            if status not in (200, 302):
                failed.append((url, name, value[:10], status))
        repeated = "&".join(f"{quote(name)}=1&{quote(name)}=x" for name in names)
        assert staff.get(f"{url}?{repeated}").status_code in (200, 302)

    assert failed == []


UNREADABLE_FILTERS = [
    "status__exact=%00",
    "status__in=a%00b",
    "livemode__exact=%00",
    "%00=1",
    "nosuch=1",
    "merchant__name=x",
    "merchant__id__exact=x",
    "status__regex=(",
    "created_at__year=0",
    "search_text__contains=x",
    "_to_field=amount",
]


def test_a_list_says_that_its_filter_cannot_be_read(subtests: pytest.Subtests, staff: Client, desk: Desk) -> None:
    for query in UNREADABLE_FILTERS:
        with subtests.test(query=query):
            page = staff.get(f"/admin/backoffice/transfer/?{query}", follow=True)

            assert page.redirect_chain == [("/admin/backoffice/transfer/", 302)]
            assert UNREADABLE in page.content.decode()
            assert len(page.context["cl"].result_list) == 3


@pytest.mark.parametrize(
    "address",
    ["payments/provideraccount/?webhook_secret_sha256__startswith=a", "merchants/apikey/?secret_sha256__startswith=a",
     "auth/user/?password__startswith=a"],
)  # fmt: skip
def test_a_secret_is_not_found_out_by_filtering(staff: Client, address: str) -> None:
    page = staff.get(f"/admin/{address}", follow=True)

    assert UNREADABLE in page.content.decode()


def pages(patterns: Any = None, prefix: str = "/admin/") -> Iterator[str]:
    """Every address below the admin that is no list, its arguments filled with what is no object."""
    for pattern in patterns or admin.site.get_urls():
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from pages(pattern.url_patterns, route)
        elif "<" in route:
            for bad in ("%00", "9" * 30, "9" * 5_000, "_00", "%ff"):
                yield re.sub(r"<[^>]+>", bad, route)
        elif not str(pattern.pattern).startswith("^"):
            yield route


def test_no_address_of_the_back_office_makes_it_fail(staff: Client, desk: Desk) -> None:
    failed = []
    every_list = {url for _, url in lists()}
    addresses = [url for url in pages() if url not in every_list and url != "/admin/logout/"]

    for url in addresses:
        for query in ("", "?q=%00&term=%00&s=%00&next=%00&before=%00&as_of=%00&account=%00&_to_field=%00&_popup=%00"):
            if staff.get(url + query).status_code >= 500:
                failed.append((url[:80], query))

    assert failed == []
    assert len(addresses) > 400
