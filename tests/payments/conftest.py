"""Fixtures of payouts: a provider played by a script, and a merchant with money."""

from __future__ import annotations

from typing import Any

import pytest

from merchants.models import Merchant
from payments.services import provider_account
from tests.factories import payouts
from tests.factories.payouts import StpScript
from tests.provider_messages import StpSender


@pytest.fixture
def script(stp: StpSender, merchant: Merchant, monkeypatch: pytest.MonkeyPatch, settings: Any) -> StpScript:
    """STP, ready for orders of the test account; the merchant has $1,000.00."""
    settings.PROVIDER_ACCOUNT_CACHE_SECONDS = 0
    payouts.ready_to_send(stp.account)
    stp.account.refresh_from_db()
    provider_account._seen.clear()
    payouts.fund(merchant, 100_000)
    return payouts.patched(StpScript(), monkeypatch)
