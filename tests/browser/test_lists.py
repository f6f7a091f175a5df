"""Every list and every object's page on a laptop's screen: nothing sticks out, no code and no English is left."""

from __future__ import annotations

import os
import re

import pytest
from django.contrib import admin
from django.urls import reverse
from playwright.sync_api import Page

from backoffice.models import Transfer
from ledger.models import Account
from merchants.models import Merchant
from payments.models import Deposit, Payment, Payout, ReviewCase
from tests.backoffice.conftest import Desk, PayoutDesk, with_endpoint, with_payouts
from tests.backoffice.conftest import desk as plain_desk  # noqa: F401 - fixture
from tests.conftest import Api
from tests.history import rewrite
from tests.provider_messages import StpSender
from webhooks.models import ProviderEvent

CAPITALISED_ID = re.compile(r"\b[A-Z][a-z]{2}_[0-9a-z]{26}\b")
CODES = re.compile(
    r"(?<![:\w])(credited|duplicate|stale|suspended|unknown_clabe|underpaid|overpaid|another_order|unmatched|conflict|unreadable"
    r"|stp_cash|fee_revenue|spei_deposit|deposit_suspended)\b(?!:)"
)


OVERFLOWING = """[...document.querySelectorAll("table")].map(table => table.parentElement)
    .concat(document.documentElement).filter(box => box.scrollWidth > box.clientWidth).map(box => box.scrollWidth)"""


@pytest.fixture
def desk(plain_desk: Desk, api: Api, stp: StpSender) -> PayoutDesk:  # noqa: F811
    with_endpoint(plain_desk.merchant)
    return with_payouts(plain_desk, api, stp)


def pages(found: Desk) -> tuple[list[str], list[str]]:
    """Every list, and the page of one object of each model and of every provider event."""
    lists, objects = ["/admin/", "/admin/payments/payout/?attention=person"], []
    for model in admin.site._registry:
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        lists.append(reverse(f"admin:{name}_changelist"))
        one = model._default_manager.first()
        if one is not None and model is not Transfer:
            objects.append(reverse(f"admin:{name}_change", args=[getattr(one, "public_id", one.pk)]))
    shown = [Deposit, Payout, ReviewCase, ProviderEvent]
    for one in [found.paid, *(one for model in shown for one in model._default_manager.all())]:
        objects.append(reverse(f"admin:{one._meta.app_label}_{one._meta.model_name}_change", args=[one.public_id]))
    objects.append(reverse("admin:payments_payment_history", args=[found.paid.public_id]))
    objects.append(reverse("admin:ledger_account_entries", args=[Account.objects.earliest("pk").pk]))
    return lists, sorted(set(objects))


def test_every_list_fits_a_laptop_and_no_page_shows_codes_or_capital_ids(
    page: Page,
    desk: PayoutDesk,
    stp: StpSender,
) -> None:
    name = "Comercializadora de Productos del Noroeste"
    Merchant.objects.update(name=name)
    rewrite(Payment.objects.all(), customer_name=name)
    rewrite(Payout.objects.all(), destination_name=name[:40])
    again = stp.deposit(desk.paid.clabe or "", 125050, claveRastreo="OTRA1", nombreOrdenante=name)
    assert [stp.post(again).status_code, stp.post(again).status_code] == [200, 200]
    wide, faults = [], []
    lists, objects = pages(desk)

    for path in [*lists, *objects]:
        page.goto(path)
        if path in lists and (widths := page.evaluate(OVERFLOWING)):
            wide.append((path, widths))
        text = page.locator("body").inner_text()
        faults += [(path, found) for found in (*CAPITALISED_ID.findall(text), *CODES.findall(text))]
        if os.environ.get("SHOTS"):
            page.screenshot(path=f"{os.environ['SHOTS']}/{path.strip('/').replace('/', '_')}.png", full_page=True)

    assert (wide, faults) == ([], [])


def test_a_shortened_id_is_copied_whole(page: Page, desk: PayoutDesk) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/admin/backoffice/transfer/")
    link = page.get_by_role("link", name=desk.paid.public_id, exact=True)

    shown = link.locator("span[title]")
    shown.evaluate("element => getSelection().selectAllChildren(element)")
    page.keyboard.press("Control+C")

    assert page.evaluate("navigator.clipboard.readText()") == desk.paid.public_id
    assert shown.get_attribute("title") == desk.paid.public_id
    assert (shown.bounding_box() or {})["width"] < 130
