"""Limits and allowed destinations of payouts: checked at creation, readable in advance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from django.conf import settings
from django.db.models import Sum

from core import clock
from core.db import transaction_required
from core.errors import FieldError, LimitExceeded, RequestRefused, UnusableValue
from core.money import format_mxn
from core.mx import clabe as clabe_rules
from core.writes import column_names, fetch, hydrate
from merchants.models import Merchant
from payments.models import Destination, Payout, ProviderAccount

MAX_AHEAD = timedelta(days=90)
"""How far ahead a payout may be scheduled."""
_NOT_COUNTED = [Payout.Status.FAILED, Payout.Status.REJECTED, Payout.Status.CANCELLED]


class DestinationNotAllowed(RequestRefused):
    """Money cannot be sent to this account."""

    code = "destination_not_allowed"
    http_status = 422

    def __init__(self, message: str | None = None, *, params: Mapping[str, object] | None = None) -> None:
        super().__init__(message, params=params)
        self.errors = (FieldError("destination.clabe", self.code, self.template, params),)


class BankNotAvailable(RequestRefused):
    """This bank takes no transfers by SPEI."""

    code = "bank_not_available"
    http_status = 422

    def __init__(self, message: str | None = None, *, params: Mapping[str, object] | None = None) -> None:
        super().__init__(message, params=params)
        self.errors = (FieldError("destination.clabe", self.code, self.template, params),)


@dataclass(frozen=True, slots=True)
class Limits:
    """A merchant's payout limits in one mode, in centavos; None: no limit."""

    per_payout: int | None
    per_day: int | None
    remaining_today: int | None
    per_destination_and_day: int | None
    cool_down_hours: int


def limits(merchant: Merchant, *, livemode: bool) -> Limits:
    """A merchant's limits, and what is left of today's (Mexico City)."""
    per_day = merchant.payout_day_limit
    remaining = None if per_day is None else max(0, per_day - _sent_today(merchant, livemode))
    return Limits(
        per_payout=merchant.payout_limit,
        per_day=per_day,
        remaining_today=remaining,
        per_destination_and_day=merchant.payout_destination_limit,
        cool_down_hours=merchant.payout_cool_down_hours,
    )


@transaction_required
def lock_settings(merchant: Merchant) -> Merchant:
    """The current merchant, locked against concurrent creation of payouts until the transaction ends.

    The lock does not block inserts with a foreign key to the merchant.
    """
    row = fetch(
        f"SELECT {column_names(Merchant, 'm')} FROM merchants_merchant m "  # noqa: S608 - constants only
        "WHERE m.id = $1 FOR NO KEY UPDATE",
        [merchant.pk],
    )[0]
    return hydrate(Merchant, row)


@transaction_required
def require_within(merchant: Merchant, *, livemode: bool, amount: int, clabe: str) -> None:
    """Raise ``LimitExceeded`` if ``amount`` centavos more would exceed a limit.

    ``merchant`` is from ``lock_settings``.
    """
    if merchant.payout_limit is not None and amount > merchant.payout_limit:
        raise LimitExceeded("A payout has at most %(most)s.", params={"most": format_mxn(merchant.payout_limit)})
    if merchant.payout_day_limit is not None:
        left = merchant.payout_day_limit - _sent_today(merchant, livemode)
        if amount > left:
            raise LimitExceeded(
                "Payouts of a day have at most %(most)s; %(left)s are left today.",
                params={"most": format_mxn(merchant.payout_day_limit), "left": format_mxn(max(0, left))},
            )
    if merchant.payout_destination_limit is not None:
        left = merchant.payout_destination_limit - _sent_today(merchant, livemode, clabe)
        if amount > left:
            raise LimitExceeded(
                "Payouts of a day to one CLABE have at most %(most)s; %(left)s are left today.",
                params={"most": format_mxn(merchant.payout_destination_limit), "left": format_mxn(max(0, left))},
            )


def bank_of(account: ProviderAccount, clabe: str) -> str:
    """The 5-digit SPEI code of the bank of a CLABE that money may be sent to.

    Raises ``InvalidRequest`` for a wrong CLABE, ``DestinationNotAllowed`` for one of our own, and
    ``BankNotAvailable`` for a bank that is unknown or closed.
    """
    clabe_rules.validate(clabe, field="destination.clabe")
    prefixes = ProviderAccount.objects.exclude(clabe_prefix=None).values_list("clabe_prefix", flat=True)
    if clabe == account.ordering_clabe or any(clabe.startswith(prefix or "") for prefix in prefixes):
        raise DestinationNotAllowed("This CLABE is one of ours: money is not sent to ourselves by SPEI.")
    code = next((bank.code for bank in clabe_rules.banks() if bank.clabe_prefix == clabe[:3]), None)
    if code is None:
        raise BankNotAvailable("No bank of SPEI has CLABEs that begin so.")
    closed_on = settings.CLOSED_BANKS.get(code)
    if closed_on is not None and closed_on <= clock.mexico_city_date(clock.now()):
        raise BankNotAvailable(
            "Since %(day)s, %(bank)s takes no transfers.",
            params={"bank": clabe_rules.institution_name(code), "day": closed_on.isoformat()},
        )
    return code


def check_schedule(moment: datetime, *, field: str = "scheduled_for") -> datetime:
    """Return ``moment``. Raises ``UnusableValue`` if a payout cannot be scheduled for it."""
    now = clock.now()
    if now < moment <= now + MAX_AHEAD:
        return moment
    message = (
        "The scheduled time must be in the future." if moment <= now else "A payout is scheduled at most 90 days ahead."
    )
    raise UnusableValue.of(field, message)


def destination(merchant: Merchant, *, livemode: bool, clabe: str) -> tuple[Destination, bool]:
    """The merchant's destination, and whether it is new: then it is not stored yet."""
    known = Destination.objects.filter(merchant=merchant, livemode=livemode, clabe=clabe).first()
    if known is not None:
        return known, False
    now = clock.now()
    usable_at = now + timedelta(hours=merchant.payout_cool_down_hours)
    return Destination(merchant=merchant, livemode=livemode, clabe=clabe, usable_at=usable_at, created_at=now), True


def _sent_today(merchant: Merchant, livemode: bool, clabe: str | None = None) -> int:
    rows = Payout.objects.filter(
        merchant=merchant, livemode=livemode, kind=Payout.Kind.MERCHANT, created_at__gte=_midnight()
    ).exclude(status__in=_NOT_COUNTED)
    if clabe is not None:
        rows = rows.filter(destination_clabe=clabe)
    return rows.aggregate(total=Sum("amount"))["total"] or 0


def _midnight() -> datetime:
    today = clock.mexico_city_date(clock.now())
    return datetime.combine(today, time(), tzinfo=clock.MEXICO_CITY)
