"""Statements of a merchant over Mexico City days: opening balance, movements, totals, closing balance.

Everything is read from the entries by effective time in one SQL statement, so that opening balance, totals and
movements are consistent under concurrent postings.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from core.clock import local_day_bounds
from core.db import transaction_required
from core.errors import FieldError, InvalidRequest
from core.money import CURRENCY
from ledger.resources.statement import Figures, Movement, Statement, Totals
from ledger.services import stream
from merchants.models import Merchant

MAX_DAYS = 366

# ``part`` orders the result: 0 is the opening balance, 1 the sums over all movements, 2 the movements. Fee and IVA are
# the legs of the merchant's transactions on our two accounts. They are found by transaction, not by scanning the fees
# of all merchants (OFFSET 0 forces that plan, also without statistics). Signs are inverted so that the merchant's money
# is positive; debt is positive too.
_QUERY = """
WITH account AS MATERIALIZED (
    SELECT id, purpose, merchant_id IS NOT NULL AS theirs FROM ledger_account
    WHERE livemode = %s AND currency = %s
        AND (merchant_id = %s OR (merchant_id IS NULL AND purpose IN ('fee_revenue', 'iva_payable')))
), touched AS MATERIALIZED (
    SELECT DISTINCT e.transaction_id AS id FROM ledger_entry e JOIN account a ON a.id = e.account_id
    WHERE a.theirs AND e.effective_at >= %s AND e.effective_at < %s
), opening AS MATERIALIZED (
    SELECT a.purpose, -(ledger_total(a.id) - coalesce((
        SELECT sum(e.amount) FROM ledger_entry e WHERE e.account_id = a.id AND e.effective_at >= %s
    ), 0)) AS held
    FROM account a WHERE a.theirs
), movement AS MATERIALIZED (
    SELECT touched.id, legs.* FROM touched CROSS JOIN LATERAL (SELECT
        -coalesce(sum(e.amount) FILTER (WHERE a.purpose = 'available'), 0) AS available,
        -coalesce(sum(e.amount) FILTER (WHERE a.purpose = 'pending'), 0) AS pending,
        -coalesce(sum(e.amount) FILTER (WHERE a.purpose = 'reserved'), 0) AS reserved,
        -coalesce(sum(e.amount) FILTER (WHERE a.purpose = 'blocked'), 0) AS blocked,
        coalesce(sum(e.amount) FILTER (WHERE a.purpose = 'debt'), 0) AS debt,
        -coalesce(sum(e.amount) FILTER (WHERE a.purpose = 'fee_revenue'), 0) AS fee,
        -coalesce(sum(e.amount) FILTER (WHERE a.purpose = 'iva_payable'), 0) AS iva,
        -coalesce(sum(e.amount), 0) AS gross
    FROM (SELECT account_id, amount FROM ledger_entry WHERE transaction_id = touched.id OFFSET 0) e
        JOIN account a ON a.id = e.account_id
    ) legs
)
SELECT 0 AS part, NULL::timestamptz AS effective_at, 0::bigint AS id,
    coalesce(sum(held) FILTER (WHERE purpose = 'available'), 0)::bigint,
    coalesce(sum(held) FILTER (WHERE purpose = 'pending'), 0)::bigint,
    coalesce(sum(held) FILTER (WHERE purpose = 'reserved'), 0)::bigint,
    coalesce(sum(held) FILTER (WHERE purpose = 'blocked'), 0)::bigint,
    coalesce(-sum(held) FILTER (WHERE purpose = 'debt'), 0)::bigint,
    0::bigint, 0::bigint, 0::bigint, 0::bigint,
    NULL::text, NULL::date, NULL::text, NULL::text, NULL::text
FROM opening
UNION ALL
SELECT 1, NULL, 0,
    coalesce(sum(available), 0)::bigint, coalesce(sum(pending), 0)::bigint, coalesce(sum(reserved), 0)::bigint,
    coalesce(sum(blocked), 0)::bigint, coalesce(sum(debt), 0)::bigint,
    coalesce(sum(fee), 0)::bigint, coalesce(sum(iva), 0)::bigint,
    coalesce(sum(gross) FILTER (WHERE gross > 0), 0)::bigint,
    coalesce(-sum(gross) FILTER (WHERE gross < 0), 0)::bigint,
    NULL, NULL, NULL, NULL, NULL
FROM movement
UNION ALL
SELECT 2, t.effective_at, t.id, m.available::bigint, m.pending::bigint, m.reserved::bigint, m.blocked::bigint,
    m.debt::bigint, m.fee::bigint, m.iva::bigint, m.gross::bigint, 0,
    t.public_id, t.operating_date, t.kind, t.source, t.description
FROM movement m JOIN ledger_transaction t ON t.id = m.id
ORDER BY part, effective_at, id
"""


@transaction_required
def of_merchant(merchant: Merchant, *, livemode: bool, first_day: date, last_day: date) -> Statement:
    """The merchant's statement in one mode from ``first_day`` to ``last_day``, Mexico City days, both included.

    Movements are ordered by effective time, then by booking. They are read lazily, in constant memory, and must be
    consumed inside the same transaction. Raises ``InvalidRequest`` for a period that ends before it begins or has more
    than ``MAX_DAYS`` days.
    """
    start, end = _bounds(first_day, last_day)
    found = stream.rows(_QUERY, [livemode, CURRENCY, merchant.pk, start, end, start])
    opening = Figures(*next(found)[3:8])
    sums = next(found)
    change = Figures(*sums[3:8])
    fees, iva, gross_in, gross_out = sums[8:12]
    return Statement(
        merchant=merchant.public_id,
        merchant_name=merchant.name,
        livemode=livemode,
        currency=CURRENCY,
        first_day=first_day,
        last_day=last_day,
        opening=opening,
        closing=opening.plus(change),
        totals=Totals(gross_in=gross_in, gross_out=gross_out, fees=fees, iva=iva, net=change.total),
        movements=_movements(found, opening.total),
    )


def _movements(found: Iterator[tuple[Any, ...]], balance: int) -> Iterator[Movement]:
    for _, effective_at, _, *amounts, public_id, operating_date, kind, source, description in found:
        change = Figures(*amounts[:5])
        fee, iva, gross, _ = amounts[5:]
        balance += change.total
        yield Movement(
            transaction=public_id,
            effective_at=effective_at,
            operating_date=operating_date,
            kind=kind,
            source=source,
            description=description,
            gross=gross,
            fee=fee,
            iva=iva,
            net=change.total,
            balance=balance,
            change=change,
        )


def _bounds(first_day: date, last_day: date) -> tuple[datetime, datetime]:
    if last_day < first_day:
        raise _refused(f"The period ends on {last_day}, before it begins on {first_day}.")
    if (last_day - first_day).days >= MAX_DAYS:
        raise _refused(f"A statement covers at most {MAX_DAYS} days.")
    try:
        return local_day_bounds(first_day)[0], local_day_bounds(last_day)[1]
    except OverflowError:
        raise _refused(f"{last_day} has no day after it.") from None


def _refused(message: str) -> InvalidRequest:
    return InvalidRequest(message, errors=[FieldError("last_day", "invalid", message)])
