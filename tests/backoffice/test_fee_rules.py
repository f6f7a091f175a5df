"""Fees on staff's screens: a period that has begun can only be ended, and periods never overlap."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse

from payments.models import FeeRule
from payments.models.fee_rule import today

pytestmark = pytest.mark.django_db
ADD = "/admin/payments/feerule/add/"


def fields(merchant, **changes):
    return {"merchant": merchant.pk, "method": "spei", "percent": "2", "fixed": "0", "valid_until": ""} | changes


def test_a_fee_that_overlaps_another_is_refused_on_the_form(admin_client, merchant):
    before = FeeRule.objects.count()

    answer = admin_client.post(ADD, fields(merchant, valid_from=str(today() + timedelta(days=5))))

    assert answer.status_code == 200
    assert "ya tiene una comisión" in answer.content.decode()
    assert FeeRule.objects.count() == before


def test_a_fee_that_has_begun_is_ended_and_the_next_one_added(admin_client, merchant):
    rule = FeeRule.objects.get(merchant=merchant, method="spei")
    url = reverse("admin:payments_feerule_change", args=[rule.pk])

    ended = admin_client.post(url, {"percent": "9", "valid_until": str(today())})
    added = admin_client.post(ADD, fields(merchant, valid_from=str(today() + timedelta(days=1))))

    assert (ended.status_code, added.status_code) == (302, 302)
    rule.refresh_from_db()
    assert (rule.percent, rule.valid_until) == (1, today())
    assert admin_client.post(url.replace("change", "delete"), {"post": "yes"}).status_code == 403
