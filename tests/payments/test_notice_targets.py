"""Targets of notices."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from payments.models import Deposit, Payment
from payments.providers.base import Notice
from payments.services import notice as notice_service
from payments.services.notices.target import NoticeTarget
from tests.paths import ROOT


def test_objects_of_different_kinds_are_different_targets_even_with_one_primary_key():
    assert NoticeTarget(Payment(pk=7)).key != NoticeTarget(Deposit(pk=7)).key
    assert NoticeTarget(Payment(pk=7)).key == NoticeTarget(Payment(pk=7), related=("dep_1",)).key
    assert NoticeTarget(None).key is None


@pytest.mark.parametrize("kind", get_args(Notice), ids=lambda kind: kind.__name__)
def test_every_kind_of_notice_says_what_it_does(kind):
    module = notice_service.KINDS[kind]

    assert module.parse_target(None).key is None
    assert module.__doc__


@pytest.mark.parametrize("name", ["group_commit", "store", "inbox", "applying", "sweeper"])
def test_the_inbox_does_not_know_what_notices_are_about(name):
    source = (ROOT / "webhooks/inbound/services" / f"{name}.py").read_text()

    mentions = re.findall(r"\b(?:payment|payout|deposit)s?\b(?!\.)", source, re.IGNORECASE)
    assert mentions == []
