"""A receiver in this process, and events for it: what most tests of deliveries need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from core import clock
from merchants.models import Event, Merchant
from merchants.services import event
from webhooks.outbound import signing
from webhooks.outbound.exchange import Answer
from webhooks.outbound.models import Endpoint
from webhooks.outbound.services import endpoint as endpoint_service
from webhooks.outbound.services import feed
from webhooks.outbound.services.endpoint import NewEndpoint

SECRET = signing.PREFIX + "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
EVENTS = ("payment.*", "clabe.*")
URL = "https://merchant.example/webhooks"


@dataclass(frozen=True, slots=True)
class Received:
    """One request."""

    at: datetime
    url: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """Stands in for ``exchange.post``; ``answer`` decides each answer: a status, or a code of an error."""

    answer: Callable[[Received], int | str] = lambda _: 200
    headers: dict[str, str] = field(default_factory=dict)
    got: list[Received] = field(default_factory=list)

    def __call__(self, url: str, headers: Mapping[str, str], body: bytes, *, deadline: float = 15.0) -> Answer:
        received = Received(clock.now(), url, headers, body)
        self.got.append(received)
        said = self.answer(received)
        if isinstance(said, str):
            return Answer(None, {}, b"", said, 15_000)
        return Answer(said, self.headers, b"said \0 so", None, 3)

    @property
    def ids(self) -> list[str]:
        return [received.id for received in self.got]


def endpoint(merchant: Merchant, *, livemode: bool = False, events: Any = EVENTS, **fields: Any) -> Endpoint:
    """A new endpoint with the secret ``SECRET``."""
    wanted = NewEndpoint(url=fields.pop("url", URL), events=list(events), secret=SECRET, **fields)
    with transaction.atomic():
        made, _ = endpoint_service.create(merchant, livemode=livemode, wanted=wanted)
    return Endpoint.objects.get(pk=made.pk)


def pause(owner: Endpoint, *, probe_in: timedelta = timedelta(hours=1)) -> None:
    """Pause an endpoint as one that has failed for days."""
    with transaction.atomic():
        cursor = feed.lock_cursor()
        locked = endpoint_service.lock(owner.pk)
        locked.warn()
        locked.save()
        locked.pause(cursor=cursor)
        locked.probe_at = clock.now() + probe_in
        locked.save()


def happen(merchant: Merchant, *types: str, about: str = "pay_1", livemode: bool = False) -> list[Event]:
    """Record events about an object, each in a transaction of its own."""
    made = []
    for event_type in types or ("payment.created",):
        with transaction.atomic():
            made.append(event.record(merchant, livemode=livemode, type=event_type, obj={"id": about, "año": "2026"}))
    return [Event.objects.get(pk=one.pk) for one in made]
