"""What every provider adapter offers the domain, in our own words and units: notices, and a client.

An adapter turns a provider's raw bytes into exactly one notice. Amounts are centavos, moments are aware UTC
datetimes, identifiers are text as the provider wrote them. ``payments.providers.registry`` names the adapters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

from payments.providers.calls import Record, unrecorded


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


@dataclass(frozen=True, slots=True)
class CashOrder:
    """An order at a provider that is paid in cash at a store.

    ``reference`` is what the payer shows at the counter. The fields that come from the charge (``charge_id``,
    ``reference``, ``barcode_url``, ``store_name``, both moments) are empty while the order has none. ``status`` is the
    provider's word; ``is_payable`` and ``has_money`` say what it means.
    """

    order_id: str
    charge_id: str
    status: str
    amount: int
    currency: str
    reference: str
    barcode_url: str
    store_name: str
    expires_at: datetime | None
    paid_at: datetime | None
    payment_id: str
    livemode: bool
    is_payable: bool = False
    has_money: bool = False


@dataclass(frozen=True, slots=True)
class Access:
    """What an adapter needs to call its provider for one account. No repr shows a secret.

    ``signing_key`` is PEM, and only the worker's lane ``providers`` has it. ``orders_url`` is where orders are sent if
    that is another host than ``base_url`` (STP's demo), else "".
    """

    company: str
    base_url: str
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    signing_key: bytes | None = field(default=None, repr=False)
    signing_password: str = field(default="", repr=False)
    record: Record = unrecorded
    orders_url: str = ""


class ProviderClient(Protocol):
    """One account at a provider. Cheap to make: connections are shared by all clients of the process.

    Every method raises ``ProviderNotContacted`` (nothing was done: it may be tried again), ``ProviderRefused`` (final)
    or ``OutcomeUnknown`` (everything else: never tried again blindly), and no other exception for what a provider does.
    """

    def list_notices(self, since: datetime, *, today: date) -> Iterator[list[bytes]]:
        """Raw notices of what happened since a moment; a list for each page. ``today`` is the operating date."""
        ...


class CashOrderClient(ProviderClient, Protocol):
    """A provider where payers pay orders in cash."""

    def create_cash_order(
        self,
        *,
        payment_id: str,
        amount: int,
        description: str,
        customer_name: str,
        customer_email: str,
        customer_phone: str,
        expires_at: datetime,
    ) -> CashOrder:
        """Create an order of ``amount`` centavos that can be paid until ``expires_at``.

        After ``OutcomeUnknown`` ask ``find_order`` before creating again.
        """
        ...

    def find_order(self, payment_id: str) -> CashOrder | None:
        """The order made for our ``payment_id``; None if there is none."""
        ...

    def get_order(self, order_id: str) -> CashOrder:
        """The order as it is now. ``UnknownToProvider`` if there is none with this id."""
        ...

    def cancel_order(self, order_id: str) -> CashOrder:
        """Withdraw an order that is not paid; ``ProviderRefused`` if it cannot be paid any more."""
        ...
