"""The interface of provider adapters: notices and clients, independent of the provider.

An adapter converts a provider's raw bytes into exactly one notice. Amounts are centavos, times are aware UTC datetimes,
identifiers are text as the provider wrote them. ``payments.providers.registry`` lists the adapters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

from payments.providers.calls import Record, unrecorded


@dataclass(frozen=True, slots=True)
class Payer:
    """The payer, as far as the provider reports it. ``account`` is complete: mask it before showing it."""

    name: str = ""
    account: str = ""
    institution_code: str = ""
    tax_id: str = ""


@dataclass(frozen=True, slots=True)
class MoneyReceived:
    """Money arrived (STP abono, Conekta order.paid / charge.paid).

    ``event_id`` identifies the message, ``deposit_key`` the money: several messages may report one deposit.
    ``livemode`` is the mode in the message, or None. ``return_of`` is the tracking key of the payout of ours that this
    money returns, "" for any other money.
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
    return_of: str = ""
    livemode: bool | None = None
    payer: Payer = field(default_factory=Payer)

    @property
    def effect(self) -> tuple[object, ...]:
        """The data that affects money or a state. Two notices with one id and equal effects are the same notice."""
        return (self.event_type, self.deposit_key, self.amount, self.currency, self.clabe, self.order_id)

    @property
    def business_key(self) -> str:
        """The key by which staff searches the notice: a transfer's tracking key or an order's id."""
        return self.tracking_key or self.order_id


@dataclass(frozen=True, slots=True)
class OrderClosed:
    """The order expired or was cancelled at the provider (``reason``: ``expired`` or ``cancelled``)."""

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
    """Money of this order was refunded to the payer or is disputed, without our request."""

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
    """An authentic notice that affects neither money nor a state: stored and ignored with ``reason``."""

    event_id: str
    event_type: str
    reason: str

    @property
    def effect(self) -> tuple[object, ...]:
        """Only its type."""
        return (self.event_type,)

    @property
    def business_key(self) -> str:
        """Empty: it has no target."""
        return ""


@dataclass(frozen=True, slots=True)
class OrderStateChanged:
    """The state of an order that we sent (``settled``, ``returned``, ``cancelled``, ``unknown``).

    ``provider_id`` is the provider's number of our order, ``reference`` our own reference if the provider repeats it,
    ``cause`` the provider's return code.
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
        """As for ``MoneyReceived``; the event's id includes the state."""
        return (self.event_type,)

    @property
    def business_key(self) -> str:
        """The provider's number of the order."""
        return self.provider_id


Notice = MoneyReceived | MoneyTakenBack | OrderClosed | OrderStateChanged | Uninteresting


@dataclass(frozen=True, slots=True)
class CashOrder:
    """An order at a provider that is paid in cash at a store.

    ``reference`` is what the payer shows at the counter. The fields of the charge (``charge_id``, ``reference``,
    ``barcode_url``, ``store_name``, both times) are empty while the order has no charge. ``status`` is the provider's
    own value; ``is_payable`` and ``has_money`` are its meaning.
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
    """Address and credentials of one account for its adapter. No repr contains a secret.

    ``signing_key`` is PEM; only the worker's lane ``providers`` has it. ``orders_url`` is the address for orders if it
    is another host than ``base_url`` (STP's demo), else "".
    """

    company: str
    base_url: str
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    signing_key: bytes | None = field(default=None, repr=False)
    signing_password: str = field(default="", repr=False)
    record: Record = unrecorded
    orders_url: str = ""


class ProviderClient(Protocol):
    """A client for one account at a provider. Cheap to create: all clients of a process share connections.

    For failures of the provider or network, every method raises ``ProviderNotContacted`` (nothing was done: may be
    retried), ``ProviderRefused`` (final) or ``OutcomeUnknown`` (anything else: never retry blindly), and nothing else.
    """

    def list_notices(self, since: datetime, *, today: date) -> Iterator[list[bytes]]:
        """Raw notices since a time, one list per page. ``today`` is the operating date."""
        ...


class CashOrderClient(ProviderClient, Protocol):
    """A client for a provider where payers pay orders in cash."""

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

        After ``OutcomeUnknown`` call ``find_order`` before creating again.
        """
        ...

    def find_order(self, payment_id: str) -> CashOrder | None:
        """The order created for our ``payment_id``; None if there is none."""
        ...

    def get_order(self, order_id: str) -> CashOrder:
        """The current order. Raises ``UnknownToProvider`` if there is none with this id."""
        ...

    def cancel_order(self, order_id: str) -> CashOrder:
        """Cancel an unpaid order. Raises ``ProviderRefused`` if it can no longer be paid."""
        ...
