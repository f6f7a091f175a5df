"""Staff pastes identifiers as other programs and our own pages show them."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from payments.models import Clabe, Deposit, Destination, ReviewCase
from tests.backoffice.conftest import Desk, PayoutDesk, with_payouts
from tests.conftest import Api
from tests.history import copy_of
from tests.provider_messages import StpSender
from webhooks.models import ProviderEvent

BETWEEN = [" ", "  ", "-", "\u00a0", "\u202f", "\u200b", "\u2011", "\u2013"]


@pytest.fixture
def desk(desk: Desk, api: Api, stp: StpSender) -> PayoutDesk:
    return with_payouts(desk, api, stp)


def found(client: Client, page: str, written: str) -> list[Any]:
    answer = client.get(f"/admin/{page}/", {"q": written})
    assert answer.status_code == 200
    return list(answer.context["cl"].result_list)


def grouped(text: str, between: str) -> str:
    return between.join(text[start : start + 4] for start in range(0, len(text), 4))


@pytest.mark.parametrize("between", BETWEEN)
def test_every_list_finds_an_identifier_that_was_copied_in_groups(
    between: str, desk: PayoutDesk, admin_client: Client
) -> None:
    deposit, case = desk.suspended, ReviewCase.objects.get()
    event = ProviderEvent.objects.get(business_key="AJENO1")
    reusable = Clabe.objects.create(
        merchant=desk.merchant,
        livemode=False,
        provider_account=deposit.provider_account,
        clabe="646180157099999981",
        customer_phone="+525512345678",
    )
    cash = copy_of(desk.waiting, voucher_reference="93507299104432")

    for page, text, expected in (
        ("payments/payment", desk.paid.clabe, [desk.paid.pk]),
        ("payments/payment", "93507299104432", [cash.pk]),
        ("payments/payment", desk.paid.public_id, [desk.paid.pk]),
        ("payments/payout", desk.payout.destination_clabe, [desk.proposed.pk, desk.payout.pk]),
        ("payments/payout", desk.payout.tracking_key, [desk.payout.pk]),
        ("payments/payout", desk.payout.public_id, [desk.payout.pk]),
        ("payments/destination", desk.payout.destination_clabe, [Destination.objects.get().pk]),
        ("backoffice/transfer", desk.paid.clabe, [desk.paid.public_id]),
        ("backoffice/transfer", deposit.clabe, [deposit.public_id]),
        ("backoffice/transfer", "93507299104432", [cash.public_id]),
        ("backoffice/transfer", deposit.public_id, [deposit.public_id]),
        ("payments/deposit", deposit.clabe, [deposit.pk]),
        ("payments/deposit", "AJENO1", [deposit.pk]),
        ("payments/reviewcase", deposit.clabe, [case.pk]),
        ("payments/reviewcase", case.public_id, [case.pk]),
        ("payments/clabe", reusable.clabe, [reusable.pk]),
        ("payments/clabe", "5512345678", [reusable.pk]),
        ("webhooks/providerevent", "AJENO1", [event.pk]),
        ("webhooks/providerevent", event.public_id, [event.pk]),
    ):
        assert [one.pk for one in found(admin_client, page, grouped(text, between))] == expected, (page, text)


def test_an_id_is_found_in_capitals_and_a_free_text_with_its_own_separators(
    desk: PayoutDesk, admin_client: Client, stp: StpSender
) -> None:
    stray = stp.deposit("646180157099999994", 9900, claveRastreo="OTRO2", nombreOrdenante="Grupo 2000-123 Norte")
    assert stp.post(stray).status_code == 200
    other = Deposit.objects.get(tracking_key="OTRO2")

    assert [p.pk for p in found(admin_client, "payments/payment", desk.paid.public_id.capitalize())] == [desk.paid.pk]
    assert [d.pk for d in found(admin_client, "payments/deposit", "2000-123")] == [other.pk]
    assert [d.pk for d in found(admin_client, "payments/deposit", "norte grupo")] == [other.pk]
    assert found(admin_client, "payments/deposit", "6461 0000 1111") == []
