"""webhooks.inbound.services.tally: counters of repeated and refused notices."""

from __future__ import annotations

from collections import Counter

import pytest

from payments.models import Payment
from tests.factories.payment import make_payment
from tests.problems import rows
from webhooks.inbound.services import tally
from webhooks.models import InboxTally


@pytest.fixture
def payment(merchant, stp) -> Payment:
    return make_payment(merchant)


@pytest.mark.django_db
def test_a_repetition_is_counted_and_writes_nothing_else(payment, stp, settings, monkeypatch):
    monkeypatch.setattr(tally, "_counts", Counter())
    settings.INBOX_TALLY_SECONDS = 0
    raw = stp.deposit(payment.clabe, 100_000)
    stp.post(raw)
    before = rows()

    for _ in range(3):
        stp.post(raw)
    stp.post(raw, authorization="")

    assert rows() == before
    assert sorted(InboxTally.objects.values_list("channel", "kind", "count")) == [
        ("stp.deposits", "duplicate", 3),
        ("stp.deposits", "refused", 1),
    ]
