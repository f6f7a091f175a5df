"""Applying what a provider says: the one path by which money that arrived enters the books.

Lock order: the inbox row (held by the caller, or not there yet), then the payment, then the ledger. Money that arrived
is always booked in the transaction that records it: to the merchant if its policy takes it, else to suspense with a
review case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.db import connection

from core import calendar, clock
from core.db import transaction_required
from core.errors import InvariantBroken
from core.money import CURRENCY
from core.state import Origin, TransitionRow
from core.unit_of_work import joined
from core.writes import Sql, fetch, fresh, numbered
from payments.models import Clabe, Deposit, Payment, ProviderAccount
from payments.providers.base import MoneyReceived, MoneyTakenBack, Notice, OrderClosed, OrderStateChanged, Uninteresting
from payments.services import deposit as deposit_service
from payments.services import policy
from payments.services.payment import WAITING, create_for_deposit, locked, payment_and_merchant
from payments.services.transition import record_payment

CONFLICT = "conflict"
"""Begins the reason of an outcome that somebody must look at: the notice contradicts what is booked."""

UNMATCHED = "unmatched"
"""Begins the reason of an outcome that may be another one later: what the notice is about is not here."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a notice led to. ``applied`` is False if nothing had to change; ``reason`` says why in one word.

    ``wait``: what it is about may appear in a moment, the answer to our own request being on its way. Try again.
    """

    applied: bool
    reason: str
    object_id: str = ""
    wait: bool = False


class Overtaken(Exception):
    """Somebody else stored the same money, or the same notice, in this moment: roll back, and look again."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a notice is about, as it was when ``question`` was answered: the locked payment, if there is one, and the
    deposit that is booked (public id, amount, currency, CLABE).
    """

    payment: Payment | None
    booked: tuple[str, int, str, str] | None = None


def question(account: ProviderAccount, notice: Notice) -> Sql | None:
    """The SELECT that finds and locks the payment that ``notice`` is about; None if nothing must be looked for.

    It may become part of a statement of the caller, who may append conditions; ``answer`` reads its row. By the
    payment's own CLABE, its order, or its id: a notice may overtake the answer that brings the order's id.
    """
    match notice:
        case MoneyReceived():
            keys = {"clabe": notice.clabe, "order_id": notice.order_id, "public_id": notice.payment_id}
            deposit_key = notice.deposit_key
        case OrderClosed() | MoneyTakenBack():
            keys, deposit_key = {"order_id": notice.order_id, "public_id": notice.payment_id}, ""
        case _:
            return None
    given = {name: value for name, value in keys.items() if value}
    if not given:
        return None
    pairs = [part for value in given.values() for part in (account.pk, value)]
    return Sql(_question(tuple(given)), (deposit_key, *pairs))


def answer(row: Sequence[Any] | None) -> Found:
    """What the row of ``question`` says; None: no payment."""
    if row is None:
        return Found(None)
    return Found(locked(row[:-4]), tuple(row[-4:]) if row[-4] is not None else None)


_KEYS = {
    "clabe": "(SELECT id FROM payments_payment WHERE provider_account_id = %s AND clabe = %s AND made_by = 'request')",
    "order_id": "(SELECT id FROM payments_payment WHERE provider_account_id = %s AND order_id = %s)",
    "public_id": "(SELECT id FROM payments_payment WHERE provider_account_id = %s AND public_id = %s)",
}


@cache
def _question(given: tuple[str, ...]) -> str:
    keys = ", ".join([_KEYS[name] for name in given])
    return f"""
        SELECT {payment_and_merchant()}, d.public_id, d.amount, d.currency, d.clabe
        FROM payments_payment p
        JOIN merchants_merchant m ON m.id = p.merchant_id
        LEFT JOIN payments_deposit d ON d.provider_account_id = p.provider_account_id AND d.deposit_key = %s
        WHERE p.id = coalesce({keys})
        FOR NO KEY UPDATE OF p
    """  # noqa: S608 - constants only


def outcome_without_looking(account: ProviderAccount, notice: Notice) -> Outcome | None:
    """What the notice leads to if nothing that is stored can change that, else None."""
    said = getattr(notice, "livemode", None)
    if said is not None and said != account.livemode:
        return Outcome(False, f"{CONFLICT}: it says {'live' if said else 'test'}, the account is not")
    match notice:
        case MoneyReceived() if notice.currency != CURRENCY:
            return Outcome(False, f"{CONFLICT}: it reports {notice.currency}, the books hold {CURRENCY} only")
        case OrderStateChanged():
            return Outcome(False, f"{UNMATCHED}: nothing was sent")
        case Uninteresting():
            return Outcome(False, notice.reason)
        case _:
            return None


@transaction_required
def apply(account: ProviderAccount, notice: Notice, *, event_id: str, found: Found | None = None) -> Outcome:
    """Carry out one authentic notice of ``account``; ``event_id`` is the inbox row's public id.

    What changes joins the unit of work that the caller has open, with its own row. Safe under any
    repetition, order and concurrency: the same money is booked once, a state never goes back.

    ``found`` is what the caller's own statement locked; what that read beside the lock may be older than the lock, so
    that executing the unit raises ``Overtaken`` where the same money was booked meanwhile.
    """
    origin = Origin(TransitionRow.Cause.NOTICE, account.public_id, event_id)
    outcome = outcome_without_looking(account, notice)
    if outcome is not None:
        return outcome
    match notice:
        case MoneyReceived():
            with joined() as writes:
                writes.expect("deposit_key_unique", Overtaken())
                return _receive_money(account, notice, origin, found or _look(account, notice))
        case MoneyTakenBack():
            return _report_taken_back(notice, found or _look(account, notice))
        case OrderClosed():
            return _close_order(notice, origin, found or _look(account, notice))
        case _:
            raise InvariantBroken(f"nobody knows what a {type(notice).__name__} leads to")


def _look(account: ProviderAccount, notice: MoneyReceived | MoneyTakenBack | OrderClosed) -> Found:
    """The payment, locked; then, by another statement, which sees all that the lock waited for, the deposit."""
    asked = question(account, notice)
    rows = fetch(numbered(asked.text), asked.params) if asked is not None else []
    payment = answer(rows[0] if rows else None).payment
    if payment is None or not isinstance(notice, MoneyReceived):
        return Found(payment)
    return Found(payment, _booked(account, notice))


def _booked(account: ProviderAccount, notice: MoneyReceived) -> Any:
    return next(
        iter(
            fetch(
                "SELECT public_id, amount, currency, clabe FROM payments_deposit "
                "WHERE provider_account_id = $1 AND deposit_key = $2",
                [account.pk, notice.deposit_key],
            )
        ),
        None,
    )


def _receive_money(account: ProviderAccount, notice: MoneyReceived, origin: Origin, found: Found) -> Outcome:
    payment, booked, clabe = found.payment, found.booked, None
    if payment is None:
        clabe = _find_clabe(account, notice.clabe)
        _serialise(account, notice.deposit_key)
        booked = _booked(account, notice)
    elif booked is None and payment.status not in WAITING:  # perhaps by whoever held the lock until now
        booked = _booked(account, notice)
    if booked is not None:
        known, *said = booked
        if said != [notice.amount, notice.currency, notice.clabe]:
            return Outcome(False, f"{CONFLICT}: the deposit it reports is booked otherwise", known)
        return Outcome(False, "duplicate", known)

    deposit = fresh(
        Deposit,
        provider_account=account,
        livemode=account.livemode,
        deposit_key=notice.deposit_key,
        amount=notice.amount,
        currency=notice.currency,
        paid_at=notice.paid_at,
        operating_date=notice.operating_date or calendar.operating_date(notice.paid_at),
        clabe=notice.clabe,
        tracking_key=notice.tracking_key,
        concept=notice.concept,
        payer_name=notice.payer.name,
        payer_account=notice.payer.account,
        payer_institution=notice.payer.institution_code,
        provider_event=origin.reference,
    )
    reason = _why_kept(account, notice, deposit, payment, clabe)
    if reason is not None:
        deposit_service.suspend(deposit, reason, payment=payment, reusable_clabe=clabe, origin=origin)
        return Outcome(True, f"suspended:{reason}", deposit.public_id)
    if payment is None:
        if clabe is None:
            raise InvariantBroken(f"{deposit.public_id} is to be credited to nobody")
        payment = create_for_deposit(deposit, clabe.merchant, reusable_clabe=clabe, origin=origin)
    deposit_service.credit(deposit, payment, origin=origin)
    return Outcome(True, "credited", payment.public_id)


def _report_taken_back(notice: MoneyTakenBack, found: Found) -> Outcome:
    """We never ask a provider to give money back, so the books do not know of it: a person must look."""
    payment = found.payment
    if payment is None:
        return Outcome(False, f"{UNMATCHED}: no payment has this order", wait=True)
    return Outcome(False, f"{CONFLICT}: {notice.event_type}, which nobody here asked for", payment.public_id)


def _close_order(notice: OrderClosed, origin: Origin, found: Found) -> Outcome:
    payment = found.payment
    if payment is None:
        return Outcome(False, f"{UNMATCHED}: no payment has this order", wait=True)
    if payment.order_id not in (None, notice.order_id):
        return Outcome(False, "another_order", payment.public_id)
    if payment.status not in WAITING:
        return Outcome(False, "stale", payment.public_id)
    before = payment.status
    if notice.reason == "expired":
        payment.expire()
    else:
        payment.cancel(at=clock.now())
    with joined() as writes:
        writes.update(payment, "status", "cancelled_at")
        record_payment(payment, from_status=before, origin=origin, event_type=f"payment.{payment.status}")
    return Outcome(True, notice.reason, payment.public_id)


def _why_kept(
    account: ProviderAccount, notice: MoneyReceived, deposit: Deposit, payment: Payment | None, clabe: Clabe | None
) -> Deposit.SuspenseReason | None:
    reasons = Deposit.SuspenseReason
    if notice.event_type == "stp.return":
        return reasons.RETURNED_TRANSFER
    if payment is not None:
        return policy.why_kept(payment.merchant, policy.differences_from_payment(payment, deposit))
    if clabe is not None:
        return policy.why_kept(clabe.merchant, policy.differences_from_clabe(clabe, deposit))
    return reasons.UNKNOWN_CLABE if account.provider == ProviderAccount.Provider.STP else reasons.UNKNOWN_ORDER


def _find_clabe(account: ProviderAccount, clabe: str) -> Clabe | None:
    """The reusable CLABE that money was sent to. Its row needs no lock: the payer's time says if it was closed."""
    if not clabe:
        return None
    return Clabe.objects.select_related("merchant").filter(provider_account=account, clabe=clabe).first()


def _serialise(account: ProviderAccount, deposit_key: str) -> None:
    """Let two notices of one deposit pass one after the other although no payment's row is there to lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, %s))", [deposit_key, account.pk])
