"""Banking days that staff enters: the calendar follows them, and a day that is over does not change."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.db import IntegrityError, connection, transaction
from django.urls import reverse

from core import calendar, clock
from core.mx.banking_days import banking_holidays, is_weekend
from staff.models import BankingDay
from staff.services import banking_day

pytestmark = pytest.mark.django_db
ADD = "/admin/staff/bankingday/add/"


@pytest.fixture(autouse=True)
def _fresh_calendar():
    calendar.forget()
    yield
    calendar.forget()


def coming(*, holiday: bool) -> date:
    """The next weekday after today that is a holiday by rule, or is none."""
    day = clock.mexico_city_date(clock.now()) + timedelta(days=1)
    while is_weekend(day) or (day in banking_holidays(day.year)) != holiday:
        day += timedelta(days=1)
    return day


def enter(client, day: date, *, is_open: bool = False, reason: str = "DOF"):
    fields = {"day": day.isoformat(), "reason": reason} | ({"is_open": "on"} if is_open else {})
    return client.post(ADD, fields)


def test_a_day_that_staff_closes_has_no_operating_date(admin_client, admin_user, django_capture_on_commit_callbacks):
    day = coming(holiday=False)
    assert calendar.is_banking_day(day)

    with django_capture_on_commit_callbacks(execute=True):
        answer = enter(admin_client, day)

    assert answer.status_code == 302
    assert not calendar.is_banking_day(day)
    assert BankingDay.objects.get().created_by == admin_user
    assert LogEntry.objects.filter(content_type__model="bankingday", user=admin_user).count() == 1


def test_a_holiday_can_be_opened_and_the_entry_taken_back(admin_client, django_capture_on_commit_callbacks):
    day = coming(holiday=True)
    with django_capture_on_commit_callbacks(execute=True):
        enter(admin_client, day, is_open=True)
    assert calendar.is_banking_day(day)

    url = reverse("admin:staff_bankingday_delete", args=[BankingDay.objects.get().pk])
    with django_capture_on_commit_callbacks(execute=True):
        answer = admin_client.post(url, {"post": "yes"})

    assert answer.status_code == 302
    assert not calendar.is_banking_day(day)


@pytest.mark.parametrize(
    ("day", "is_open", "says"),
    [
        (lambda: clock.mexico_city_date(clock.now()) - timedelta(days=1), False, "ya terminó"),
        (lambda: coming(holiday=False) + timedelta(days=5 - coming(holiday=False).weekday()), False, "sábados"),
        (lambda: coming(holiday=False), True, "de todos modos"),
        (lambda: coming(holiday=True), False, "ya tiene"),
    ],
)
def test_a_day_that_makes_no_sense_is_refused_on_the_form(admin_client, day, is_open, says):
    answer = enter(admin_client, day(), is_open=is_open)

    assert answer.status_code == 200
    assert says in answer.content.decode()
    assert BankingDay.objects.count() == 0


def test_the_database_refuses_to_change_a_day_that_is_over(admin_user, owner):
    yesterday = clock.mexico_city_date(clock.now()) - timedelta(days=1)
    while is_weekend(yesterday):
        yesterday -= timedelta(days=1)
    tomorrow = coming(holiday=False)
    row = BankingDay.objects.create(day=tomorrow, reason="DOF", created_by=admin_user)
    insert = (
        "INSERT INTO staff_bankingday (day, is_open, reason, created_by_id, created_at)"
        " VALUES (%s, false, 'x', %s, now())"
    )

    for statement, params in [
        (insert, [yesterday, admin_user.pk]),
        ("UPDATE staff_bankingday SET day = %s WHERE id = %s", [yesterday, row.pk]),
    ]:
        with (
            pytest.raises(IntegrityError, match="day that is over"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement, params)

    assert list(BankingDay.objects.values_list("day", flat=True)) == [tomorrow]


@pytest.mark.parametrize(
    ("day", "reason", "constraint"), [("2099-01-03", "x", "weekday"), ("2099-01-05", "", "reason")]
)
def test_the_database_refuses_weekends_and_days_without_a_reason(admin_user, day, reason, constraint):
    with pytest.raises(IntegrityError, match=constraint):
        BankingDay.objects.create(day=day, reason=reason, created_by=admin_user)


def test_the_calendar_reads_about_a_year_back(admin_user):
    day = coming(holiday=False)
    BankingDay.objects.create(day=day, reason="DOF", created_by=admin_user)

    assert banking_day.changes() == {day: False}
