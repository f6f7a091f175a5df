"""The statements of a notice, and races between concurrent notices."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from payments.models import Deposit, Payment
from tests.factories.payment import make_payment
from tests.problems import rows
from webhooks.inbound.services import group_commit, inbox, tally
from webhooks.models import InboxTally, ProviderEvent


@pytest.fixture
def payment(merchant, stp) -> Payment:
    return make_payment(merchant)


def test_a_notice_costs_the_statements_it_must_and_a_repetition_only_reads(
    committed_db, payment, stp, conekta, settings, monkeypatch
):
    settings.INBOX_TALLY_SECONDS = 3_600
    tally.count("stp.deposits", InboxTally.Kind.DUPLICATE)
    raw = stp.deposit(payment.clabe, 100_000)
    stp.post(raw)

    with CaptureQueriesContext(connection) as repeated:
        stp.post(raw)
    monkeypatch.setattr(inbox, "_recent", set())  # as in another process
    with CaptureQueriesContext(connection) as repeated_elsewhere:
        stp.post(raw)
    with CaptureQueriesContext(connection) as ignored:
        conekta.post(b'{"id": "evt_1", "type": "webhook_ping", "livemode": false, "data": {"action": "ping"}}')

    def kinds(captured):
        return [query["sql"].lstrip().partition(" ")[0] for query in captured.captured_queries]

    assert kinds(repeated)[-1:] == ["SELECT"]  # the stored answer; no transaction
    assert "BEGIN" not in kinds(repeated)
    assert kinds(repeated_elsewhere)[-3:] == ["BEGIN", "WITH", "COMMIT"]
    assert kinds(ignored)[-1:] == ["WITH"]  # stored, settled; no transaction
    assert "BEGIN" not in kinds(ignored)


@pytest.mark.django_db
@pytest.mark.parametrize("said_otherwise", [False, True])
def test_a_notice_overtaken_by_the_same_money_starts_over(payment, stp, monkeypatch, said_otherwise):
    """The first look may be older than the lock for which it waited."""
    raw = stp.deposit(payment.clabe, 100_000)
    monkeypatch.setattr(group_commit, "submit", lambda item: None)  # alone
    seen, find = [], inbox.find_or_lock
    monkeypatch.setattr(inbox, "find_or_lock", lambda *a: seen.append(find(*a)) or seen[-1])
    first = stp.post(raw)
    monkeypatch.setattr(inbox, "_recent", set())
    stale = [seen[0]]
    monkeypatch.setattr(inbox, "find_or_lock", lambda *a: stale.pop() if stale else find(*a))
    before = rows()

    second = stp.post(stp.deposit(payment.clabe, 99_999) if said_otherwise else raw)

    assert stale == []
    if said_otherwise:
        assert second.json()["mensaje"] == "devolver"
        assert ProviderEvent.objects.filter(status="conflict").count() == 1
        assert Deposit.objects.count() == 1
    else:
        assert (second.status_code, second.content) == (first.status_code, first.content)
        assert rows() == before
    assert Payment.objects.get(pk=payment.pk).amount_received == 100_000
