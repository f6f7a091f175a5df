"""What every provider adapter hands to the domain: notices, in our own words and units.

An adapter turns a provider's raw bytes into exactly one of these. Amounts are centavos, moments are aware UTC
datetimes, identifiers are text as the provider wrote them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime


@dataclass(frozen=True, slots=True)
class Payer:
    """Who sent the money, as far as the provider says. ``account`` is complete: mask it before showing it."""

    name: str = ""
    account: str = ""
    institution_code: str = ""
    tax_id: str = ""


@dataclass(frozen=True, slots=True)
class MoneyReceived:
    """Money arrived (STP abono, Conekta order.paid / charge.paid).

    ``event_id`` identifies the message, ``deposit_key`` the money: several messages may report one deposit.
    ``livemode`` is what the message says of its mode, None if it says nothing.
    The payment is found by ``clabe`` (SPEI), ``order_id`` or ``payment_id`` (our own id echoed by the provider).
    """

    event_id: str
    event_type: str
    deposit_key: str
    amount: int
    currency: str
    paid_at: datetime
    operating_date: date | None = None
    clabe: str = ""
    order_id: str = ""
    payment_id: str = ""
    tracking_key: str = ""
    concept: str = ""
    reference_number: str = ""
    livemode: bool | None = None
    payer: Payer = field(default_factory=Payer)

    @property
    def effect(self) -> tuple[object, ...]:
        """All that decides about money or a state. Two notices of one id and effect are the same notice."""
        return (self.event_type, self.deposit_key, self.amount, self.currency, self.clabe, self.order_id)

    @property
    def business_key(self) -> str:
        """What people look the notice up by: a transfer's tracking key, an order's id."""
        return self.tracking_key or self.order_id


@dataclass(frozen=True, slots=True)
class OrderClosed:
    """The provider says that this order will not be paid any more (``reason``: ``expired`` or ``cancelled``)."""

    event_id: str
    event_type: str
    reason: str
    order_id: str
    payment_id: str = ""
    livemode: bool | None = None

    @property
    def effect(self) -> tuple[object, ...]:
        """As for ``MoneyReceived``."""
        return (self.event_type, self.order_id)

    @property
    def business_key(self) -> str:
        """The order's id."""
        return self.order_id


@dataclass(frozen=True, slots=True)
class MoneyTakenBack:
    """The provider says that money of this order went back to the payer, or is disputed: nothing we asked for."""

    event_id: str
    event_type: str
    order_id: str = ""
    payment_id: str = ""
    livemode: bool | None = None

    @property
    def effect(self) -> tuple[object, ...]:
        """As for ``MoneyReceived``."""
        return (self.event_type, self.order_id)

    @property
    def business_key(self) -> str:
        """The order's id."""
        return self.order_id


@dataclass(frozen=True, slots=True)
class Uninteresting:
    """Authentic, but nothing that moves money or a state: stored and ignored with ``reason``."""

    event_id: str
    event_type: str
    reason: str

    @property
    def effect(self) -> tuple[object, ...]:
        """None but its type."""
        return (self.event_type,)

    @property
    def business_key(self) -> str:
        """It is about nothing."""
        return ""


@dataclass(frozen=True, slots=True)
class OrderStateChanged:
    """The provider says what became of money that we sent (``settled``, ``returned``, ``cancelled``, ``unknown``).

    ``provider_id`` is the provider's number of our order, ``reference`` our own as far as it repeats it, ``cause`` the
    provider's number for why it came back.
    """

    event_id: str
    event_type: str
    state: str
    provider_id: str
    reference: str
    cause: int | None
    occurred_at: datetime

    @property
    def effect(self) -> tuple[object, ...]:
        """As for ``MoneyReceived``; the event's id names the state already."""
        return (self.event_type,)

    @property
    def business_key(self) -> str:
        """The provider's number of the order."""
        return self.provider_id


Notice = MoneyReceived | MoneyTakenBack | OrderClosed | OrderStateChanged | Uninteresting
