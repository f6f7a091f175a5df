"""Raw bodies in monthly partitions: never lost, and dropped only after their retention."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction
from psycopg import errors

from core import clock
from tests import cluster
from webhooks.inbound.services import bodies
from webhooks.inbound.services.store import IncomingNotice, insert
from webhooks.models import Channel, ProviderEvent, ProviderEventBody

TABLE = "webhooks_providereventbody"


def partitions() -> dict[str, tuple[datetime | None, datetime | None]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, since, until FROM webhooks_body_partition")
        return {name: (since, until) for name, since, until in cursor.fetchall()}


def where(event: ProviderEvent) -> str:
    """The partition that holds the event's bytes."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT tableoid::regclass::text FROM {TABLE} WHERE event_id = %s", [event.pk])
        return str(cursor.fetchone()[0])


def arrive(account, moment: datetime, key: str, *, status: str = "ignored") -> ProviderEvent:
    with transaction.atomic():
        notice = IncomingNotice(account, Channel.STP_DEPOSITS, b"{}", moment)
        event = notice.event(digest=notice.digest, event_id=key, event_type="stp.deposit")
        insert(notice, event)
        assert event is not None
        if status != "received":
            ProviderEvent.objects.filter(pk=event.pk).update(status=status)
    return event


def first_of_month(months: int) -> datetime:
    month = clock.now().astimezone(UTC).month - 1 + months
    return datetime(clock.now().astimezone(UTC).year + month // 12, month % 12 + 1, 1, tzinfo=UTC)


@pytest.mark.django_db
def test_a_release_makes_room_for_this_month_and_three_more():
    made = partitions()

    assert made.pop(f"{TABLE}_default") == (None, None)
    assert sorted(made.values()) == [(first_of_month(n), first_of_month(n + 1)) for n in range(4)]
    assert bodies.make_partitions() == 0


@pytest.mark.django_db
def test_the_application_makes_room_ahead_without_any_right_on_the_schema(stp):
    assert bodies.make_partitions(5) == 2

    late = arrive(stp.account, first_of_month(5) + timedelta(days=3), "late")
    assert where(late) == f"{TABLE}_{first_of_month(5):%Y_%m}"
    for ahead in (-1, 37):
        with pytest.raises(DatabaseError, match="0 to 36 months"), transaction.atomic():
            bodies.make_partitions(ahead)


@pytest.mark.django_db
def test_a_notice_without_a_partition_is_kept_and_gets_one_without_being_moved(stp):
    at = first_of_month(-30) + timedelta(days=14)
    lost = [arrive(stp.account, at, "a"), arrive(stp.account, at + timedelta(days=40), "b")]
    assert {where(event) for event in lost} == {f"{TABLE}_default"}

    bodies.make_partitions()

    of_both = f"{TABLE}_{first_of_month(-30):%Y_%m}_{first_of_month(-29):%Y_%m}"
    assert partitions()[of_both] == (first_of_month(-30), first_of_month(-28))
    assert {where(event) for event in lost} == {of_both}
    assert [event.body for event in lost] == [b"{}", b"{}"]
    assert partitions()[f"{TABLE}_default"] == (None, None)
    another = arrive(stp.account, at - timedelta(days=60), "c")
    assert where(another) == f"{TABLE}_default"


@pytest.mark.django_db
def test_bodies_are_dropped_when_their_time_is_over_and_the_rows_stay(stp, settings):
    settings.INBOX_BODY_DAYS = 100
    old = arrive(stp.account, first_of_month(-8) + timedelta(days=3), "old")
    young = arrive(stp.account, clock.now(), "young")
    bodies.make_partitions()

    assert bodies.drop_old() == [f"{TABLE}_{first_of_month(-8):%Y_%m}_{first_of_month(-8):%Y_%m}"]

    assert (old.body, young.body) == (None, b"{}")
    assert ProviderEvent.objects.count() == 2
    assert bodies.drop_old() == []


@pytest.mark.django_db
@pytest.mark.parametrize("status", ["received", "dead"])
def test_bodies_of_what_was_never_applied_are_kept(stp, status):
    old = arrive(stp.account, first_of_month(-30), "old", status=status)
    bodies.make_partitions()

    assert bodies.drop_old() == []

    assert old.body == b"{}"


@pytest.mark.django_db
@pytest.mark.parametrize("days", [89, 0, -400])
def test_young_bodies_cannot_be_dropped_by_any_setting(stp, days):
    arrive(stp.account, first_of_month(-30), "old")
    bodies.make_partitions()

    with pytest.raises(DatabaseError, match="at least 90 days"), transaction.atomic():
        bodies.drop_old(days)
    assert ProviderEventBody.objects.count() == 1


def test_a_partition_is_guarded_like_its_table_from_its_owner_too(committed_db, stp, owner):
    arrive(stp.account, clock.now(), "one")

    for table in [TABLE, *partitions()]:
        for statement in (f"UPDATE {table} SET headers = '1'", f"DELETE FROM {table}", f"TRUNCATE {table}"):
            with pytest.raises(errors.RestrictViolation, match="is append-only"), owner.transaction():
                owner.execute(statement)
    assert ProviderEventBody.objects.count() == 1


def test_the_application_cannot_reach_a_partition_past_its_table(committed_db, stp):
    with psycopg.connect(cluster.url("payments_app"), autocommit=True) as app:
        for name in partitions():
            for statement in (f"SELECT * FROM {name}", f"DROP TABLE {name}", f"DELETE FROM {name}"):
                with pytest.raises(errors.InsufficientPrivilege):
                    app.execute(statement)
        with pytest.raises(errors.InsufficientPrivilege):
            app.execute("SELECT webhooks_add_body_partition('evil', 'DEFAULT')")
