from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from backoffice.models import Transfer
from core.search import search_rows
from payments.models import Deposit, Payment, Payout
from payments.models.payment import SEARCH_TEXT
from payments.services import provider_account
from tests.backoffice.conftest import Desk
from tests.factories import payouts, topups
from tests.history import copy_of

HISTORY = "/admin/backoffice/transfer/"


def found(client: Client, **query: str) -> list[str]:
    page = client.get(HISTORY, query)
    assert page.status_code == 200
    return [transfer.id for transfer in page.context["cl"].result_list]


def test_lists_every_payment_and_every_stray_deposit_once_newest_first(desk: Desk, admin_client: Client) -> None:
    assert found(admin_client) == [desk.suspended.public_id, desk.waiting.public_id, desk.paid.public_id]


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("{paid.public_id}", ["paid"]),
        ("{suspended.public_id}", ["suspended"]),
        ("{paid.clabe}", ["paid"]),
        ("646180157099999994", ["suspended"]),
        ("MBAN01002611200012345678", ["paid"]),
        ("ajeno1", ["suspended"]),
        ("pedido-1", ["paid"]),
        ("maría", ["paid"]),
        ("JUAN PEREZ", ["paid"]),
        ("empresa ajena", ["suspended"]),
        ("%", []),  # one or two characters are looked for where a word begins
        ("10", ["waiting"]),
        ("MARIA pena", ["paid"]),
        ("josé", []),
        ("646180157099999", ["suspended"]),
        ("100_", []),
        ("0%_o", ["waiting"]),
        ("_off", ["waiting"]),
        ("'; DROP TABLE payments_payment; --", []),
    ],
)
def test_search_finds_ids_accounts_references_and_people(
    term: str, expected: list[str], desk: Desk, admin_client: Client
) -> None:
    term = term.format(paid=desk.paid, suspended=desk.suspended)

    assert found(admin_client, q=term) == [getattr(desk, name).public_id for name in expected]


@pytest.mark.parametrize("term", ["{paid.public_id}", "{paid.clabe}", "MARIA pena", "pedido-1"])
def test_payments_are_looked_for_in_the_same_way(term: str, desk: Desk, admin_client: Client) -> None:
    page = admin_client.get("/admin/payments/payment/", {"q": term.format(paid=desk.paid)})

    assert [payment.public_id for payment in page.context["cl"].result_list] == [desk.paid.public_id]


def test_the_search_of_payments_uses_its_index(desk: Desk) -> None:
    rows = search_rows(Payment.objects.all(), "empresa ajena", SEARCH_TEXT)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_indexscan = off")

    assert "payment_search" in rows.explain()


def test_the_search_uses_the_indexes_of_all_tables(desk: Desk) -> None:
    rows = Transfer.objects.filter(search_text__search_contains="empresa ajena").order_by("-created_at")[:50]
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_indexscan = off")
    plan = rows.explain()

    assert "payment_search" in plan
    assert "payout_search" in plan
    assert "deposit_search" in plan or "deposit_stray" in plan  # both hold what is in suspense alone


def test_filters_by_method_status_mode_and_merchant(desk: Desk, admin_client: Client) -> None:
    assert found(admin_client, status__exact="completed") == [desk.paid.public_id]
    assert found(admin_client, status__exact="suspended") == [desk.suspended.public_id]
    assert len(found(admin_client, method__exact="spei")) == 3
    assert found(admin_client, method__exact="oxxo") == []
    assert found(admin_client, livemode__exact="1") == []
    assert len(found(admin_client, merchant__id__exact=str(desk.merchant.pk))) == 2
    assert found(admin_client, kind__exact="deposit") == [desk.suspended.public_id]


def test_a_day_is_a_day_in_mexico_city(desk: Desk, admin_client: Client, owner: psycopg.Connection[Any]) -> None:
    # 23:59:59.999999 of 9 March and 00:00 of 10 March in Mexico City, which is UTC-6.
    before, after = (
        copy_of(desk.waiting, created_at=moment).public_id
        for moment in (datetime(2026, 3, 10, 5, 59, 59, 999999, UTC), datetime(2026, 3, 10, 6, 0, 0, 0, UTC))
    )

    assert found(admin_client, created_at_from="09/03/2026", created_at_to="09/03/2026") == [before]
    assert found(admin_client, created_at_from="2026-03-10", created_at_to="2026-03-10") == [after]
    both = found(admin_client, created_at_from="09/03/2026", created_at_to="10/03/2026")
    assert both == [after, before]


@pytest.mark.parametrize("text", ["mañana", "31/02/2026", "01/01/0001", "31/12/9999", "' OR 1=1"])
def test_a_day_that_is_none_is_ignored(text: str, desk: Desk, admin_client: Client) -> None:
    assert len(found(admin_client, created_at_from=text)) == 3


def test_each_line_leads_to_its_payment_or_deposit(desk: Desk, admin_client: Client) -> None:
    page = admin_client.get(HISTORY).content.decode()

    assert reverse("admin:payments_payment_change", args=[desk.paid.public_id]) in page
    assert reverse("admin:payments_deposit_change", args=[desk.suspended.public_id]) in page
    detour = admin_client.get(f"{HISTORY}{desk.paid.public_id}/change/")
    assert detour.headers["Location"] == reverse("admin:payments_payment_change", args=[desk.paid.public_id])
    assert desk.paid.clabe not in page


@pytest.fixture
def sent(desk: Desk, make_api: Any, stp: Any, settings: Any) -> Payout:
    """A payout of the desk's merchant."""
    settings.PROVIDER_ACCOUNT_CACHE_SECONDS = 0
    provider_account._seen.clear()
    payouts.ready_to_send(stp.account)
    payouts.fund(desk.merchant, 100_000)
    api = make_api(desk.merchant, scopes=["payouts:write"])
    answer = api.post("/v1/payouts", payouts.wanted(external_id="nomina-17"), key="po")
    assert answer.status_code == 202, answer.content
    return Payout.objects.get()


def test_payouts_are_listed_and_filtered_among_the_others(desk: Desk, sent: Payout, admin_client: Client) -> None:
    others = [desk.suspended.public_id, desk.waiting.public_id, desk.paid.public_id]

    assert found(admin_client) == [sent.public_id, *others]
    assert found(admin_client, kind__exact="payout") == [sent.public_id]
    assert found(admin_client, status__exact="pending") == [sent.public_id, desk.waiting.public_id]
    assert len(found(admin_client, merchant__id__exact=str(desk.merchant.pk))) == 3
    page = admin_client.get(HISTORY).content.decode()
    assert "0121 80" not in page and payouts.CLABE not in page


@pytest.mark.parametrize(
    "term", ["{0.public_id}", "{0.tracking_key}", "NÓMINA-17", "0121 8001 5025 3359 96", "ricardo"]
)
def test_payouts_are_found_by_id_key_account_and_beneficiary(term: str, sent: Payout, admin_client: Client) -> None:
    assert found(admin_client, q=term.format(sent)) == [sent.public_id]


def test_topups_are_listed_with_their_merchant_and_found(desk: Desk, stp: Any, admin_client: Client) -> None:
    clabe = topups.funding_clabe(desk.merchant).clabe
    assert stp.post(stp.deposit(clabe, 7_000, claveRastreo="TOPUP77", nombreOrdenante="LA CASA")).status_code == 200
    topup = Deposit.objects.get(purpose="funding")

    assert found(admin_client)[0] == topup.public_id
    assert found(admin_client, kind__exact="topup") == [topup.public_id]
    assert found(admin_client, status__exact="credited") == [topup.public_id]
    assert found(admin_client, kind__exact="deposit") == [desk.suspended.public_id]
    assert topup.public_id in found(admin_client, merchant__id__exact=str(desk.merchant.pk))
    for term in (topup.public_id, clabe, "topup77", "la casa"):
        assert found(admin_client, q=term) == [topup.public_id]


def test_a_viewer_sees_the_history(desk: Desk, viewer: Client) -> None:
    assert len(found(viewer)) == 3


def test_the_newest_lines_come_from_the_indexes_of_all_tables(desk: Desk) -> None:
    newest = Transfer.objects.order_by("-created_at", "-id")[:50]
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
    plan = newest.explain()

    assert "payment_created" in plan
    assert "payout_created" in plan
    assert "deposit_stray" in plan  # of no credited deposit
    assert "Merge Append" in plan


def test_the_application_may_only_read_the_view(owner: psycopg.Connection[Any]) -> None:
    rights = [
        right
        for right in ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")
        if owner.execute("SELECT has_table_privilege('payments_app', 'backoffice_transfer', %s)", [right]).fetchone()
        == (True,)
    ]

    assert rights == ["SELECT"]
