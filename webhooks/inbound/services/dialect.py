"""How the notices of each channel are read, and what their provider wants to hear."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from payments.models import ProviderAccount
from payments.providers.base import Notice
from payments.providers.conekta import messages as conekta
from payments.providers.errors import UnreadableNotice
from payments.providers.stp import notices as stp
from payments.providers.stp import orders as stp_orders
from webhooks.inbound.models import Channel, ProviderEvent


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one kind of notice is read and what its provider wants to hear.

    ``give_back`` builds the answer that sends the money back for a cause; None if the provider knows no such answer:
    what cannot be booked then stays open until it can. ``identify`` reads id and type of an otherwise unreadable one.
    """

    parse: Callable[..., Notice]
    confirm: dict[str, Any]
    give_back: Callable[[int], dict[str, Any]] | None
    identify: Callable[[bytes], tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An authentic notice that cannot be read: what is known of it, and what is wrong."""

    event_id: str
    event_type: str
    fault: str

    @property
    def effect(self) -> tuple[object, ...]:
        """Nothing is known but its type."""
        return (self.event_type,)

    @property
    def business_key(self) -> str:
        """Unknown."""
        return ""


ParsedNotice = Notice | Unreadable

DIALECTS = {
    Channel.STP_DEPOSITS: Dialect(stp.parse_deposit, stp.CONFIRM, stp.refuse, lambda raw: ("", "")),
    Channel.STP_ORDERS: Dialect(
        stp_orders.parse_order_state, stp_orders.RECEIVED, None, lambda raw: ("", "stp.order.unreadable")
    ),
    # Nobody waits for these answers, but a webhook that comes after all hears what it should.
    Channel.STP_CONCILIATION: Dialect(stp.parse_conciliation, stp.CONFIRM, None, lambda raw: ("", "")),
    Channel.CONEKTA_LIST: Dialect(conekta.parse_event, {"received": True}, None, conekta.identify),
    Channel.CONEKTA_EVENTS: Dialect(conekta.parse_event, {"received": True}, None, conekta.identify),
}

_FIRST = {
    ProviderAccount.Provider.STP: Channel.STP_DEPOSITS,
    ProviderAccount.Provider.CONEKTA: Channel.CONEKTA_EVENTS,
}

_LISTED = {
    ProviderAccount.Provider.STP: Channel.STP_CONCILIATION,
    ProviderAccount.Provider.CONEKTA: Channel.CONEKTA_LIST,
}


def channel_of(event: ProviderEvent) -> Channel:
    """The channel of a stored notice; one that names none came by its provider's first."""
    return Channel(event.channel) if event.channel else first_channel(event.account)


def first_channel(account: ProviderAccount) -> Channel:
    """The channel by which this provider reports money."""
    return _FIRST[ProviderAccount.Provider(account.provider)]


def listed_channel(account: ProviderAccount) -> Channel:
    """The channel of what this provider says when it is asked."""
    return _LISTED[ProviderAccount.Provider(account.provider)]


def read(dialect: Dialect, raw: bytes, received_at: datetime, digest: str) -> ParsedNotice:
    """What the bytes say; never raises for any bytes."""
    try:
        return dialect.parse(raw, received_at=received_at)
    except UnreadableNotice as error:
        event_id, event_type = dialect.identify(raw)
        return Unreadable(event_id or f"sha256:{digest}", event_type or "unreadable", error.message)
