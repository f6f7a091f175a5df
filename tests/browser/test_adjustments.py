"""Correcting the books in a real browser: one person proposes with evidence, only a second one approves."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, Page, expect

from ledger.models import Adjustment, Transaction
from ledger.services import balance
from merchants.models import Merchant
from tests.factories.browser import fits, signed_in
from tests.ledger.sabotage import deposit

PDF = {"name": "estado.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7\nestado de cuenta\n%%EOF"}


def propose(page: Page, merchant: Merchant) -> None:
    page.goto("/admin/ledger/adjustment/")
    page.get_by_role("link", name=re.compile("Agregar|Proponer")).first.click()
    page.get_by_label("Modo").select_option("test")
    page.get_by_label("Descripción").fill("Depósito abonado dos veces")
    page.get_by_label("Motivo").fill("El estado de cuenta de STP lo muestra una sola vez.")
    page.locator("input[type=file]").set_input_files(PDF)
    page.locator("[name=account_0]").fill(f"{merchant.public_id}:available")
    page.locator("[name=debit_0]").fill("1,250.50")
    page.locator("[name=account_1]").fill("platform:stp_cash")
    page.locator("[name=credit_1]").fill("1250.50")


def test_two_people_correct_the_books(browser: Browser, address: str, merchant: Merchant) -> None:
    deposit(merchant, "dep_1")
    deposit(merchant, "dep_2")
    maker = signed_in(browser, address, "ana", "add_adjustment", "add_approval", "decide_approval")
    checker = signed_in(browser, address, "berta", "decide_approval")

    with maker as page:
        propose(page, merchant)
        page.get_by_role("button", name="Proponer").click()
        expect(page.get_by_text("propuesto", exact=True).first).to_be_visible()
        expect(page.get_by_text("en espera de una segunda persona")).to_be_visible()
        expect(page.get_by_role("link", name="Aprobar")).to_have_count(0)
        found = Adjustment.objects.get()
        page.goto(f"/admin/ledger/adjustment/{found.public_id}/approve/")
        page.get_by_role("button", name="Aprobar ajuste").click()
        expect(page.get_by_text("No puedes aprobar ni rechazar tu propia propuesta")).to_be_visible()
        assert Adjustment.objects.get().status == "proposed"
    assert Transaction.objects.filter(kind="adjustment").count() == 0

    with checker as page:
        page.goto(f"/admin/ledger/adjustment/{found.public_id}/change/")
        expect(page.get_by_text("El estado de cuenta de STP lo muestra una sola vez.")).to_be_visible()
        with page.expect_download() as download:
            page.get_by_role("link", name="estado.pdf").click()
        assert download.value.path().read_bytes() == PDF["buffer"]
        page.get_by_role("link", name="Aprobar").click()
        page.get_by_label("Comentario").fill("Revisado contra el estado de cuenta.")
        page.get_by_role("button", name="Aprobar ajuste").click()
        expect(page.get_by_text("registrado", exact=True).first).to_be_visible()
        expect(page.get_by_text("Revisado contra el estado de cuenta.")).to_be_visible()
        page.get_by_role("link", name=re.compile("^txn_")).first.click()
        expect(page.get_by_text("Depósito abonado dos veces").first).to_be_visible()

    assert balance.of_merchant(merchant, livemode=False).available == 2 * 98_840 - 125_050
    assert balance.of_platform(livemode=False)["stp_cash"] == 200_000 - 125_050


def test_what_is_wrong_is_said_in_spanish_and_what_was_typed_stays(
    browser: Browser, address: str, merchant: Merchant
) -> None:
    with signed_in(browser, address, "ana", "add_adjustment", "add_approval", width=390) as page:
        propose(page, merchant)
        page.get_by_role("button", name="Proponer").click()

        expect(page.get_by_text("se necesitan").first).to_be_visible()
        assert page.locator("[name=debit_0]").input_value() == "1,250.50"
        page.locator("[name=account_0]").fill(f"{merchant.public_id}:reserved")
        page.locator("input[type=file]").set_input_files(PDF)  # no page can put a file there again
        page.get_by_role("button", name="Proponer").click()
        expect(page.get_by_text("El dinero reservado solo lo mueve su retención.")).to_be_visible()
        assert fits(page)
    assert Adjustment.objects.count() == 0
