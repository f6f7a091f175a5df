"""Sending money is a recorded call: its row is there before the order leaves, and says what came of it."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import date
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import transaction

from core import calendar, clock
from core.errors import ProviderNotContacted
from payments.models import ProviderCall
from payments.providers.payout import OutgoingOrder, PayoutClient, SendReason
from payments.providers.stp import client as stp_client
from payments.services import provider_client
from payments_site import env
from tests.payments.providers.stp_orders import COMPANY, ORDER, key_pair

pytest_plugins = ["tests.sandbox_process"]
pytestmark = pytest.mark.usefixtures("committed_db")

PAYOUT = "po_01kb3x0000000000000000000a"


def today() -> date:
    return calendar.operating_date(clock.now())


def order(**changes: Any) -> OutgoingOrder:
    return replace(ORDER, tracking_key=f"T{secrets.token_hex(10)}", operating_date=today(), **changes)


def connect(at_stp) -> PayoutClient:
    return provider_client.connect_for_payouts(at_stp.account, about=PAYOUT)


def calls() -> list[tuple[str, str, int | None]]:
    return list(ProviderCall.objects.order_by("id").values_list("operation", "outcome", "status"))


def test_each_outcome_of_a_send_is_what_its_row_says(at_stp, black_hole, monkeypatch):
    sent = [order() for _ in range(4)]
    at_stp.script(sent[1].tracking_key, answer=-7)
    at_stp.script(sent[2].tracking_key, answer=-30)
    at_stp.script(sent[3].tracking_key, answer=-1)

    outcomes = [connect(at_stp).send(each).outcome for each in sent]
    at_stp.account.base_url = black_hole
    monkeypatch.setattr(stp_client, "SEND_SECONDS", 0.3)
    outcomes.append(connect(at_stp).send(order()).outcome)

    assert outcomes == ["accepted", "refused", "not_sent", "unknown", "unknown"]
    assert calls() == [("send_payout", outcome, 200) for outcome in outcomes[:4]] + [("send_payout", "unknown", None)]
    row = ProviderCall.objects.order_by("id").first()
    assert (row.object_id, row.livemode, row.account) == (PAYOUT, False, at_stp.account)
    for person in (ORDER.beneficiary_name, ORDER.beneficiary_clabe, ORDER.ordering_clabe, ORDER.concept):
        assert person not in row.request + row.answer
    assert sent[0].tracking_key in row.request and ORDER.reference in row.request


def test_a_send_waits_no_longer_than_two_and_ten_seconds():
    assert (stp_client.CONNECT_SECONDS, stp_client.SEND_SECONDS) == (2.0, 10.0)


def test_the_row_is_committed_before_the_order_leaves(at_stp, monkeypatch):
    seen = []

    def exchange(*args: Any, **kwargs: Any) -> tuple[int, bytes]:
        seen.extend(calls())
        raise KeyboardInterrupt  # the worker dies

    monkeypatch.setattr(stp_client, "exchange", exchange)
    with pytest.raises(KeyboardInterrupt):
        connect(at_stp).send(order())

    assert seen == [("send_payout", "", None)]
    assert calls() == [("send_payout", "unknown", None)]


def test_no_order_leaves_inside_a_transaction(at_stp):
    client = connect(at_stp)

    with pytest.raises(RuntimeError, match="inside a transaction"), transaction.atomic():
        client.send(order())

    assert (calls(), at_stp.orders()) == ([], {})


def test_questions_spend_the_quota_and_orders_do_not(at_stp, settings):
    settings.PROVIDER_QUOTAS = {"efws": 3}
    client, sent = connect(at_stp), order()

    client.send(sent)
    client.find_sent(sent.tracking_key, today(), today=today())
    list(client.list_sent(today(), today=today()))
    client.balance(ORDER.ordering_clabe)
    with pytest.raises(ProviderNotContacted, match="quota"):
        client.find_sent(sent.tracking_key, today(), today=today())
    assert client.send(order()).outcome == "accepted"
    assert client.register_clabe("646180157000000004", COMPANY).outcome == "accepted"

    operations = [operation for operation, *_ in calls()]
    asked = ["find_payout", "list_payouts", "read_balance"]
    assert operations == ["send_payout", *asked, "send_payout", "register_clabe"]


def test_a_process_without_the_key_cannot_send(at_stp, settings):
    settings.STP_SIGNING_KEYS = None

    assert not provider_client.can_connect(at_stp.account)
    with pytest.raises(ValueError, match="signing key"):
        connect(at_stp)


def test_a_provider_that_does_not_pay_out_gives_no_client(at_conekta):
    with pytest.raises(ValueError, match="does not pay out"):
        provider_client.connect_for_payouts(at_conekta.account)


def test_a_live_account_never_reaches_the_simulators(at_stp, settings):
    settings.SANDBOX = env.Sandbox(at_stp.simulator.url)
    assert connect(at_stp).send(order()).reason == SendReason.NONE
    at_stp.account.livemode = True

    with pytest.raises(ValueError, match="simulators"):
        connect(at_stp)


def doctor() -> str:
    out = StringIO()
    try:
        call_command("doctor", stdout=out)
    except SystemExit:
        pass
    return "\n".join(line for line in out.getvalue().splitlines() if "signing" in line)


def test_the_doctor_says_where_keys_are_and_which_do_not_open(at_stp, settings, tmp_path):
    assert doctor().startswith("ok    signing keys: this environment can send money")

    key = tmp_path / f"{at_stp.account.public_id}.pem"
    key.write_text("no key")
    assert f"WRONG signing key of {at_stp.account.public_id}" in doctor()
    key.unlink()
    assert f"WRONG signing key of {at_stp.account.public_id}: no {key.name}" in doctor()
    settings.STP_SIGNING_KEYS = None
    assert doctor() == "ok    signing keys: none here; only the worker's lane 'providers' needs them"
    assert key_pair()[0].decode() not in doctor()
