"""Dialects: how the notices of each channel are parsed, and which responses the provider expects."""

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
    """How the notices of one channel are parsed and answered.

    ``give_back`` builds the response that sends the money back with a return code; None if the provider has no such
    response: a notice that cannot be booked then stays open. ``identify`` reads id and type of an unreadable notice.
    """

    parse: Callable[..., Notice]
    confirm: dict[str, Any]
    give_back: Callable[[int], dict[str, Any]] | None
    identify: Callable[[bytes], tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An authentic notice that cannot be parsed, with the fault."""

    event_id: str
    event_type: str
    fault: str

    @property
    def effect(self) -> tuple[object, ...]:
        """Only its type is known."""
        return (self.event_type,)

    @property
    def business_key(self) -> str:
        """Empty: it is unknown."""
        return ""


ParsedNotice = Notice | Unreadable

DIALECTS = {
    Channel.STP_DEPOSITS: Dialect(stp.parse_deposit, stp.CONFIRM, stp.refuse, lambda raw: ("", "")),
    Channel.STP_ORDERS: Dialect(
        stp_orders.parse_order_state, stp_orders.RECEIVED, None, lambda raw: ("", "stp.order.unreadable")
    ),
    # Responses to polled notices are stored for a webhook that arrives late.
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
    """The channel of a stored notice; without one, the first channel of its provider."""
    return Channel(event.channel) if event.channel else first_channel(event.account)


def first_channel(account: ProviderAccount) -> Channel:
    """The channel by which this provider reports money."""
    return _FIRST[ProviderAccount.Provider(account.provider)]


def listed_channel(account: ProviderAccount) -> Channel:
    """The channel of notices that were polled from this provider."""
    return _LISTED[ProviderAccount.Provider(account.provider)]


def read(dialect: Dialect, raw: bytes, received_at: datetime, digest: str) -> ParsedNotice:
    """Parse ``raw``; never raises."""
    try:
        return dialect.parse(raw, received_at=received_at)
    except UnreadableNotice as error:
        event_id, event_type = dialect.identify(raw)
        return Unreadable(event_id or f"sha256:{digest}", event_type or "unreadable", error.message)
