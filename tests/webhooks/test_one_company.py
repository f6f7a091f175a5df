"""Two accounts of one company at STP: money for either CLABE prefix is found and booked once."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta

import pytest
from django.db import transaction
from django.test import Client

from core import clock
from core.errors import ProviderUnavailable
from core.state import Origin, TransitionRow
from payments.models import Clabe, Deposit, Payment, ProviderAccount
from payments.providers.stp import clabes
from payments.services import clabe as clabe_service
from payments.services import payment as payment_service
from payments.services import provider_account, review_case
from payments.services.provider_account import Use
from tests.concurrency.threads import at_once
from tests.payments.providers.conftest import server as server  # noqa: PLC0414 - a fixture
from tests.payments.providers.http_server import replies
from tests.provider_messages import StpSender
from webhooks.inbound.services import poll
from webhooks.models import ProviderEvent

CONFIRM = (200, {"mensaje": "confirmar"})
ORIGIN = Origin(TransitionRow.Cause.API, "key_test")


def told(answer) -> tuple[int, dict]:
    return answer.status_code, answer.json()


def spei(merchant) -> Payment:
    wanted = payment_service.NewPayment(Payment.Method.SPEI, 100_000, clock.now() + timedelta(days=1))
    with transaction.atomic():
        return payment_service.create(merchant, livemode=False, wanted=wanted, origin=ORIGIN)


def account_at_stp(stp, *, name: str, livemode: bool = False, number: int = 7) -> StpSender:
    account = ProviderAccount.objects.create(
        provider="stp",
        livemode=livemode,
        name=name,
        takes_new=False,
        webhook_username=f"stp-{number}",
        webhook_secret_sha256=hashlib.sha256(b"another").hexdigest(),
        clabe_prefix=f"646180157{number}",
        clabe_sequence=number,
    )
    return StpSender(stp.client, account, f"stp-{number}", "another")


@pytest.fixture
def successor(stp) -> StpSender:
    """The account whose prefix follows; new payments are made there."""
    sender = account_at_stp(stp, name=stp.account.name)
    provider_account.set_use(sender.account.pk, Use.NEW)
    return sender


@pytest.mark.usefixtures("committed_db")
def test_a_new_prefix_takes_over_and_both_senders_find_both_prefixes(merchant, stp):
    before = spei(merchant)
    successor = account_at_stp(stp, name=stp.account.name)
    provider_account.set_use(successor.account.pk, Use.NEW)
    after = spei(merchant)

    assert (before.clabe[:10], after.clabe[:10]) == ("6461801570", "6461801577")
    assert told(successor.post(stp.deposit(before.clabe, 100_000, claveRastreo="A"))) == CONFIRM
    assert told(stp.post(stp.deposit(after.clabe, 100_000, claveRastreo="B"))) == CONFIRM

    assert set(Payment.objects.values_list("status", flat=True)) == {"completed"}
    assert set(Deposit.objects.values_list("provider_account", flat=True)) == {stp.account.pk}
    assert set(Payment.objects.values_list("provider_account", flat=True)) == {stp.account.pk, successor.account.pk}


@pytest.mark.usefixtures("committed_db")
@pytest.mark.parametrize("to", ["payment", "reusable", "unknown"])
def test_one_transfer_reported_to_both_accounts_is_booked_once(merchant, stp, successor, to):
    clabe = clabes.build("6461801577", 9_999_999)
    if to == "payment":
        clabe = spei(merchant).clabe
    elif to == "reusable":
        with transaction.atomic():
            made = clabe_service.create(merchant, livemode=False, wanted=clabe_service.NewClabe(), origin=ORIGIN)
        clabe = made.clabe
    raw = stp.deposit(clabe, 100_000)

    answers = [told(sender.post(raw)) for sender in (stp, successor, successor, stp)]

    assert answers == [CONFIRM] * 4
    assert Deposit.objects.count() == 1
    assert sorted(ProviderEvent.objects.values_list("status", "reason")) == [
        ("ignored", "duplicate"),
        ("processed", "suspended:unknown_clabe" if to == "unknown" else "credited"),
    ]


@pytest.mark.usefixtures("committed_db")
def test_money_on_a_clabe_of_the_new_prefix_belongs_to_its_account(merchant, stp, successor):
    with transaction.atomic():
        clabe_service.create(merchant, livemode=False, wanted=clabe_service.NewClabe(), origin=ORIGIN)

    stp.post(stp.deposit(Clabe.objects.get().clabe, 5_000))

    payment = Payment.objects.get()
    assert (payment.status, payment.provider_account) == ("completed", successor.account)


@pytest.mark.django_db
@pytest.mark.parametrize("change", [{"name": "OTRA_EMPRESA"}, {"livemode": True}])
def test_another_company_or_mode_finds_none_of_our_clabes(merchant, stp, change):
    payment = spei(merchant)
    stranger = account_at_stp(stp, **({"name": stp.account.name} | change))

    assert told(stranger.post(stp.deposit(payment.clabe, 100_000))) == CONFIRM

    payment.refresh_from_db()
    assert payment.status == "pending"
    assert Deposit.objects.get().suspense_reason == "unknown_clabe"


@pytest.mark.django_db
def test_an_account_that_takes_no_new_payments_still_hears_its_notices(merchant, stp):
    payment = spei(merchant)
    provider_account.set_use(stp.account.pk, Use.NOTICES)

    with pytest.raises(ProviderUnavailable):
        spei(merchant)
    assert told(stp.post(stp.deposit(payment.clabe, 100_000))) == CONFIRM
    payment.refresh_from_db()
    assert payment.status == "completed"

    provider_account.set_use(stp.account.pk, Use.NOTHING)
    assert stp.post(stp.deposit(payment.clabe, 1, claveRastreo="C")).status_code == 401


@pytest.mark.usefixtures("committed_db")
def test_staff_can_assign_money_to_the_other_prefix_of_the_company(merchant, stp, successor):
    payment = spei(merchant)
    stp.post(stp.deposit(clabes.build("6461801570", 9_999_998), 100_000))
    case = Deposit.objects.get().review_case

    with transaction.atomic():
        review_case.assign(case.pk, payment.public_id, origin=ORIGIN, reason="The payer's mistake")

    payment.refresh_from_db()
    assert payment.status == "completed"


@pytest.mark.usefixtures("committed_db")
def test_a_company_is_polled_once_and_known_notices_of_its_accounts_are_skipped(
    merchant, stp, successor, server, signing_key, tmp_path, settings
):
    settings.INBOX_POLL_GRACE = timedelta(seconds=-5)
    (tmp_path / f"{successor.account.public_id}.pem").write_bytes(
        (tmp_path / f"{stp.account.public_id}.pem").read_bytes()
    )
    payment = spei(merchant)
    raw = stp.deposit(payment.clabe, 100_000)
    listed = {**json.loads(raw), "estado": "LQ", "institucionContraparte": 40012}
    server.answer = replies(200, {"estado": 0, "datos": [listed], "total": 1}, Connection="close")
    ProviderAccount.objects.update(base_url=server.address)
    stp.post(raw)

    assert poll.poll_all() == 0

    days = [body.get("fechaOperacion", "today") for *_, body in server.requests]
    assert len(days) == len(set(days)) >= 8
    assert ProviderEvent.objects.count() == 1


def test_an_account_without_a_company_is_its_own(db, conekta):
    assert provider_account.company_accounts(conekta.account) == (conekta.account,)


@pytest.mark.usefixtures("committed_db")
@pytest.mark.parametrize("known", [True, False])
def test_both_accounts_reporting_at_once_book_the_money_once(merchant, stp, successor, known):
    clabe = spei(merchant).clabe if known else clabes.build("6461801577", 9_999_999)
    raw = stp.deposit(clabe, 100_000)

    answers = at_once([lambda s=sender: told(s.post(raw, client=Client())) for sender in [stp, successor] * 4])

    assert answers == [CONFIRM] * 8
    assert Deposit.objects.count() == 1
    assert ProviderEvent.objects.count() == 2
