"""Conflicts stay in the queue until staff resolves them."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from core.errors import InvalidRequest
from core.state import Origin, TransitionRow
from tests.factories.oxxo import RECEIVED, attach, make_payment, told
from tests.problems import rows
from webhooks.inbound.services import applying, health, replay
from webhooks.models import ProviderEvent

pytestmark = pytest.mark.django_db

BY = Origin(TransitionRow.Cause.STAFF, "ana", "req_1")


@pytest.fixture
def refund(merchant, conekta) -> bytes:
    """``order.refunded`` about a payment that is booked as paid, as it is sent."""
    payment = attach(make_payment(merchant))
    conekta.post(conekta.event(payment, "order.paid", event_id="evt-1"))
    return conekta.event(payment, "order.refunded", event_id="evt-2")


@pytest.fixture
def contradiction(refund, conekta) -> ProviderEvent:
    conekta.post(refund)
    return ProviderEvent.objects.get(status="conflict")


def staff(*codenames: str) -> Client:
    user = User.objects.create_user("vera", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client(headers={"Accept-Language": "en"})
    client.force_login(user)
    return client


def test_a_resolved_conflict_leaves_the_queue_and_books_nothing(contradiction, conekta, refund):
    before = rows()
    assert health.measure().attention == {"conflict": 1, "dead": 0}

    applying.resolve(contradiction.pk, origin=BY, reason="Conekta refunded it by hand; adjustment adj_1")

    event = ProviderEvent.objects.get(pk=contradiction.pk)
    assert (event.status, event.reason) == ("resolved", "conflict: order.refunded, which nobody here asked for")
    (step,) = event.transitions.all()
    assert (step.from_status, step.to_status, step.cause, step.actor, step.reference) == (
        "conflict",
        "resolved",
        "staff",
        "ana",
        "req_1",
    )
    assert step.reason == "Conekta refunded it by hand; adjustment adj_1"
    found = health.measure()
    assert (found.attention, found.failures) == ({"conflict": 0, "dead": 0}, ())
    assert told(conekta.post(refund)) == RECEIVED
    assert rows() == before
    assert event.transitions.count() == 1


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_conflict_cannot_be_resolved_without_a_reason(contradiction, reason):
    with pytest.raises(InvalidRequest):
        applying.resolve(contradiction.pk, origin=BY, reason=reason)

    assert ProviderEvent.objects.get(pk=contradiction.pk).status == "conflict"


def test_only_an_open_contradiction_can_be_dealt_with(contradiction):
    applying.resolve(contradiction.pk, origin=BY, reason="seen")
    paid = ProviderEvent.objects.get(status="processed")
    before = rows()

    for event in (contradiction, paid):
        with pytest.raises(applying.NoContradiction):
            applying.resolve(event.pk, origin=BY, reason="again")

    assert rows() == before


def test_a_resolved_conflict_can_be_replayed_and_may_conflict_again(contradiction):
    applying.resolve(contradiction.pk, origin=BY, reason="seen")

    assert replay.replay(contradiction.pk, origin=BY, reason="look again").status == "conflict"

    assert health.measure().attention["conflict"] == 1


def test_staff_marks_a_contradiction_as_dealt_with_on_its_page(contradiction):
    client = staff("view_providerevent", "resolve_providerevent")
    url = f"/admin/webhooks/providerevent/{contradiction.public_id}/"
    assert "/resolve/" in client.get(f"{url}change/").content.decode()
    assert "order.refunded without our request" in client.get(f"{url}resolve/").content.decode()

    assert client.post(f"{url}resolve/", {"reason": ""}).status_code == 200
    assert ProviderEvent.objects.get(pk=contradiction.pk).status == "conflict"
    assert client.post(f"{url}resolve/", {"reason": "Asked Conekta"}).status_code == 302

    assert ProviderEvent.objects.get(pk=contradiction.pk).status == "resolved"
    page = client.get(f"{url}change/").content.decode()
    assert "Asked Conekta" in page and "vera" in page
    assert "/resolve/" not in page
    again = client.post(f"{url}resolve/", {"reason": "again"}).content.decode()
    assert "its conflict has been resolved already" in again


def test_a_user_without_the_permission_cannot_resolve_conflicts(contradiction):
    client = staff("view_providerevent", "replay_providerevent")
    url = f"/admin/webhooks/providerevent/{contradiction.public_id}/"

    assert "/resolve/" not in client.get(f"{url}change/").content.decode()
    for answer in (client.get(f"{url}resolve/"), client.post(f"{url}resolve/", {"reason": "x"})):
        assert answer.status_code == 403
    assert ProviderEvent.objects.get(pk=contradiction.pk).status == "conflict"
