"""The interface of adapters that send money. Pure Python, no Django.

Amounts are centavos, moments aware UTC datetimes, identifiers text as the provider wrote them. ``send``,
``register_clabe`` and ``remove_clabe`` return a result and never raise for errors of the provider or the
network; the queries (``find_sent``, ``list_sent``, ``balance``) raise the errors of ``ProviderClient``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

from payments.providers.base import ProviderClient
from payments.providers.calls import Outcome


class SendReason(StrEnum):
    """The reason for a call's outcome. ``SendResult.outcome`` says what it means for the money."""

    NONE = ""
    """Accepted."""

    # refused: the values of a payout's failure.code
    DESTINATION_INVALID = "destination_invalid"
    BANK_UNAVAILABLE = "bank_unavailable"
    AMOUNT_NOT_ALLOWED = "amount_not_allowed"
    COMPLIANCE_REJECTED = "compliance_rejected"
    PROVIDER_REJECTED = "provider_rejected"

    # not_sent: no effect at the provider, the same order may be sent again
    UNREACHABLE = "unreachable"
    """No connection, or this hour's quota is spent: no byte of the order left this process."""
    TURNED_AWAY = "turned_away"
    """HTTP 401, 403, 404, 405, 410 or 429 from a gateway in front of the provider."""
    CLOSED = "closed"
    """The provider accepts no orders now (STP -30, read-only mode)."""
    WRONG_OPERATING_DATE = "wrong_operating_date"
    """The provider is on another operating day (STP -16): the next send needs a new date, stored first."""
    CONFIGURATION = "configuration"
    """Our signature or our account's settings are wrong: no order succeeds until a person corrects it."""

    # unknown: the order may exist
    ALREADY_USED = "already_used"
    """The tracking key exists on this operating date (STP -1, -2): compare that order with ours, see ``is_of``."""
    ANSWER_LOST = "answer_lost"
    """Sent, but the answer did not arrive or was cut off; or the provider got no answer from its own back end."""
    UNREADABLE = "unreadable"
    """HTTP 5xx, a redirect, or a body without information about the order."""
    UNCATALOGUED = "uncatalogued"
    """An error code or text that is not in the catalogue."""


NEEDS_STAFF = frozenset({SendReason.CONFIGURATION, SendReason.COMPLIANCE_REJECTED, SendReason.UNCATALOGUED})
"""Reasons that a person must check, independently of the order's outcome."""


@dataclass(frozen=True, slots=True)
class OutgoingOrder:
    """One order to pay, fixed before the first send. A retry must be equal in every field.

    ``tracking_key`` (clave de rastreo: 1 to 30 of A-Z, a-z, 0-9) is unique on ``operating_date`` within our
    institution, and only there. ``amount`` is in centavos, greater than 0. ``reference`` is our own id of the payout,
    repeated by the provider in its notices (STP folioOrigen). ``beneficiary_bank`` is the 5-digit SPEI code (40012).
    A tax id is an RFC or CURP, or "" if it is not known. ``reference_number`` is from 1 to 9,999,999. Names and
    ``concept`` are already folded by ``core.mx.spei_text``: the adapter sends them unchanged, or raises
    ``ValueError`` before anything is sent.
    """

    tracking_key: str
    operating_date: date
    amount: int
    reference: str
    beneficiary_name: str = field(repr=False)
    beneficiary_clabe: str = field(repr=False)
    beneficiary_bank: str
    ordering_name: str = field(repr=False)
    ordering_clabe: str = field(repr=False)
    concept: str = field(repr=False)
    reference_number: int
    beneficiary_tax_id: str = field(default="", repr=False)
    ordering_tax_id: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class SendResult:
    """The result of sending one order.

    ``outcome``: ``accepted`` (the provider has the order, ``order_id`` is its number), ``refused`` (final, it was not
    carried out), ``not_sent`` (nothing was done, it may be sent again), ``unknown`` (it may exist: query it, never send
    it again). ``code`` is the provider's own code ("-7"), "" if it gave none; ``detail`` its text, printable, accounts
    masked, at most 300 characters; ``raw`` the redacted answer.
    """

    outcome: Outcome
    reason: SendReason = SendReason.NONE
    order_id: str = ""
    code: str = ""
    detail: str = ""
    raw: str = ""

    @property
    def needs_staff(self) -> bool:
        """True if a person must check it, independently of the order's outcome."""
        return self.reason in NEEDS_STAFF


class OrderStatus(StrEnum):
    """The state of an order at the provider. The values of ``OrderStateChanged.state``, and ``in_progress``."""

    IN_PROGRESS = "in_progress"
    SETTLED = "settled"
    RETURNED = "returned"
    CANCELLED = "cancelled"
    """Cancelled or rejected before it reached the beneficiary's bank; between STP's own clients also "returned"."""
    UNKNOWN = "unknown"
    """An unknown spelling: needs a person."""


@dataclass(frozen=True, slots=True)
class OrderState:
    """The current state at the provider of one order that we sent.

    ``provider_status`` is the provider's code ("LQ"). ``amount`` is None, and texts are "", if absent or unreadable.
    ``cause`` is the provider's number for a return's reason, ``return_tracking_key`` the key of the returning transfer.
    ``settled_at`` is None before settlement and if no credible moment is given.
    """

    tracking_key: str
    status: OrderStatus
    provider_status: str
    order_id: str = ""
    operating_date: date | None = None
    amount: int | None = None
    beneficiary_clabe: str = field(default="", repr=False)
    ordering_clabe: str = field(default="", repr=False)
    reference: str = ""
    cause: int | None = None
    return_tracking_key: str = ""
    settled_at: datetime | None = None
    receipt_url: str = ""

    def is_of(self, order: OutgoingOrder) -> bool:
        """True if this is ``order``: same tracking key, amount and both accounts, each of them reported.

        An operating date or reference must match if it is reported. Any other case needs a person.
        """
        return (
            self.tracking_key == order.tracking_key
            and self.amount == order.amount
            and self.beneficiary_clabe == order.beneficiary_clabe
            and self.ordering_clabe == order.ordering_clabe
            and self.operating_date in (None, order.operating_date)
            and self.reference in ("", order.reference)
        )


@dataclass(frozen=True, slots=True)
class Balance:
    """Centavos on an account at the provider: ``amount``, and of it ``pending`` for orders accepted but not settled."""

    amount: int
    pending: int

    @property
    def spendable(self) -> int:
        """Available for new orders; may be negative."""
        return self.amount - self.pending


@dataclass(frozen=True, slots=True)
class ClabeHolder:
    """The registered holder of a CLABE of ours: a company (RFC of 12), or a person (RFC of 13, CURP of 18).

    ``name`` is the legal name of a company or the given names of a person. ``country`` is the provider's number
    (187: Mexico). ``born_or_founded_on`` is the date of birth or of incorporation.
    """

    tax_id: str = field(repr=False)
    name: str = field(repr=False)
    born_or_founded_on: date = field(repr=False)
    last_name: str = field(default="", repr=False)
    second_last_name: str = field(default="", repr=False)
    country: int = 187

    @property
    def is_company(self) -> bool:
        """True for an RFC of twelve characters."""
        return len(self.tax_id) == 12


@dataclass(frozen=True, slots=True)
class RegistrationResult:
    """The result of registering or removing a CLABE. ``outcome`` as in ``SendResult``.

    ``accepted`` also if the CLABE was registered or removed already: both may be repeated after ``unknown``.
    ``in_review``: accepted and under review, as STP reports for every new account.
    """

    outcome: Outcome
    in_review: bool = False
    code: str = ""
    detail: str = ""
    raw: str = ""


class PayoutClient(ProviderClient, Protocol):
    """A provider that pays to any CLABE. Made by ``payments.services.provider_client.connect_for_payouts``.

    Every HTTP request is a ``ProviderCall``, committed before it is sent; no transaction may be open. Each one is
    signed, so only the worker's lane ``providers`` can make them.
    """

    def send(self, order: OutgoingOrder) -> SendResult:
        """Register ``order``: one request, never retried automatically. At most 2 s to connect, 10 s in all.

        Raises ``ValueError`` for an order that cannot be written (a name with ``|``, a wrong tracking key …), before
        anything is recorded or sent; no other exception for errors of the provider or the network.
        """
        ...

    def find_sent(self, tracking_key: str, operating_date: date, *, today: date) -> OrderState | None:
        """The order with this key and date; None if the provider reports none. Uses one request of the quota.

        ``today`` is the current operating date. None is no proof: the order may appear later.
        Raises ``ProviderNotContacted``, ``ProviderRefused`` or ``OutcomeUnknown`` (also for an answer about another
        order).
        """
        ...

    def list_sent(self, day: date, *, today: date) -> Iterator[list[OrderState]]:
        """All orders of an operating day, one list per page; uses one request of the quota per page of 1,000.

        Complete if and only if the iterator ends without an exception. Raises as ``find_sent``, also for a list that
        ends early, does not advance, or holds an order without a tracking key.
        """
        ...

    def balance(self, clabe: str) -> Balance:
        """The balance of our account ``clabe`` (the ordering account of our orders). Uses one request of the quota.

        Raises as ``find_sent``; ``OutcomeUnknown`` for an answer without both figures.
        """
        ...

    def register_clabe(self, clabe: str, holder: ClabeHolder) -> RegistrationResult:
        """Register one of our own CLABEs (collection or funding) in the name of ``holder``. May be repeated.

        Raises ``ValueError`` for a holder that STP cannot accept.
        """
        ...

    def remove_clabe(self, clabe: str, holder: ClabeHolder) -> RegistrationResult:
        """Withdraw a CLABE that was registered with this ``holder.tax_id``. May be repeated."""
        ...
