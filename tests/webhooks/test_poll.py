"""Polling over HTTP at the simulators finds lost notices."""

from __future__ import annotations

import json
import secrets
from datetime import timedelta

import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric import rsa
from django.db import transaction

from core import clock
from core.money import MAX_AMOUNT
from core.state import Origin, TransitionRow
from ledger.services import balance
from payments.models import Deposit, Payment
from payments.providers.stp import clabes
from payments.services import payment as payment_service
from tests.factories.oxxo import inbox as inbox_rows
from tests.factories.oxxo import make_payment, pem
from tests.payments.providers.conftest import server as server  # noqa: PLC0414 - a fixture
from tests.payments.providers.http_server import replies
from tests.problems import rows
from webhooks.inbound.services import inbox, poll
from webhooks.models import ProviderEvent, ProviderPoll

pytest_plugins = ["tests.sandbox_process"]


@pytest.fixture(autouse=True)
def _no_grace(settings):
    settings.INBOX_POLL_GRACE = timedelta(seconds=-5)


def at_stp(simulator, account, key) -> None:
    account.base_url = f"{simulator.url}/stp"
    account.name = f"EMPRESA_{secrets.token_hex(4)}"
    account.save(update_fields=["base_url", "name"])
    config = {"empresa": account.name, "clabe_prefix": account.clabe_prefix, "public_key": pem(key)}
    answer = simulator.client.put("/_sim/stp/config", json={**config, "deposits_url": "http://127.0.0.1:9/lost"})
    assert answer.status_code == 200, answer.text


def spei_payment(merchant) -> Payment:
    wanted = payment_service.NewPayment(Payment.Method.SPEI, 100_000, clock.now() + timedelta(days=1))
    with transaction.atomic():
        return payment_service.create(
            merchant, livemode=False, wanted=wanted, origin=Origin(TransitionRow.Cause.API, "key_test")
        )


def test_cash_whose_webhook_never_came_is_credited(committed_db, merchant, at_conekta):
    payment = make_payment(merchant)
    payment_service.request_voucher(payment.pk)
    payment.refresh_from_db()
    paid = at_conekta.simulator.client.post("/_sim/conekta/pay", json={"reference": payment.voucher_reference})
    assert paid.status_code == 202, paid.text

    assert poll.poll(at_conekta.account) == 2

    payment.refresh_from_db()
    assert (payment.status, payment.amount_received) == ("completed", 25_000)
    assert sorted(kind for kind, _, _ in inbox_rows()) == ["charge.paid", "order.paid"]
    assert set(ProviderEvent.objects.values_list("channel", flat=True)) == {"conekta.list"}
    assert Deposit.objects.count() == 1
    state = ProviderPoll.objects.get()
    assert (state.found, state.last_error) == (2, "")
    before = rows()
    assert poll.poll(at_conekta.account) == 0
    assert rows() == before


def test_a_webhook_that_comes_after_all_is_a_repetition(committed_db, merchant, at_conekta, conekta):
    payment = make_payment(merchant)
    payment_service.request_voucher(payment.pk)
    payment.refresh_from_db()
    client = at_conekta.simulator.client
    client.post("/_sim/conekta/pay", json={"reference": payment.voucher_reference})
    poll.poll(at_conekta.account)
    before = rows()
    listed = client.get("/conekta/events", headers={"Authorization": f"Bearer {at_conekta.api_key}"}).json()["data"]

    for event in listed:
        raw = json.dumps({**event, "webhook_status": "pending"}).encode()
        assert conekta.post(raw).json() == {"received": True}

    assert len(listed) == 2
    assert rows() == before


def test_a_transfer_whose_notice_never_came_is_credited(committed_db, merchant, conekta_process, stp, signing_key):
    at_stp(conekta_process, stp.account, signing_key)
    payment = spei_payment(merchant)
    sent = {"clabe": payment.clabe, "amount": 100_000, "times": 0}
    assert conekta_process.client.post("/_sim/stp/deposits", json=sent).status_code == 202

    assert poll.poll(stp.account) == 1

    payment.refresh_from_db()
    assert payment.status == "completed"
    assert balance.of_merchant(merchant, livemode=False).available == 98_840
    event = ProviderEvent.objects.get()
    assert (event.channel, event.event_type, event.status) == ("stp.conciliation", "stp.deposit", "processed")
    assert poll.poll(stp.account) == 0

    late = conekta_process.client.get(f"/_sim/stp/deposits/{_deposit_id(event)}").json()["body"]
    answer = stp.post(late.encode())
    assert (answer.status_code, answer.json()) == (200, {"mensaje": "confirmar"})
    assert (ProviderEvent.objects.count(), Deposit.objects.count()) == (1, 1)


def _deposit_id(event: ProviderEvent) -> int:
    return int(json.loads(event.body or b"")["idEF"])


def test_what_came_by_itself_is_not_taken_twice(committed_db, merchant, conekta_process, stp, signing_key):
    at_stp(conekta_process, stp.account, signing_key)
    sent = {"clabe": clabes.build("6461801570", 9_999_999), "amount": 5_000, "times": 0}
    deposit = conekta_process.client.post("/_sim/stp/deposits", json=sent).json()
    body = conekta_process.client.get(f"/_sim/stp/deposits/{deposit['id']}").json()["body"]
    inbox.receive(stp.account, body.encode(), remote_address=None)
    before = rows()

    assert poll.poll(stp.account) == 0

    assert rows() == before


def test_every_listed_transfer_that_cannot_be_read_is_kept_and_asked_for_once(
    committed_db, conekta_process, stp, server, signing_key
):
    listed = [{"estado": "LQ", "claveRastreo": f"K{number}"} for number in range(3)]
    server.answer = replies(200, {"estado": 0, "datos": listed, "total": 3}, Connection="close")
    stp.account.base_url = server.address
    stp.account.save(update_fields=["base_url"])

    assert poll.poll(stp.account) == 3

    stored = ProviderEvent.objects.values_list("status", "attempts")
    assert list(stored) == [("retry", 0)] * 3
    before = rows()
    assert poll.poll(stp.account) == 0
    assert rows() == before


def test_two_listed_transfers_with_one_key_are_a_conflict_not_one_of_them(
    committed_db, merchant, stp, server, signing_key
):
    payment = spei_payment(merchant)
    one, other = (
        {**json.loads(stp.deposit(payment.clabe, amount)), "estado": "LQ", "institucionContraparte": 40012}
        for amount in (100_000, 70_000)
    )
    server.answer = replies(200, {"estado": 0, "datos": [one, other], "total": 2}, Connection="close")
    stp.account.base_url = server.address
    stp.account.save(update_fields=["base_url"])

    assert poll.poll(stp.account) == 2

    assert sorted(ProviderEvent.objects.values_list("status", flat=True)) == ["conflict", "processed"]
    assert list(Deposit.objects.values_list("amount", flat=True)) == [100_000]


def test_not_a_centavo_of_a_listed_transfer_is_lost_in_a_float(committed_db, stp, server, signing_key):
    listed = json.loads(stp.deposit("646180157099999990", 100, monto="@")) | {
        "estado": "LQ",
        "institucionContraparte": 40012,
    }
    raw = json.dumps({"estado": 0, "datos": [listed], "total": 1}).replace('"@"', "90071992547409.91").encode()
    server.answer = replies(200, raw, Connection="close")
    stp.account.base_url = server.address
    stp.account.save(update_fields=["base_url"])

    assert poll.poll(stp.account) == 1

    assert Deposit.objects.get().amount == MAX_AMOUNT


def test_a_payment_that_is_held_delays_its_money_and_stops_no_other_provider(
    production_timeouts, merchant, at_conekta, stp, server, signing_key, owner
):
    payment = make_payment(merchant)
    payment_service.request_voucher(payment.pk)
    payment.refresh_from_db()
    at_conekta.simulator.client.post("/_sim/conekta/pay", json={"reference": payment.voucher_reference})
    server.answer = replies(200, {"estado": 0, "datos": [], "total": 0}, Connection="close")
    stp.account.base_url = server.address
    stp.account.save(update_fields=["base_url"])
    owner.execute("SELECT 1 FROM payments_payment FOR UPDATE")

    assert poll.poll_all() == 0

    conekta, other = (ProviderPoll.objects.get(account=account) for account in (at_conekta.account, stp.account))
    assert (conekta.covered_until, conekta.last_error[:21]) == (None, "The database was busy")
    assert other.covered_until is not None
    owner.rollback()
    assert poll.poll_all() == 2
    assert Deposit.objects.count() == 1


def test_a_failed_poll_is_reported_and_covered_by_the_next(committed_db, merchant, at_conekta):
    poll.poll(at_conekta.account)
    covered = ProviderPoll.objects.get().covered_until
    at_conekta.move("http://127.0.0.1:9/conekta")

    with time_machine.travel(clock.now() + timedelta(hours=5)):
        assert poll.poll_all() == 0

    state = ProviderPoll.objects.get()
    assert state.covered_until == covered
    assert state.last_error.startswith("Conekta could not be reached")


def test_a_wrong_key_for_stp_is_reported_and_stops_no_other_account(
    committed_db, merchant, conekta_process, stp, signing_key, settings
):
    at_stp(conekta_process, stp.account, rsa.generate_private_key(public_exponent=65537, key_size=2048))
    assert poll.poll_all() == 0
    assert ProviderPoll.objects.get().last_error == "Firma invalida Firma Invalida"

    settings.STP_SIGNING_PASSWORD = "wrong"
    assert poll.poll_all() == 0
    assert "STP's signing key" in ProviderPoll.objects.get().last_error


def test_an_account_without_a_signing_key_is_not_asked(committed_db, stp):
    stp.account.base_url = "http://127.0.0.1:9/stp"
    stp.account.save(update_fields=["base_url"])

    assert poll.poll(stp.account) == 0
    assert ProviderPoll.objects.get().asked_at is None
