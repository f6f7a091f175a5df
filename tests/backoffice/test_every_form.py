"""Every page and form of the back office is opened, filled in and saved as by a person, with each permission alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django import forms
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.forms.models import ModelChoiceField, ModelMultipleChoiceField
from django.test import Client
from django.urls import URLPattern, reverse
from django.utils import timezone
from django.utils.html import escape

from core import clock
from kyc.models import Case
from ledger.models import Adjustment
from merchants.models import Merchant
from payments.models import FeeRule, Payout, ReviewCase
from staff.models import BankingDay
from tests.backoffice.conftest import Desk, PayoutDesk, with_endpoint, with_payouts
from tests.conftest import Api
from tests.promises import Trials, pick
from tests.provider_messages import StpSender

pytestmark = pytest.mark.django_db

ADDED = {Merchant, FeeRule, Case, Adjustment, Payout, User, Group, BankingDay}
"""What the back office can add. A model that gains or loses its form is entered or struck here."""

_ROUTE = re.compile(r"<[^>]+>")


@pytest.fixture
def desk(desk: Desk, api: Api, stp: StpSender) -> PayoutDesk:
    with_endpoint(desk.merchant)
    return with_payouts(desk, api, stp)


def page_name(model: Any) -> str:
    return f"{model._meta.app_label}_{model._meta.model_name}"


def key(obj: Any) -> str:
    return str(getattr(obj, "public_id", obj.pk))


def addresses(model: Any, *, objects_each: int) -> Iterator[str]:
    """Every address of a model's pages, for some of its objects."""
    options = admin.site._registry[model]
    start = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
    objects = list(model._default_manager.order_by("pk")[:objects_each])
    for pattern in options.get_urls():
        route = str(pattern.pattern) if isinstance(pattern, URLPattern) else ""
        if "<" not in route:
            yield start + route
        else:
            yield from (start + _ROUTE.sub(key(one), route) for one in objects)


def form_of(page: Any) -> Any:
    """The form that a page shows, or None."""
    context = page.context or {}
    if "adminform" in context and context["adminform"] is not None:
        return context["adminform"].form
    return context.get("form")


def answer(name: str, field: forms.Field, number: int) -> Any:
    """What a person might write into a field."""
    if isinstance(field, ModelMultipleChoiceField | forms.MultipleChoiceField):
        return []
    if isinstance(field, ModelChoiceField):
        found = field.queryset.order_by("pk").last()  # type: ignore[union-attr]
        return found.pk if found is not None else ""
    if isinstance(field, forms.ChoiceField):
        values = [value for value, _text in field.choices if value not in ("", None)]
        return values[number % len(values)] if values else ""
    if isinstance(field, forms.FileField):
        return SimpleUploadedFile("prueba.pdf", b"%PDF-1.7\n%%EOF", "application/pdf")
    if isinstance(field, forms.DecimalField | forms.IntegerField):
        return str(number)
    if isinstance(field, forms.DateField):
        return (clock.mexico_city_date(clock.now()) + timedelta(days=number)).isoformat()
    if isinstance(field, forms.BooleanField):
        return ""
    if isinstance(field, forms.EmailField):
        return f"prueba{number}@example.com"
    return f"Secreta-{4711}-larga" if "password" in name else f"prueba{number}"


def filled(page: Any, number: int, **chosen: Any) -> dict[str, Any]:
    """The page's form as its page shows it, empty required fields filled in."""
    form, data = form_of(page), {}
    for bound in form:
        value = bound.value()
        if not value and type(value) is not int and (bound.field.required or "password" in bound.name):
            value = answer(bound.name, bound.field, number)
        if isinstance(bound.field, forms.SplitDateTimeField) and value:
            value = timezone.localtime(value)
            data |= {
                f"{bound.html_name}_{part}": text for part, text in enumerate(f"{value:%Y-%m-%d %H:%M:%S}".split())
            }
        elif value is not None and value is not False:
            data[bound.html_name] = value
    for formset in page.context.get("inline_admin_formsets") or ():
        for hidden in formset.formset.management_form:
            data[hidden.html_name] = hidden.value()
    return {**data, **chosen}


def stored(one: Any) -> dict[str, Any]:
    """The object's row; a form keeps no fractions of a second."""
    row = type(one).objects.filter(pk=one.pk).values().get()
    return {name: value.replace(microsecond=0) if isinstance(value, datetime) else value for name, value in row.items()}


def test_every_model_that_can_be_added_is_known(admin_user: User, rf: Any) -> None:
    request = rf.get("/")
    request.user = admin_user

    assert {model for model, options in admin.site._registry.items() if options.has_add_permission(request)} == ADDED


@pytest.mark.parametrize("model", sorted(ADDED - {Adjustment, BankingDay, Payout}, key=page_name), ids=page_name)
def test_a_superuser_adds_two_and_sees_them(model: Any, desk: Desk, admin_client: Client) -> None:
    for number in (2, 3):
        if model in (Case, FeeRule):  # a merchant has one case, and one fee for a method
            Merchant.objects.create(name=f"Comercio {number}")
        before = set(model.objects.values_list("pk", flat=True))
        page = admin_client.get(reverse(f"admin:{page_name(model)}_add"))
        shown = page.content.decode()
        fields = [bound for bound in form_of(page) if not bound.is_hidden]
        assert fields
        assert [bound.html_name for bound in fields if f'name="{bound.html_name}' not in shown] == []

        data = filled(page, number)
        saved = admin_client.post(page.request["PATH_INFO"], data, follow=True)

        assert saved.redirect_chain, form_of(saved).errors
        (new,) = set(model.objects.values_list("pk", flat=True)) - before
        result = admin_client.get(reverse(f"admin:{page_name(model)}_change", args=[key(model.objects.get(pk=new))]))
        assert result.status_code == 200
        typed = [text for text in data.values() if isinstance(text, str) and text.startswith("prueba")]
        assert all(escape(text) in result.content.decode() for text in typed)


@pytest.mark.parametrize("model", [Merchant, FeeRule, User, Group], ids=page_name)
def test_a_superuser_saves_a_page_as_it_is(model: Any, desk: Desk, admin_client: Client) -> None:
    Group.objects.create(name="caja")
    one = model.objects.earliest("pk")
    before = stored(one)
    page = admin_client.get(reverse(f"admin:{page_name(model)}_change", args=[key(one)]))

    saved = admin_client.post(page.request["PATH_INFO"], filled(page, 5), follow=True)

    assert saved.redirect_chain, form_of(saved).errors
    assert stored(one) == before


def test_every_action_is_asked_for_and_tried_by_a_superuser(desk: Desk, admin_client: Client) -> None:
    """Pages of actions show a form; sent off, they act or say what is wrong, and never fail."""
    tried = 0
    for model in list(admin.site._registry):
        for address in list(addresses(model, objects_each=2)):
            page = admin_client.get(address)
            assert page.status_code in (200, 301, 302, 403, 404), address
            if page.status_code != 200 or 'method="post"' not in page.content.decode():
                continue
            form = form_of(page)
            if form is None or address.endswith(("/add/", "/change/", "/password/")):
                continue
            for data in ({}, filled(page, 4)):
                tried += 1
                assert admin_client.post(address, data).status_code in (200, 302, 403), address

    assert tried > 20
    assert ReviewCase.objects.count() == 1


@pytest.mark.parametrize("model", list(admin.site._registry), ids=page_name)
def test_with_each_permission_alone_every_page_opens_or_is_refused(model: Any, desk: Desk) -> None:
    every = list(addresses(model, objects_each=1))
    app, name = model._meta.app_label, model._meta.model_name
    granted = Permission.objects.filter(content_type__app_label=app, content_type__model=name)

    for permission in [*granted, None]:
        user = User.objects.create_user(f"u-{permission and permission.codename}", is_staff=True)
        user.user_permissions.set([permission] if permission else [])
        client = Client(raise_request_exception=False)
        client.force_login(user)
        for address in every:
            status = client.get(address).status_code
            assert status in (200, 301, 302, 403, 404), (permission, address)
            assert permission is not None or status in (301, 302, 403, 404), address
            if status == 200:
                assert client.post(address, {}).status_code in (200, 301, 302, 403, 404, 405), (permission, address)


def test_with_one_permission_no_page_of_another_model_fails(desk: Desk, trials: Trials) -> None:
    """Each permission of the site, and pages of models that it is not about: a few by chance, all with ``FULL=1``."""
    models = list(admin.site._registry)
    pages = {model: list(addresses(model, objects_each=1)) for model in models}

    for permission in Permission.objects.filter(content_type__app_label__in={m._meta.app_label for m in models}):
        user = User.objects.create_user(f"u-{permission.pk}", is_staff=True)
        user.user_permissions.set([permission])
        client = Client(raise_request_exception=False)
        client.force_login(user)
        for model in pick(trials.random.sample(models, 1), models):
            for address in pages[model]:
                assert client.get(address).status_code in (200, 301, 302, 403, 404), (permission, address)
                trials.done(1, "pages")
