from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from ledger.models import Account, Entry, Transaction
from payments.models import Deposit, Payment, ProviderAccount, Report
from tests.backoffice.conftest import Desk, PayoutDesk, with_endpoint, with_payouts
from tests.conftest import Api
from tests.provider_messages import StpSender
from webhooks.models import Delivery, Endpoint, ProviderEvent

MONEY = ["payments_payment", "payments_deposit", "webhooks_providerevent", "ledger_transaction", "ledger_account"]
READ_ONLY = [*MONEY, "payments_provideraccount", "merchants_apikey", "payments_report", "payments_destination"]
READ_ONLY += ["webhooks_endpoint", "webhooks_delivery"]
CRAFTED = {
    "status": "completed",
    "amount": "1",
    "amount_received": "1",
    "livemode": "on",
    "_save": "1",
    "deposits-TOTAL_FORMS": "0",
    "deposits-INITIAL_FORMS": "0",
    "transitions-TOTAL_FORMS": "0",
    "transitions-INITIAL_FORMS": "0",
}


@pytest.fixture
def desk(desk: Desk, api: Api, stp: StpSender) -> PayoutDesk:
    with_endpoint(desk.merchant)
    return with_payouts(desk, api, stp)


def snapshot() -> list[Any]:
    models = [Payment, Deposit, Report, ProviderEvent, Transaction, Entry, Account, ProviderAccount, Endpoint, Delivery]
    return [list(model.objects.order_by("pk").values()) for model in models]  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", READ_ONLY)
def test_even_a_superuser_changes_nothing_about_money(page: str, desk: Desk, admin_client: Client) -> None:
    public_id = desk.pages()[page]
    before = snapshot()

    change = admin_client.post(reverse(f"admin:{page}_change", args=[public_id]), CRAFTED)
    delete = admin_client.post(reverse(f"admin:{page}_delete", args=[public_id]), {"post": "yes"})
    add = admin_client.post(reverse(f"admin:{page}_add"), CRAFTED)
    action = admin_client.post(
        reverse(f"admin:{page}_changelist"),
        {"action": "delete_selected", "_selected_action": "1", "post": "yes", "index": "0"},
    )

    assert [change.status_code, delete.status_code, add.status_code] == [403, 403, 403]
    assert action.status_code in (200, 302, 403)
    assert snapshot() == before


@pytest.mark.parametrize("page", [*READ_ONLY, "kyc_case", "payments_payout"])
def test_every_list_and_page_opens_by_public_id(page: str, desk: Desk, admin_client: Client) -> None:
    public_id = desk.pages()[page]

    assert admin_client.get(reverse(f"admin:{page}_changelist")).status_code == 200
    assert admin_client.get(reverse(f"admin:{page}_changelist"), {"q": "100%_off"}).status_code == 200
    shown = admin_client.get(reverse(f"admin:{page}_change", args=[public_id]))

    assert shown.status_code == 200
    assert 'name="_save"' not in shown.content.decode()


@pytest.mark.parametrize("page", [*READ_ONLY, "kyc_case", "payments_payout", "backoffice_transfer"])
def test_without_permission_nothing_is_shown(page: str, desk: Desk, client: Client, django_user_model: Any) -> None:
    client.force_login(django_user_model.objects.create_user("nadie", password="x", is_staff=True))

    assert client.get(reverse(f"admin:{page}_changelist")).status_code == 403


def test_a_payment_shows_its_deposits_history_events_and_transactions(desk: Desk, admin_client: Client) -> None:
    deposit = desk.paid.deposits.get()
    event = ProviderEvent.objects.get(object_id=desk.paid.public_id)
    transaction = Transaction.objects.get(source=deposit.public_id)

    page = admin_client.get(reverse("admin:payments_payment_change", args=[desk.paid.public_id])).content.decode()

    assert "$1,250.50" in page
    assert all(thing.public_id in page for thing in (deposit, event, transaction, desk.merchant))
    assert "012180********5996" in page
    assert "012180015025335996" not in page


def test_whoever_may_not_see_events_or_books_does_not_see_them_below_a_payment(
    desk: Desk, client: Client, django_user_model: Any
) -> None:
    from django.contrib.auth.models import Permission

    user = django_user_model.objects.create_user("caja", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_payment"))
    client.force_login(user)

    page = client.get(reverse("admin:payments_payment_change", args=[desk.paid.public_id]))

    assert page.status_code == 200
    assert page.context["trail"] == []
    assert Transaction.objects.earliest("id").public_id not in page.content.decode()


def test_no_secret_of_a_provider_account_is_shown(desk: Desk, admin_client: Client) -> None:
    for account in ProviderAccount.objects.all():
        url = reverse("admin:payments_provideraccount_change", args=[account.public_id])
        page = admin_client.get(url).content.decode()
        secrets = [account.webhook_secret_sha256, account.webhook_username, *account.webhook_public_keys]
        secrets += list(account.credentials.values())
        assert not [secret for secret in secrets if secret and secret in page]


def test_a_transaction_shows_its_legs_in_two_columns(desk: Desk, admin_client: Client) -> None:
    transaction = Transaction.objects.get(source=desk.paid.deposits.get().public_id)

    page = admin_client.get(reverse("admin:ledger_transaction_change", args=[transaction.public_id]))

    text = page.content.decode()
    assert "platform:stp_cash" in text
    assert "$1,250.50" in text
    assert f"{desk.merchant.public_id}:available" in text
    assert f"/admin/payments/deposit/{transaction.source}/change/" in text


def test_an_account_shows_its_balance_on_its_normal_side(desk: Desk, admin_client: Client) -> None:
    suspense = Account.objects.get(purpose="suspense")

    page = admin_client.get(reverse("admin:ledger_account_change", args=[suspense.pk])).content.decode()
    entries = admin_client.get(
        reverse("admin:ledger_transaction_changelist"), {"entries__account__id__exact": suspense.pk}
    )

    assert ">$99.00<" in page
    assert entries.context["cl"].result_list.count() == 1


def test_deleting_is_offered_for_fees_and_banking_days_only() -> None:
    deletable = [
        model._meta.label_lower
        for model, options in admin.site._registry.items()
        if options.has_delete_permission(_superuser_request())
    ]

    assert sorted(deletable) == ["payments.feerule", "staff.bankingday"]


def _superuser_request() -> Any:
    from django.contrib.auth.models import User
    from django.test import RequestFactory

    request = RequestFactory().get("/")
    request.user = User(username="x", is_active=True, is_staff=True, is_superuser=True)
    return request
