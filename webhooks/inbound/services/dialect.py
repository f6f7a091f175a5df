"""How the notices of each channel are read, and what their provider wants to hear."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from payments.models import ProviderAccount
from payments.providers.base import MoneyReceived, MoneyTakenBack, Notice, OrderClosed, OrderStateChanged
from payments.providers.conekta import messages as conekta
from payments.providers.errors import UnreadableNotice
from payments.providers.stp import notices as stp
from payments.providers.stp import orders as stp_orders
from webhooks.inbound.models import Channel, ProviderEvent

MAX_BUSINESS_KEY_LENGTH = 64


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


Read = Notice | Unreadable

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


def channel_of(event: ProviderEvent) -> Channel:
    """The channel of a stored notice; one that names none came by its provider's first."""
    return Channel(event.channel) if event.channel else first_channel(event.account)


def first_channel(account: ProviderAccount) -> Channel:
    """The channel by which this provider reports money."""
    return _FIRST[ProviderAccount.Provider(account.provider)]


def read(dialect: Dialect, raw: bytes, received_at: datetime, digest: str) -> Read:
    """What the bytes say; never raises for any bytes."""
    try:
        return dialect.parse(raw, received_at=received_at)
    except UnreadableNotice as error:
        event_id, event_type = dialect.identify(raw)
        return Unreadable(event_id or f"sha256:{digest}", event_type or "unreadable", error.message)


def what_it_books(notice: Read) -> tuple[object, ...]:
    """All of a notice that decides about money or a state. What differs beside it makes no other notice."""
    match notice:
        case MoneyReceived():
            return (
                notice.event_type,
                notice.deposit_key,
                notice.amount,
                notice.currency,
                notice.clabe,
                notice.order_id,
            )
        case OrderClosed() | MoneyTakenBack():
            return (notice.event_type, notice.order_id)
        case _:
            return (notice.event_type,)


def business_key(notice: Read) -> str:
    """What people look a notice up by: a transfer's tracking key, an order's id."""
    match notice:
        case MoneyReceived():
            key = notice.tracking_key or notice.order_id
        case OrderClosed() | MoneyTakenBack():
            key = notice.order_id
        case OrderStateChanged():
            key = notice.provider_id
        case _:
            key = ""
    return key[:MAX_BUSINESS_KEY_LENGTH]
