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


@pytest.mark.parametrize("last", [-1, -400])
def test_a_fee_is_not_ended_in_the_past_and_the_form_says_why(admin_client, merchant, last):
    rule = FeeRule.objects.get(merchant=merchant, method="spei")
    url = reverse("admin:payments_feerule_change", args=[rule.pk])

    answer = admin_client.post(url, {"valid_until": str(today() + timedelta(days=last))})

    assert answer.status_code == 200
    page = answer.content.decode()
    assert "El último día no puede ser anterior a hoy" in page
    assert 'name="valid_until"' in page
    rule.refresh_from_db()
    assert rule.valid_until is None


def test_a_fee_does_not_begin_in_the_past_and_the_form_says_why(admin_client, other_merchant):
    answer = admin_client.post(ADD, fields(other_merchant, valid_from=str(today() - timedelta(days=1))))

    assert answer.status_code == 200
    assert "Una comisión empieza hoy o después" in answer.content.decode()
    assert not FeeRule.objects.filter(merchant=other_merchant).exists()


def test_a_planned_fee_is_changed_and_deleted_until_it_begins(admin_client, other_merchant):
    later, sooner = (today() + timedelta(days=days) for days in (9, 3))
    admin_client.post(ADD, fields(other_merchant, valid_from=str(later)))
    rule = FeeRule.objects.get(merchant=other_merchant)
    url = reverse("admin:payments_feerule_change", args=[rule.pk])

    refused = admin_client.post(url, fields(other_merchant, valid_from=str(today() - timedelta(days=1))))
    changed = admin_client.post(url, fields(other_merchant, percent="3", valid_from=str(sooner)))
    rule.refresh_from_db()
    deleted = admin_client.post(url.replace("change", "delete"), {"post": "yes"})

    assert "Una comisión empieza hoy o después" in refused.content.decode()
    assert 'name="percent"' in refused.content.decode()
    assert (changed.status_code, deleted.status_code) == (302, 302)
    assert (rule.percent, rule.valid_from) == (3, sooner)
    assert not FeeRule.objects.filter(merchant=other_merchant).exists()


def test_a_fee_that_has_ended_can_only_be_looked_at(admin_client, merchant, monkeypatch):
    rule = FeeRule.objects.get(merchant=merchant, method="spei")
    url = reverse("admin:payments_feerule_change", args=[rule.pk])
    admin_client.post(url, {"valid_until": str(today())})
    tomorrow = today() + timedelta(days=1)
    monkeypatch.setattr("payments.models.fee_rule.today", lambda: tomorrow)

    looked = admin_client.get(url)
    changed = admin_client.post(url, {"valid_until": ""})

    assert (looked.status_code, changed.status_code) == (200, 403)
    assert 'name="valid_until"' not in looked.content.decode()


def test_what_the_database_refuses_although_the_form_allowed_it_is_explained(admin_client, merchant, monkeypatch):
    """As when midnight passes between the form's check and the writing."""
    rule = FeeRule.objects.get(merchant=merchant, method="spei")
    url = reverse("admin:payments_feerule_change", args=[rule.pk])
    yesterday = today() - timedelta(days=1)
    monkeypatch.setattr("payments.models.fee_rule.today", lambda: yesterday)

    refused = (
        admin_client.post(ADD, fields(merchant, method="oxxo", valid_from=str(yesterday), valid_until=str(yesterday))),
        admin_client.post(url, fields(merchant, percent="9", valid_from=str(rule.valid_from))),
        admin_client.post(url.replace("change", "delete"), {"post": "yes"}),
    )

    assert [answer.status_code for answer in refused] == [302, 302, 302]
    assert admin_client.get(refused[0]["Location"]).content.decode().count("No se guardó nada") == 3
    rule.refresh_from_db()
    assert rule.percent == 1
