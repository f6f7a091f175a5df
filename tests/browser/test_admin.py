"""The main screens in a real browser (Debian's Chromium): they load, speak Spanish, act, and fit a phone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from kyc.models import Case
from merchants.models import ApiKey, Merchant
from payments.models import Payment
from tests.conftest import Api
from tests.factories.browser import fits
from tests.provider_messages import StpSender


def create(api: Api, external_id: str) -> Payment:
    body = {"method": "spei", "amount": 125050, "currency": "MXN", "external_id": external_id}
    return Payment.objects.get(public_id=api.post("/v1/payments", body, key=external_id).json()["id"])


def test_from_home_to_a_payment_by_the_history(page: Page, api: Api, stp: StpSender) -> None:
    paid, waiting = create(api, "pedido-1"), create(api, "pedido-2")
    stp.post(stp.deposit(paid.clabe or "", 125050))

    page.goto("/admin/")
    expect(page.get_by_text("Recibido hoy por SPEI")).to_be_visible()
    expect(page.get_by_text("Por identificar", exact=True).first).to_be_visible()
    page.get_by_role("link", name="Historial de transferencias").first.click()
    expect(page.get_by_role("link", name=waiting.public_id)).to_be_visible()
    page.get_by_placeholder(re.compile("CLABE, clave de rastreo")).fill("pedido-1")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name=waiting.public_id)).to_have_count(0)
    page.get_by_role("link", name=paid.public_id).click()

    expect(page).to_have_url(re.compile(f"/admin/payments/payment/{paid.public_id}/change/"))
    expect(page.get_by_text("completado", exact=True).first).to_be_visible()
    expect(page.get_by_role("heading", name="Transacciones contables")).to_be_visible()


def test_a_case_is_approved_with_the_mouse(page: Page, merchant: Merchant) -> None:
    page.goto("/admin/kyc/case/add/")
    page.get_by_label("Comercio").select_option(label=merchant.name)
    page.get_by_role("button", name="Guardar", exact=True).click()
    page.get_by_role("link", name="Subir documento").click()
    page.get_by_label("Tipo").select_option("tax_certificate")
    page.locator("input[type=file]").set_input_files(
        {"name": "constancia.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7\n%%EOF"}
    )
    page.get_by_role("button", name="Subir documento").click()
    expect(page.get_by_text("constancia.pdf")).to_be_visible()
    page.get_by_role("link", name="Enviar").click()
    page.get_by_role("button", name="Enviar a decisión").click()
    page.get_by_role("link", name="Aprobar").click()
    page.get_by_label("Motivo").fill("Identidad verificada.")
    page.get_by_role("button", name="Aprobar caso").click()

    expect(page.get_by_text("aprobado", exact=True).first).to_be_visible()
    assert Case.objects.get().status == "approved"


def test_a_new_key_is_shown_and_copied(page: Page, merchant: Merchant) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"/admin/merchants/merchant/{merchant.public_id}/change/")
    page.get_by_role("link", name="Nueva llave de prueba").click()
    page.get_by_role("button", name="Nueva llave de prueba").click()
    page.get_by_role("button", name="Copiar").click()

    expect(page.get_by_role("button", name="Copiada")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").startswith(ApiKey.objects.get().prefix)


@pytest.mark.parametrize("page", [{"width": 390, "height": 844}], indirect=True)
def test_everything_fits_a_phone(page: Page, api: Api, stp: StpSender) -> None:
    paid, waiting = create(api, "pedido-1"), create(api, "pedido-2")
    stp.post(stp.deposit(paid.clabe or "", 125050))

    for path in (
        "/admin/",
        "/admin/backoffice/transfer/",
        f"/admin/payments/payment/{paid.public_id}/change/",
        f"/pay/{paid.public_id}",
        f"/pay/{waiting.public_id}",
    ):
        page.goto(path)
        assert fits(page), path

    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copiar").click()
    expect(page.get_by_role("button", name="Copiado")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == waiting.clabe
