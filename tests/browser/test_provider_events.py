"""Provider events in a real browser: the list, one event, its replay, the inbox's health, an exchange of secrets."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from payments.models import ProviderCall
from tests.factories.browser import shot
from tests.factories.oxxo import attach, make_payment
from tests.factories.payment import make_payment as make_spei_payment
from webhooks.inbound.services import applying
from webhooks.models import ProviderEvent


def test_staff_finds_replays_and_watches(page: Page, merchant, conekta, stp, monkeypatch, settings) -> None:
    payment = attach(make_payment(merchant))
    with monkeypatch.context() as patched:
        patched.setattr(settings, "INBOX_TRIES", 0)
        patched.setattr(applying.notice_service, "apply", lambda *_, **__: 1 / 0)
        assert conekta.post(conekta.event(payment)).status_code == 500
    stp.post(b"not json")
    event = ProviderEvent.objects.get(status="dead")

    page.goto("/admin/webhooks/providerevent/")
    expect(page.get_by_text("abandonado").first).to_be_visible()
    shot(page, "events")
    page.goto("/admin/webhooks/providerevent/health/")
    expect(page.get_by_text("ZeroDivisionError")).to_be_visible()
    shot(page, "health")
    page.goto(f"/admin/webhooks/providerevent/{event.public_id}/change/")
    expect(page.get_by_text("Cronología")).to_be_visible()
    shot(page, "event")
    page.get_by_role("link", name="Reprocesar").click()
    expect(page.get_by_text("Quedaría: procesado (abonado).")).to_be_visible()
    shot(page, "replay")
    page.get_by_label("Motivo").fill("Error corregido")
    page.get_by_role("button", name="Reprocesar evento").click()
    expect(page.get_by_text("Error corregido ← ZeroDivisionError")).to_be_visible()
    shot(page, "replayed")
    event.refresh_from_db()
    assert event.status == "processed"


def test_staff_exchanges_a_secret(page: Page, stp) -> None:
    stp.post(stp.deposit("646180157099999997", 100))

    page.goto(f"/admin/payments/provideraccount/{stp.account.public_id}/change/")
    shot(page, "account")
    page.get_by_role("link", name="Secreto nuevo").click()
    page.get_by_role("button", name="Secreto nuevo").click()
    expect(page.get_by_label("Dirección para STP").first).to_be_visible()
    shot(page, "secret")
    page.get_by_role("link", name="Volver a la cuenta con el proveedor").click()
    expect(page.get_by_text("Terminar cambio")).to_be_visible()
    shot(page, "exchanging")


def test_staff_settles_a_contradiction_with_a_reason(page: Page, merchant, stp) -> None:
    payment = make_spei_payment(merchant)
    stp.post(stp.deposit(payment.clabe, 100_000))
    stp.post(stp.deposit(payment.clabe, 99_999))
    event = ProviderEvent.objects.get(status="conflict")

    page.goto(f"/admin/webhooks/providerevent/{event.public_id}/change/")
    shot(page, "conflict")
    page.get_by_role("link", name="Marcar como atendido").click()
    shot(page, "resolve")
    page.get_by_label("Motivo").fill("STP corrigió el monto por teléfono")
    page.get_by_role("button", name="Marcar como atendido").click()
    expect(page.get_by_text("STP corrigió el monto por teléfono").first).to_be_visible()
    shot(page, "resolved")
    event.refresh_from_db()
    assert event.status == "resolved"


def test_the_history_says_where_it_ends_and_what_to_do(page: Page, merchant, stp) -> None:
    payment = make_spei_payment(merchant)
    stp.post(stp.deposit(payment.clabe, 100_000))

    page.goto("/admin/payments/payment/?p=201")
    shot(page, "beyond")
    page.goto("/admin/payments/payment/?q=nadie+se+llama+así")
    shot(page, "nobody")
    expect(page.get_by_text("Sin resultados")).to_be_visible()


def test_staff_reads_calls_and_moves_new_payments_to_another_account(page: Page, merchant, conekta, stp) -> None:
    payment = make_payment(merchant)
    call = ProviderCall.objects.create(
        account=conekta.account,
        livemode=False,
        operation="create_order",
        object_id=payment.public_id,
        request='{"method": "POST", "path": "/orders", "body": {"currency": "MXN", "customer_info": {"name": "A…"}}}',
    )
    answer = '{"object": "error", "details": [{"code": "conekta.errors.timeout"}]}'
    ProviderCall.objects.filter(pk=call.pk).update(outcome="unknown", status=504, answer=answer, duration_ms=10_004)
    ProviderCall.objects.create(account=stp.account, livemode=False, operation="list_deposits", request="{}")

    page.goto(f"/admin/payments/payment/{payment.public_id}/change/")
    expect(page.get_by_text("create_order")).to_be_visible()
    shot(page, "payment_calls")
    page.goto("/admin/payments/providercall/")
    expect(page.get_by_text("sin respuesta todavía")).to_be_visible()
    shot(page, "calls")
    page.goto(f"/admin/payments/providercall/{call.pk}/change/")
    expect(page.get_by_text("conekta.errors.timeout")).to_be_visible()
    shot(page, "call")
    page.goto(f"/admin/payments/provideraccount/{stp.account.public_id}/change/")
    page.get_by_role("link", name="Cambiar uso").click()
    page.get_by_label("Solo recibe avisos").check()
    shot(page, "use")
    page.get_by_role("button", name="Cambiar uso").click()
    expect(page.get_by_text("Recibe avisos")).to_be_visible()
    shot(page, "account_use")
    stp.account.refresh_from_db()
    assert (stp.account.takes_new, stp.account.hears_notices) == (False, True)
