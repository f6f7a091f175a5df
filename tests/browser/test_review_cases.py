"""The review queue in a real browser: from the list to the books, by a reason and a confirmation."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from ledger.services import balance
from merchants.models import Merchant
from payments.models import Payment, ReviewCase
from tests.conftest import Api
from tests.factories.browser import fits, shot
from tests.problems import rows
from tests.provider_messages import StpSender


def underpaid(api: Api, stp: StpSender, name: str) -> ReviewCase:
    body = {"method": "spei", "amount": 100_000, "currency": "MXN", "external_id": name}
    made = api.post("/v1/payments", body, key=name).json()
    stp.post(stp.deposit(made["spei"]["clabe"], 99_999, claveRastreo=name.replace("-", "")))
    return ReviewCase.objects.get(payment__public_id=made["id"])


def test_money_under_review_is_credited_with_a_reason_and_a_confirmation(
    page: Page,
    api: Api,
    stp: StpSender,
    merchant: Merchant,
) -> None:
    case = underpaid(api, stp, "pedido-1")
    before = rows()

    page.goto("/admin/")
    page.get_by_role("link", name="Casos de revisión").first.click()
    expect(page.get_by_text("$999.99")).to_be_visible()
    shot(page, "queue")
    page.get_by_role("link", name=case.public_id).click()
    expect(page.get_by_text("menos que el importe del pago").first).to_be_visible()
    expect(page.get_by_text("$1,000.00").first).to_be_visible()
    shot(page, "case")
    page.get_by_role("link", name="Abonar a donde se envió").click()
    page.get_by_role("button", name="Continuar").click()
    expect(page.get_by_text("Este campo es requerido.")).to_be_visible()
    shot(page, "no reason")
    page.get_by_label("Motivo").fill("La clienta mandó su comprobante.")
    page.get_by_role("button", name="Continuar").click()
    expect(page.get_by_text("$988.39")).to_be_visible()
    shot(page, "confirm")
    assert rows() == before
    page.get_by_role("button", name="Confirmar").click()
    expect(page.get_by_text("La clienta mandó su comprobante.")).to_be_visible()
    expect(page.get_by_role("link", name="Abonar a donde se envió")).to_have_count(0)
    shot(page, "credited")

    case.refresh_from_db()
    assert (case.status, case.transitions.get(to_status="credited").actor) == ("credited", "ana")
    assert Payment.objects.get().amount_received == 99_999
    assert balance.of_merchant(merchant, livemode=False).available == 98_839
    assert balance.of_platform(livemode=False)["suspense"] == 0


@pytest.mark.parametrize("page", [{"width": 390, "height": 844}], indirect=True)
def test_money_goes_to_another_payment_from_a_phone(
    page: Page,
    api: Api,
    stp: StpSender,
) -> None:
    case, other = underpaid(api, stp, "pedido-1"), underpaid(api, stp, "pedido-2").payment

    page.goto(f"/admin/payments/reviewcase/{case.public_id}/change/")
    assert fits(page)
    page.goto(f"/admin/payments/reviewcase/{case.public_id}/assign/")
    page.get_by_label("Pago, CLABE o comercio").fill("pay_nada")
    page.get_by_label("Motivo").fill("Se equivocó de CLABE.")
    page.get_by_role("button", name="Continuar").click()
    shot(page, "no such target")
    page.get_by_label("Pago, CLABE o comercio").fill(other.public_id)
    page.get_by_role("button", name="Continuar").click()
    expect(page.get_by_text(other.public_id)).to_be_visible()
    assert fits(page)
    shot(page, "assign")
    page.get_by_role("button", name="Confirmar").click()
    expect(page.get_by_text("Se equivocó de CLABE.")).to_be_visible()

    other.refresh_from_db()
    assert (other.status, other.amount_received) == ("completed", 99_999)
