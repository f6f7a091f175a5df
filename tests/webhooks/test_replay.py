"""Replay of stored notices: previewed, executed once, and refused for returned money."""

from __future__ import annotations

from io import StringIO

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.test import Client

from core.state import Origin, TransitionRow
from payments.models import Deposit
from tests.factories.oxxo import attach, make_payment
from tests.problems import rows
from webhooks.inbound.services import applying, replay
from webhooks.models import ProviderEvent

BY = Origin(TransitionRow.Cause.STAFF, "ana", "req_1")


@pytest.fixture
def dead(committed_db, merchant, conekta, monkeypatch, settings) -> ProviderEvent:
    """``order.paid`` that was given up for a bug that is corrected now."""
    payment = attach(make_payment(merchant))
    with monkeypatch.context() as patched:
        patched.setattr(settings, "INBOX_TRIES", 0)
        patched.setattr(applying.notice_service, "apply", lambda *_, **__: 1 / 0)
        assert conekta.post(conekta.event(payment)).status_code == 500
    event = ProviderEvent.objects.get()
    assert event.status == "dead"
    return event


def command(*arguments: str) -> str:
    out = StringIO()
    call_command("replay_event", *arguments, stdout=out)
    return out.getvalue()


def test_a_preview_says_what_would_happen_and_changes_nothing(dead):
    before = rows()

    effect = replay.preview(dead.pk)

    assert (effect.status, effect.reason, effect.postings, effect.events) == ("processed", "credited", 1, 1)
    assert [(a, b) for _, a, b in effect.payments] == [("pending", "completed")]
    assert [(status, amount) for _, status, amount in effect.deposits] == [("credited", 25_000)]
    assert rows() == before
    dead.refresh_from_db()
    assert (dead.status, dead.transitions.count()) == ("dead", 1)


def test_a_replay_applies_once_and_says_who_and_why(dead, conekta):
    replay.replay(dead.pk, origin=BY, reason="bug corrected")

    event = ProviderEvent.objects.get()
    assert (event.status, event.reason, event.response_status) == ("processed", "credited", 200)
    assert list(event.transitions.values_list("from_status", "to_status", "actor", "reason"))[1:] == [
        ("dead", "retry", "ana", "bug corrected ← ZeroDivisionError"),
        ("retry", "processed", "ana", "credited"),
    ]
    before = rows()
    for again in (replay.preview, lambda pk: replay.replay(pk, origin=BY, reason="again")):
        with pytest.raises(replay.NothingToReplay):
            again(event.pk)
    assert rows() == before
    assert Deposit.objects.count() == 1


def test_a_replay_that_fails_leaves_everything_as_it_was(dead, monkeypatch):
    before = rows()
    monkeypatch.setattr(applying.notice_service, "apply", lambda *_, **__: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        replay.replay(dead.pk, origin=BY, reason="too early")

    assert rows() == before
    dead.refresh_from_db()
    assert (dead.status, dead.attempts, dead.transitions.count()) == ("dead", 0, 1)
    monkeypatch.undo()
    replay.replay(dead.pk, origin=BY, reason="now")  # a second try is no repetition of the first
    dead.refresh_from_db()
    assert (dead.status, Deposit.objects.count()) == ("processed", 1)


@pytest.mark.django_db
def test_money_that_went_back_is_not_booked_by_a_replay(stp):
    stp.post(b"not json")
    stp.post(stp.deposit("646180157099999997", 100))
    stp.post(stp.deposit("646180157099999997", 101))
    before = rows()

    for event in ProviderEvent.objects.exclude(status="processed"):
        with pytest.raises(replay.MoneyWentBack):
            replay.replay(event.pk, origin=BY, reason="please")

    assert ProviderEvent.objects.exclude(status="processed").count() == 2
    assert rows() == before


@pytest.mark.django_db
def test_an_ignored_notice_may_be_looked_at_again_and_stays_ignored(merchant, conekta):
    raw = b'{"type": "order.created", "id": "e1"}'
    conekta.post(raw)
    event = ProviderEvent.objects.get()

    effect = replay.replay(event.pk, origin=BY, reason="new release")

    assert (effect.status, effect.changes_nothing) == ("ignored", True)
    event.refresh_from_db()
    assert (event.status, event.attempts, event.transitions.count()) == ("ignored", 2, 2)
    assert conekta.post(raw).json() == {"received": True}


def test_the_command_shows_first_and_does_it_when_told_to(dead):
    shown = command("--status", "dead", "--provider", "conekta", "--type", "order.paid", "--reason", "ZeroDiv")

    assert f"{dead.public_id} order.paid dead → processed (credited)" in shown
    assert "pending → completed" in shown and "credited $250.00" in shown
    assert "1 would change something, 0 nothing, 0 refused, 0 failed." in shown
    assert ProviderEvent.objects.get().status == "dead"

    done = command(dead.public_id, "--yes", "--by", "ana", "--why", "bug corrected")

    assert "1 changed something, 0 nothing, 0 refused, 0 failed." in done
    assert ProviderEvent.objects.get().status == "processed"
    assert "0 changed something, 0 nothing, 1 refused" in command(dead.public_id, "--yes", "--by", "a", "--why", "b")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "saying"),
    [
        ([], "Give event ids"),
        (["pev_00000000000000000000000000"], "There is no such event"),
        (["--status", "dead", "--yes"], "requires your name"),
        (["--status", "dead", "--yes", "--by", "ana"], "requires your name"),
        (["--status", "dead", "--since", "yesterday"], "write a date and time"),
        (["--status", "dead", "--since", "2026-13-40T00:00:00"], "write a date and time"),
        (["--status", "dead", "--limit", "0"], "--limit"),
        (["--status", "processed"], "invalid choice"),
    ],
)
def test_the_command_says_what_it_needs(arguments, saying):
    with pytest.raises(CommandError, match=saying):
        command(*arguments)


def staff(*codenames: str) -> Client:
    user = User.objects.create_user("vera", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client(headers={"Accept-Language": "en"})
    client.force_login(user)
    return client


def test_staff_sees_the_effect_and_replays_with_a_reason(dead):
    client = staff("view_providerevent", "replay_providerevent")
    url = f"/admin/webhooks/providerevent/{dead.public_id}/replay/"
    before = rows()

    page = client.get(url).content.decode()

    assert "It would become: processed (credited)." in page
    assert "pending → completed" in page and "$250.00: credited" in page
    assert rows() == before

    assert client.post(url, {"reason": ""}).status_code == 200
    assert rows() == before
    assert client.post(url, {"reason": "Bug corrected"}).status_code == 302

    assert ProviderEvent.objects.get().status == "processed"
    page = client.get(f"/admin/webhooks/providerevent/{dead.public_id}/change/").content.decode()
    assert "Bug corrected ← ZeroDivisionError" in page
    assert "/replay/" not in page
    assert "This notice has been applied" in client.post(url, {"reason": "again"}).content.decode()


def test_a_replay_that_fails_is_said_to_staff(dead, monkeypatch):
    client = staff("view_providerevent", "replay_providerevent")
    url = f"/admin/webhooks/providerevent/{dead.public_id}/replay/"
    monkeypatch.setattr(applying.notice_service, "apply", lambda *_, **__: 1 / 0)

    assert "Applying it fails again (ZeroDivisionError)." in client.get(url).content.decode()
    answer = client.post(url, {"reason": "try"})

    assert answer.status_code == 200
    assert "everything was rolled back" in answer.content.decode()
    assert ProviderEvent.objects.get().status == "dead"


def test_a_user_without_the_permission_cannot_replay(dead):
    client = staff("view_providerevent")
    url = f"/admin/webhooks/providerevent/{dead.public_id}/"

    assert "/replay/" not in client.get(f"{url}change/").content.decode()
    for answer in (client.get(f"{url}replay/"), client.post(f"{url}replay/", {"reason": "x"})):
        assert answer.status_code == 403
    assert ProviderEvent.objects.get().status == "dead"


def test_the_health_page_names_what_waits_and_why(dead, stp, conekta, django_assert_max_num_queries):
    client = staff("view_providerevent")
    stp.post(b"not json")

    with django_assert_max_num_queries(15):
        page = client.get("/admin/webhooks/providerevent/health/").content.decode()

    assert "ZeroDivisionError" in page
    assert "Conekta: events" in page and "STP: deposits" in page
    assert staff_without_rights().get("/admin/webhooks/providerevent/health/").status_code == 403


def staff_without_rights() -> Client:
    client = Client()
    client.force_login(User.objects.create_user("otto", password="x", is_staff=True))
    return client


def test_staff_finds_events_by_provider_state_and_age(dead, stp):
    client = staff("view_providerevent")
    stp.post(b"not json")
    listed = "/admin/webhooks/providerevent/"

    def found(query: str) -> int:
        return client.get(f"{listed}?{query}").content.decode().count("/change/?_changelist_filters")

    assert [found(q) for q in ("provider=stp", "provider=conekta", "status__exact=dead", "waiting=1h", "q=AJENO")] == [
        1,
        1,
        1,
        0,
        0,
    ]
