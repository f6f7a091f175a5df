"""Guards staff's pages of the books: balances on any day, running balances, seals, holds, checks; nothing is changed.

A page of entries costs the same however deep it is, and its running balances survive postings made meanwhile.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from core import clock
from ledger.models import Account, Breach, Entry, Hold
from ledger.services import chain, hold
from ledger.services.journal import PostingTime
from ledger.services.postings import pay_in
from merchants.models import Merchant
from staff.models import Approval
from tests.concurrency.threads import soon
from tests.factories.ledger_pages import deposit, proposed_by, signed_in


def test_an_account_shows_its_balance_on_any_day(merchant: Merchant, admin_client: Client) -> None:
    deposit(merchant, 100_000, "dep_1", days_ago=6)
    deposit(merchant, 50_000, "dep_2", days_ago=2)
    listed = "/admin/ledger/account/"
    available = Account.objects.get(purpose="available")

    def shown(days_ago: int) -> str:
        day = clock.mexico_city_date(clock.now()) - timedelta(days=days_ago)
        page = admin_client.get(listed, {"as_of": day.isoformat(), "purpose": "available"}).content.decode()
        entries = admin_client.get(f"{listed}{available.pk}/entries/", {"as_of": day.isoformat()})
        assert entries.context["balance_then"] in page
        return str(entries.context["balance_then"])

    assert [shown(days) for days in (0, 2, 3, 6, 7)] == ["$1,500.00", "$1,500.00", "$1,000.00", "$1,000.00", "$0.00"]
    assert admin_client.get(listed, {"as_of": "31/31/31"}).status_code == 200
    assert admin_client.get(listed, {"as_of": "0001-01-01"}).status_code == 200


def test_a_past_days_balances_cost_the_same_for_few_accounts_and_for_many(
    admin_client: Client, merchant: Merchant, other_merchant: Merchant
) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert admin_client.get("/admin/ledger/account/", {"as_of": "2026-11-01"}).status_code == 200
        return len(queries)

    deposit(merchant, 100, "dep_1")
    cost()
    few = cost()
    deposit(other_merchant, 100, "dep_2")
    with transaction.atomic():
        pay_in.oxxo_paid(
            other_merchant,
            livemode=True,
            source="dep_3",
            amount=100,
            fee=1,
            fee_tax=1,
            when=PostingTime(clock.now(), clock.now().date()),
        )

    assert cost() == few


def test_entries_run_from_the_newest_with_the_balance_after_each(merchant: Merchant, admin_client: Client) -> None:
    for number in range(120):
        deposit(merchant, number + 1, f"dep_{number}")
    available = Account.objects.get(purpose="available")
    url = f"/admin/ledger/account/{available.pk}/entries/"

    seen: list[str] = []
    query: dict[str, str] = {}
    costs = []
    while True:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            page = admin_client.get(url, query)
        costs.append(len(queries))
        seen += [row[-1] for row in page.context["table"]["rows"]]
        if not page.context["older"]:
            break
        query = {"before": page.context["older"]}
        deposit(merchant, 1, f"between_{len(seen)}")

    sums = [sum(range(1, count + 1)) for count in range(120, 0, -1)]
    assert seen == [f"${total // 100:,}.{total % 100:02d}" for total in sums]
    assert len(set(costs)) == 1
    assert admin_client.get(url, {"before": "forged"}).context["first_page"] is False
    assert len(admin_client.get(url, {"before": "forged"}).context["table"]["rows"]) == 50


def test_a_cursor_of_one_account_says_nothing_in_another(merchant: Merchant, admin_client: Client) -> None:
    for number in range(60):
        deposit(merchant, 100, f"dep_{number}")
    available, cash = Account.objects.get(purpose="available"), Account.objects.get(purpose="stp_cash")
    cursor = admin_client.get(f"/admin/ledger/account/{available.pk}/entries/").context["older"]

    page = admin_client.get(f"/admin/ledger/account/{cash.pk}/entries/", {"before": cursor})

    assert page.context["table"]["rows"][0][-1] == "$60.00"


@pytest.mark.usefixtures("never_committed")  # the database would refuse such a hold
def test_verifying_runs_every_check_and_shows_what_is_broken(admin_client: Client, merchant: Merchant) -> None:
    deposit(merchant, 100, "dep_1")
    well = admin_client.post("/admin/ledger/breach/verify/").content.decode()
    assert "Todas las comprobaciones se cumplen." in well
    assert Breach.objects.count() == 0
    with transaction.atomic():
        pay_in.oxxo_received(
            livemode=False, source="mv_1", amount=100, when=PostingTime(clock.now(), clock.now().date())
        )
    Hold.objects.create(merchant=merchant, livemode=False, purpose="payout", source="po_1", amount=77)
    Account.objects.get_or_create(
        code=f"{merchant.public_id}:reserved",
        livemode=False,
        currency="MXN",
        defaults={"purpose": "reserved", "merchant": merchant, "normal_side": "credit", "floor": 0},
    )

    page = admin_client.post("/admin/ledger/breach/verify/").content.decode()

    assert "Lo reservado es la suma de las retenciones abiertas." in page
    assert "open holds say 77" in page
    assert Breach.objects.filter(cleared_at=None, invariant="reserved_is_held").exists()
    assert merchant.name in admin_client.get("/admin/ledger/breach/").content.decode()


def test_every_page_of_the_books_opens_and_none_can_be_changed(viewer: Client, merchant: Merchant) -> None:
    found = proposed_by(signed_in("mario", "add_adjustment", "add_approval"))
    posted = deposit(merchant, 5_000, "dep_1")
    when = PostingTime(clock.now(), clock.now().date())
    with transaction.atomic():
        held = hold.place(
            merchant, livemode=False, source=posted.public_id, amount=1, purpose=Hold.Purpose.PAYOUT, when=when
        )
    Breach.objects.create(invariant="floors_hold", message="algo")
    pages = {
        "ledger_adjustment": found.public_id,
        "ledger_hold": held.public_id,
        "ledger_breach": str(Breach.objects.get().pk),
        "ledger_account": str(Entry.objects.latest("id").account_id),
        "ledger_transaction": posted.public_id,
        "staff_approval": Approval.objects.get().public_id,
    }

    for page, key in pages.items():
        shown = viewer.get(reverse(f"admin:{page}_change", args=[key]))
        assert (viewer.get(reverse(f"admin:{page}_changelist")).status_code, shown.status_code) == (200, 200)
        assert 'name="_save"' not in shown.content.decode()
        assert viewer.post(reverse(f"admin:{page}_change", args=[key]), {"_save": "1"}).status_code == 403
        assert viewer.post(reverse(f"admin:{page}_delete", args=[key]), {"post": "yes"}).status_code == 403
    assert posted.public_id in viewer.get(reverse("admin:ledger_hold_change", args=[held.public_id])).content.decode()


def test_a_transaction_leads_to_its_seal_and_back(committed_db: None, merchant: Merchant) -> None:
    browser = signed_in("vera")
    posted = deposit(merchant, 100, "dep_1")
    url = reverse("admin:ledger_transaction_change", args=[posted.public_id])
    assert "sin sellar todavía" in browser.get(url).content.decode()
    assert soon(lambda: chain.seal() == 1)  # transactions of other databases in this cluster end meanwhile

    assert "/admin/ledger/seal/1/change/" in browser.get(url).content.decode()
    assert posted.public_id in browser.get("/admin/ledger/seal/1/change/").content.decode()
    assert browser.get("/admin/ledger/seal/").status_code == 200
