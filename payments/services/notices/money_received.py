"""Notices of received money, booked as a payment, as a top-up or, with a review case, in suspense."""

from __future__ import annotations

from typing import Any

from django.db import connection

from core import calendar
from core.errors import InvariantBroken
from core.money import CURRENCY
from core.state import Origin
from core.unit_of_work import joined
from core.writes import Sql, fetch, new_instance
from payments.models import Clabe, Deposit, Payment, ProviderAccount
from payments.providers import registry
from payments.providers.base import MoneyReceived
from payments.services import deposit as deposit_service
from payments.services import policy, topup
from payments.services.notices import payment_target
from payments.services.notices.outcome import CONFLICT, Outcome, Overtaken
from payments.services.notices.payment_target import parse_target
from payments.services.notices.target import NoticeTarget, locked_row
from payments.services.payment import WAITING, create_for_deposit
from payments.services.provider_account import company_accounts

__all__ = ["apply", "early_outcome", "lock_query", "parse_target"]


def lock_query(account: ProviderAccount, notice: MoneyReceived) -> Sql | None:
    """Finds the payment by its own CLABE, its order or its id, together with the booked deposit."""
    keys = {"clabe": notice.clabe, "order_id": notice.order_id, "public_id": notice.payment_id}
    return payment_target.lock_query(account, keys, deposit_key=notice.deposit_key)


def early_outcome(account: ProviderAccount, notice: MoneyReceived) -> Outcome | None:
    """A conflict for a foreign currency."""
    if notice.currency != CURRENCY:
        return Outcome(False, f"{CONFLICT}: it reports {notice.currency}, the books hold {CURRENCY} only")
    return None


def apply(
    account: ProviderAccount, notice: MoneyReceived, origin: Origin, target: NoticeTarget[Payment] | None
) -> Outcome:
    """Book the deposit once. Executing the unit of work raises ``Overtaken`` if it was booked concurrently."""
    with joined() as writes:
        writes.expect("deposit_key_unique", Overtaken())
        return _receive(account, notice, origin, target or _look(account, notice))


def _look(account: ProviderAccount, notice: MoneyReceived) -> NoticeTarget[Payment]:
    """Lock the payment, then read the deposit by another statement, which sees the changes that the lock waited for."""
    payment = parse_target(locked_row(lock_query(account, notice))).object
    return NoticeTarget(payment, None if payment is None else _booked(account, notice))


def _receive(account: ProviderAccount, notice: MoneyReceived, origin: Origin, target: NoticeTarget[Payment]) -> Outcome:
    payment, booked, clabe = target.object, target.related, None
    if payment is None:
        clabe = _find_clabe(account, notice.clabe)
        _serialise(account, notice.deposit_key)
        booked = _booked(account, notice)
    elif booked is None and payment.status not in WAITING:  # perhaps by the transaction that held the lock
        booked = _booked(account, notice)
    if booked is not None:
        known, *said = booked
        if said != [notice.amount, notice.currency, notice.clabe]:
            return Outcome(False, f"{CONFLICT}: the deposit it reports is booked otherwise", known)
        return Outcome(False, "duplicate", known)

    deposit = new_instance(
        Deposit,
        provider_account=company_accounts(account)[0],
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
    reason = _suspense_reason(account, notice, deposit, payment, clabe)
    if reason is not None:
        deposit_service.suspend(
            deposit, reason, payment=payment, reusable_clabe=clabe, return_of=notice.return_of, origin=origin
        )
        return Outcome(True, f"suspended:{reason}", deposit.public_id)
    if payment is None:
        if clabe is None:
            raise InvariantBroken(f"{deposit.public_id} has no merchant to be credited to")
        if clabe.purpose == Clabe.Purpose.FUNDING:
            topup.credit(deposit, clabe, origin=origin)
            return Outcome(True, "credited", deposit.public_id)
        payment = create_for_deposit(deposit, clabe.merchant, reusable_clabe=clabe, origin=origin)
    deposit_service.credit(deposit, payment, origin=origin)
    return Outcome(True, "credited", payment.public_id)


def _booked(account: ProviderAccount, notice: MoneyReceived) -> tuple[Any, ...] | None:
    rows = fetch(
        "SELECT public_id, amount, currency, clabe FROM payments_deposit "
        "WHERE provider_account_id = $1 AND deposit_key = $2",
        [company_accounts(account)[0].pk, notice.deposit_key],
    )
    return rows[0] if rows else None


def _suspense_reason(
    account: ProviderAccount, notice: MoneyReceived, deposit: Deposit, payment: Payment | None, clabe: Clabe | None
) -> Deposit.SuspenseReason | None:
    reasons = Deposit.SuspenseReason
    if notice.return_of:
        return reasons.RETURNED_TRANSFER
    if payment is not None:
        return policy.suspense_reason(payment.merchant, policy.differences_from_payment(payment, deposit))
    if clabe is not None:
        return policy.suspense_reason(clabe.merchant, policy.differences_from_clabe(clabe, deposit))
    return reasons(registry.method_at(account.provider).unknown)


def _find_clabe(account: ProviderAccount, clabe: str) -> Clabe | None:
    """The reusable CLABE that money was sent to. It needs no lock: the time of payment decides if it was closed."""
    if not clabe:
        return None
    known = Clabe.objects.select_related("merchant", "provider_account")
    return known.filter(provider_account__in=[a.pk for a in company_accounts(account)], clabe=clabe).first()


def _serialise(account: ProviderAccount, deposit_key: str) -> None:
    """Serialise notices of one deposit by an advisory lock, because there is no payment to lock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, %s))", [deposit_key, company_accounts(account)[0].pk]
        )
