"""Quotas of providers are counted exactly under concurrency."""

from __future__ import annotations

import pytest
import time_machine
from django.conf import settings as site

from core import clock
from payments.models import ProviderAccount
from payments.services import provider_quota
from payments.services.provider_quota import Use
from tests.concurrency.threads import at_once


@pytest.mark.usefixtures("committed_db")
def test_many_at_once_never_spend_more_than_the_limit(stp, settings):
    settings.PROVIDER_QUOTAS = {"efws": 20}

    uses = [Use.UNKNOWN, Use.KEPT] * 4
    got = at_once(
        [lambda use=use: [provider_quota.spend(stp.account, "efws", use=use) for _ in range(5)] for use in uses]
    )

    assert sum(map(sum, got)) == 20
    assert [provider_quota.left(stp.account, "efws", use) for use in Use] == [0, 0, 0, 0]


@pytest.mark.django_db
def test_each_hour_has_its_own_and_several_are_taken_whole_or_not(stp, settings):
    settings.PROVIDER_QUOTAS = {"efws": 10}
    with time_machine.travel("2026-11-29T10:59:59Z", tick=False):
        assert provider_quota.spend(stp.account, "efws", 6, use=Use.UNKNOWN)
        assert not provider_quota.spend(stp.account, "efws", 3, use=Use.UNKNOWN)
        assert provider_quota.left(stp.account, "efws", Use.UNKNOWN) == 2
        assert provider_quota.spend(stp.account, "efws", 2, use=Use.UNKNOWN)

    with time_machine.travel("2026-11-29T11:00:00Z", tick=False):
        assert provider_quota.left(stp.account, "efws", Use.UNKNOWN) == 8
        assert not provider_quota.spend(stp.account, "efws", 9, use=Use.UNKNOWN)
        assert provider_quota.left(stp.account, "efws", Use.UNKNOWN) == 8


@pytest.mark.django_db
def test_case_6_urgent_requests_have_more_of_the_quota_and_balances_a_share(stp, settings):
    """money-out.md 6: unknown payouts first, then claims, then routine; a share for balances and deposits."""
    settings.PROVIDER_QUOTAS = {"efws": 100}
    granted = dict.fromkeys((Use.ROUTINE, Use.CLAIM, Use.UNKNOWN, Use.KEPT), 0)

    with time_machine.travel("2026-11-29T10:00:00Z", tick=False):
        for use in granted:
            while provider_quota.spend(stp.account, "efws", use=use):
                granted[use] += 1

    assert granted == {Use.ROUTINE: 50, Use.CLAIM: 15, Use.UNKNOWN: 15, Use.KEPT: 20}


@pytest.mark.django_db
def test_balances_and_deposits_leave_inquiries_their_part(stp, settings):
    settings.PROVIDER_QUOTAS = {"efws": 100}

    with time_machine.travel("2026-11-29T10:00:00Z", tick=False):
        granted = sum(provider_quota.spend(stp.account, "efws", use=Use.KEPT) for _ in range(100))
        left = {use: provider_quota.left(stp.account, "efws", use) for use in Use}

    assert granted == 70
    assert left == {Use.UNKNOWN: 30, Use.CLAIM: 15, Use.ROUTINE: 0, Use.KEPT: 0}


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

    assert provider_quota.spend(same, "efws", 40, use=Use.UNKNOWN)

    limit = site.PROVIDER_QUOTAS["efws"] * 8 // 10
    left = [provider_quota.left(a, "efws", Use.UNKNOWN) for a in (account, same, other)]
    assert left == [limit - 40, limit - 40, limit]
    assert clock.now().tzinfo is not None
