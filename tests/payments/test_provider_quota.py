"""Quotas of providers are counted exactly under concurrency."""

from __future__ import annotations

import pytest
import time_machine
from django.conf import settings as site

from core import clock
from payments.models import ProviderAccount
from payments.services import provider_quota
from tests.concurrency.threads import at_once


@pytest.mark.usefixtures("committed_db")
def test_many_at_once_never_spend_more_than_the_limit(stp, settings):
    settings.PROVIDER_QUOTAS = {"efws": 20}

    got = at_once([lambda: [provider_quota.spend(stp.account, "efws") for _ in range(5)]] * 8)

    assert sum(map(sum, got)) == 20
    assert provider_quota.left(stp.account, "efws") == 0


@pytest.mark.django_db
def test_each_hour_has_its_own_and_several_are_taken_whole_or_not(stp, settings):
    settings.PROVIDER_QUOTAS = {"efws": 10}
    with time_machine.travel("2026-11-29T10:59:59Z", tick=False):
        assert provider_quota.spend(stp.account, "efws", 8)
        assert not provider_quota.spend(stp.account, "efws", 3)
        assert provider_quota.left(stp.account, "efws") == 2
        assert provider_quota.spend(stp.account, "efws", 2)

    with time_machine.travel("2026-11-29T11:00:00Z", tick=False):
        assert provider_quota.left(stp.account, "efws") == 10
        assert not provider_quota.spend(stp.account, "efws", 11)
        assert provider_quota.left(stp.account, "efws") == 10


@pytest.mark.django_db
def test_a_company_has_one_quota_and_another_company_its_own(stp, conekta):
    account = stp.account
    same, other = (
        ProviderAccount.objects.create(
            provider="stp",
            livemode=account.livemode,
            name=name,
            takes_new=False,
            clabe_prefix=f"646180157{n}",
            clabe_sequence=n,
        )
        for n, name in ((5, account.name), (6, "OTRA"))
    )

    assert provider_quota.spend(same, "efws", 40)

    limit = site.PROVIDER_QUOTAS["efws"]
    assert [provider_quota.left(a, "efws") for a in (account, same, other)] == [limit - 40, limit - 40, limit]
    assert clock.now().tzinfo is not None
