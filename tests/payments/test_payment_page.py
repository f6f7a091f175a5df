from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from core import clock
from core.state import Origin
from merchants.models import Merchant
from payments.models import Payment, ProviderAccount
from payments.providers.conekta.messages import CashOrder
from payments.services import payment as payment_service
from tests.conftest import Api
from tests.history import copy_of
from tests.provider_messages import ConektaSender, StpSender


def create(api: Api, **fields: object) -> Payment:
    body = {"method": "spei", "amount": 125050, "currency": "MXN", **fields}
    return Payment.objects.get(public_id=api.post("/v1/payments", body).json()["id"])


def page_of(payment: Payment, client: Client) -> str:
    answer = client.get(f"/pay/{payment.public_id}")
    assert answer.status_code == 200
    assert "no-store" in answer.headers["Cache-Control"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    return answer.content.decode()


def test_a_spei_payment_says_where_and_how_much(api: Api, stp: StpSender, client: Client) -> None:
    payment = create(api, description="Pedido 7", expires_at=clock.to_rfc3339(clock.now() + timedelta(days=2)))
    clabe = payment.clabe or ""

    page = page_of(payment, client)

    assert "Café Luna" in page
    assert "Pedido 7" in page
    assert "$1,250.50" in page
    assert "".join(f"<i>{clabe[i : i + 4]}</i>" for i in range(0, 18, 4)) in page
    assert f'data-copy="{clabe}"' in page
    assert f"<dd>{payment.reference_number}</dd>" in page
    assert payment.expires_at.astimezone(clock.MEXICO_CITY).strftime("%H:%M h (Ciudad de México)") in page
    assert 'http-equiv="refresh"' in page
    assert "no son un comprobante de pago" in page
    assert "Modo de prueba" in page


def test_the_expiry_is_written_by_the_clock_of_mexico_city(api: Api, stp: StpSender, client: Client) -> None:
    payment = copy_of(create(api), expires_at=datetime(2027, 1, 1, 5, 30, tzinfo=UTC))

    assert "31 de diciembre de 2026, 23:30 h" in page_of(payment, client)


def test_an_oxxo_payment_waits_for_its_voucher_and_then_shows_it(
    merchant: Merchant, conekta: ConektaSender, client: Client, staff_origin: Origin
) -> None:
    wanted = payment_service.NewPayment(
        method=Payment.Method.OXXO, amount=125050, expires_at=clock.now() + timedelta(days=1)
    )
    payment = payment_service.create(merchant, livemode=False, wanted=wanted, origin=staff_origin)
    assert "Tu ficha de pago se está preparando" in page_of(payment, client)

    order = CashOrder(
        order_id="ord_1",
        charge_id="ch_1",
        status="pending_payment",
        amount=125050,
        currency="MXN",
        reference="93000262276908",
        barcode_url="https://barcodes.example.mx/93000262276908.png",
        store_name="OXXO",
        expires_at=None,
        paid_at=None,
        payment_id=payment.public_id,
        livemode=False,
    )
    payment_service.attach_voucher(payment.pk, order, actor=ProviderAccount.objects.get().public_id)
    page = page_of(payment, client)

    assert "<i>9300</i><i>0262</i><i>2769</i><i>08</i>" in page
    assert 'src="https://barcodes.example.mx/93000262276908.png"' in page
    assert "Esta ficha no es un comprobante de pago" in page


def test_a_paid_payment_says_so_and_not_who_paid(api: Api, stp: StpSender, client: Client) -> None:
    payment = create(api)
    stp.post(stp.deposit(payment.clabe or "", 125050))

    page = page_of(payment, client)

    assert "<h2>Pagado</h2>" in page
    assert "JUAN" not in page
    assert "5996" not in page
    assert payment.clabe not in page
    assert 'http-equiv="refresh"' not in page


@pytest.mark.parametrize(("change", "says"), [("expire", "Este pago venció"), ("cancel", "Este pago se canceló")])
def test_a_closed_payment_asks_for_no_money(change: str, says: str, api: Api, stp: StpSender, client: Client) -> None:
    payment = create(api)
    if change == "expire":
        payment.expire()
    else:
        payment.cancel(at=clock.now())
    payment.save()

    page = page_of(payment, client)

    assert says in page
    assert payment.clabe not in page
    assert 'http-equiv="refresh"' not in page


def test_the_page_is_spanish_for_every_accept_language(api: Api, stp: StpSender, client: Client) -> None:
    payment = create(api)

    page = client.get(f"/pay/{payment.public_id}", headers={"Accept-Language": "en-US"}).content.decode()

    assert "Paga antes del" in page
    assert " de " in page.partition("Paga antes del")[2][:60]


def test_names_are_text_never_markup(api: Api, stp: StpSender, client: Client) -> None:
    payment = create(api, description="<script>alert(1)</script>")

    assert "<script>alert(1)</script>" not in page_of(payment, client)


@pytest.mark.parametrize("path", ["pay_00000000000000000000000000", "x", "1", "%00", "../admin", "pay_%27%3B--"])
def test_an_unknown_address_is_a_friendly_404(path: str, db: None, client: Client) -> None:
    answer = client.get(f"/pay/{path}")

    assert answer.status_code == 404
    assert "No encontramos esta página" in answer.content.decode()


@pytest.mark.parametrize("name", ["payments/payment_page.html", "404.html", "500.html"])
def test_a_payers_page_loads_nothing_from_elsewhere(name: str) -> None:
    source = (Path(settings.BASE_DIR) / "templates" / name).read_text()

    assert "<script src" not in source
    assert "http://" not in source
    assert "https://" not in source
    assert "@import" not in source
