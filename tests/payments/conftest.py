"""Fixtures of payouts and refunds: a provider played by a script, a merchant with money, people who decide."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from merchants.models import Merchant
from payments.services import provider_account
from tests.factories import payouts
from tests.factories.payouts import StpScript
from tests.factories.refunds import person
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


@pytest.fixture
def guarded(db: None) -> Any:
    """The deferred guards look at what the test wrote, as at a commit."""
    yield
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.fixture
def ana(db: None) -> User:
    return person("ana", "add_approval", "retry_refund")


@pytest.fixture
def berta(db: None) -> User:
    return person("berta", "decide_approval", "approve_payout")


@pytest.fixture
def issued(merchant: Merchant, make_api: Any, script: Any) -> Any:
    """The API with a key whose issuer is known: others may decide about what it proposes."""
    return make_api(merchant, created_by=person("carla"))
