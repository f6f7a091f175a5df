"""Finds and locks the payment that is the target of a notice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from core.writes import Sql
from payments.models import Payment, ProviderAccount
from payments.services.notices.target import NoticeTarget
from payments.services.payment import locked, payment_and_merchant
from payments.services.provider_account import company_accounts

_KEYS = {
    "clabe": "clabe = %s AND made_by = 'request'",
    "order_id": "order_id = %s",
    "public_id": "public_id = %s",
}


def lock_query(account: ProviderAccount, keys: Mapping[str, str], *, deposit_key: str = "") -> Sql | None:
    """The SELECT that locks the payment found by the first matching key, and reads its deposit; None without keys.

    ``keys`` are its own CLABE, its order and its public id: a notice may overtake the response with the order's id.
    The payment may belong to any account of the company; the deposit is booked with the oldest one. ``parse_target``
    reads the row.
    """
    given = {name: value for name, value in keys.items() if value}
    if not given:
        return None
    accounts = [a.pk for a in company_accounts(account)]
    keyed = [part for value in given.values() for part in (*accounts, value)]
    return Sql(_lock_query(tuple(given), len(accounts)), (accounts[0], deposit_key, *keyed))


def parse_target(row: Sequence[Any] | None) -> NoticeTarget[Payment]:
    """The payment; ``related`` is the booked deposit (public id, amount, currency, CLABE) or None."""
    if row is None:
        return NoticeTarget(None)
    return NoticeTarget(locked(row[:-4]), tuple(row[-4:]) if row[-4] is not None else None)


@cache
def _lock_query(given: tuple[str, ...], accounts: int) -> str:
    of_us = f"provider_account_id IN ({', '.join(['%s'] * accounts)})"
    keys = ", ".join(
        [f"(SELECT id FROM payments_payment WHERE {of_us} AND {_KEYS[name]})" for name in given]  # noqa: S608
    )
    return f"""
        SELECT {payment_and_merchant()}, d.public_id, d.amount, d.currency, d.clabe
        FROM payments_payment p
        JOIN merchants_merchant m ON m.id = p.merchant_id
        LEFT JOIN payments_deposit d ON d.provider_account_id = %s AND d.deposit_key = %s
        WHERE p.id = coalesce({keys})
        FOR NO KEY UPDATE OF p
    """  # noqa: S608 - constants only
