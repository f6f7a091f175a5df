"""Refunds in the back office: the list, one refund's page, trying it again, the transfer history."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils.html import strip_tags

from payments.models import Refund
from staff.models import Approval
from tests.backoffice.conftest import Desk, PayoutDesk, with_payouts
from tests.conftest import Api
from tests.factories.refunds import create, failed, last, returned, settled
from tests.provider_messages import StpSender

pytestmark = pytest.mark.django_db

LIST = "/admin/payments/refund/"


@pytest.fixture
def desk(desk: Desk, api: Api, stp: StpSender) -> PayoutDesk:
    return with_payouts(desk, api, stp)


@pytest.fixture
def refund(desk: PayoutDesk, api: Api) -> Refund:
    """One that failed."""
    made = create(api, desk.paid, amount=40_000)
    failed(last(made))
    made.refresh_from_db()
    return made


def staff(*rights: str) -> Client:
    user = User.objects.create_user("-".join(rights), is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client = Client()
    client.force_login(user)
    return client


def shown(client: Client, address: str, **query: str) -> str:
    page = client.get(address, query)
    assert page.status_code == 200
    return strip_tags(page.content.decode())


def listed(client: Client, **query: str) -> list[Any]:
    return list(client.get(LIST, query).context["cl"].result_list)


def test_list_page_payment_and_transfer_history_show_a_refund(desk: PayoutDesk, refund: Refund, api: Api) -> None:
    client = staff("view_refund", "view_payout", "view_payment", "view_deposit", "view_transfer")
    back = create(api, desk.paid, amount=10_000)
    settled(last(back))
    returned(last(back))

    assert listed(client) == [back, refund]
    assert listed(client, status__exact="failed") == listed(client, q=refund.public_id) == [refund]
    assert listed(client, q=desk.paid.public_id) == [back, refund]
    page = shown(client, f"{LIST}{refund.public_id}/change/")
    for text in ("$400.00", "fallido", "La cuenta no existe", "JUAN PEREZ", "012180********5996", "Producto agotado"):
        assert text in page, text
    assert "3: la cuenta está cancelada" in shown(client, f"{LIST}{back.public_id}/change/")
    assert refund.public_id in shown(client, f"/admin/payments/payment/{desk.paid.public_id}/change/")
    assert refund.public_id in shown(client, f"/admin/payments/payout/{last(refund).public_id}/change/")
    history = client.get("/admin/backoffice/transfer/", {"kind__exact": "refund"}).context["cl"].result_list
    assert [transfer.id for transfer in history] == [last(back).public_id, last(refund).public_id]


def test_a_person_with_the_right_tries_again_and_a_second_one_approves(desk: PayoutDesk, refund: Refund) -> None:
    retry = f"{LIST}{refund.public_id}/retry/"
    able = staff("view_refund", "retry_refund", "add_approval")

    assert staff("view_refund").post(retry, {}).status_code == 403
    assert staff("view_refund", "retry_refund").post(retry, {}).status_code == 403
    assert "Volver a intentar" in shown(able, f"{LIST}{refund.public_id}/change/")
    answer = able.post(retry, {}, follow=True)

    assert answer.status_code == 200
    refund.refresh_from_db()
    assert (refund.status, last(refund).status) == ("pending", "pending_approval")
    assert Approval.objects.get(subject=last(refund).public_id).maker is not None
    assert "Volver a intentar" not in shown(able, f"{LIST}{refund.public_id}/change/").replace("Listo: Volver a", "")
    refused = able.post(retry, {})
    assert "Solo se puede volver a intentar un reembolso fallido o devuelto." in refused.content.decode()


def test_what_is_no_longer_refundable_is_refused_on_the_page(desk: PayoutDesk, refund: Refund, api: Api) -> None:
    create(api, desk.paid, amount=desk.paid.amount_received - 39_999)

    answer = staff("view_refund", "retry_refund", "add_approval").post(f"{LIST}{refund.public_id}/retry/", {})

    assert "todavía se pueden reembolsar $399.99" in answer.content.decode()
    assert refund.attempts.count() == 1
