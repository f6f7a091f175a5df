"""Balance transactions: every ledger transaction on a merchant's accounts, newest first.

The order is that of booking (``position``) below the horizon, where no transaction can be added, so that pages are
stable. The balance after a line is counted back from the current one. A cursor carries the balance at its position, so
that page 1,000 costs as much as page 1.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from datetime import datetime

from psycopg.types.numeric import Int8

from core.db import transaction_forbidden
from core.money import CURRENCY
from core.writes import fetch
from ledger.models.transaction import COUNTER
from ledger.resources import statement
from ledger.resources.balance_transaction import Line
from ledger.resources.statement import Figures
from merchants.models import Merchant

WINDOW = 1_000
"""Transactions that one page examines at most when its filters skip some."""

KINDS = tuple(statement.KINDS)
"""Kinds of transactions that touch a merchant's accounts."""


@dataclass(frozen=True, slots=True)
class Place:
    """Position in the list: a transaction, and the merchant's balance before it."""

    position: int
    transaction_id: int
    balance: Figures

    def as_integers(self) -> tuple[int, ...]:
        """For a cursor."""
        return (self.position, self.transaction_id, *astuple(self.balance))

    @classmethod
    def of_integers(cls, numbers: tuple[int, ...]) -> Place:
        """From a cursor."""
        return cls(numbers[0], numbers[1], Figures(*numbers[2:]))


PLACE_SIZE = 2 + len(fields(Figures))

# ``part`` 0 is the balance after the first line, 1 the lines. The database transaction of a booking lasts less than a
# minute, so ``recorded_at`` and ``position`` differ by at most that, which bounds the positions of a time. Fee and IVA
# are found by transaction, not by scanning the fees of all merchants (OFFSET 0 forces that plan).
_QUERY = """
WITH account AS MATERIALIZED (
    SELECT id, purpose, merchant_id IS NOT NULL AS theirs FROM ledger_account
    WHERE livemode = $2 AND currency = $3
        AND (merchant_id = $1 OR (merchant_id IS NULL AND purpose IN ('fee_revenue', 'iva_payable')))
), bounds AS MATERIALIZED (
    SELECT
        coalesce($4::bigint, least(
            $9::bigint,
            (SELECT t.position FROM ledger_transaction t
             WHERE t.recorded_at >= $6::timestamptz + interval '1 minute' ORDER BY t.recorded_at LIMIT 1)
        )) AS position,
        coalesce($5::bigint, 0) AS id,
        coalesce((SELECT t.position FROM ledger_transaction t
         WHERE t.recorded_at < $7::timestamptz - interval '1 minute' ORDER BY t.recorded_at DESC LIMIT 1), 0) AS lowest
), touched AS MATERIALIZED (
    SELECT DISTINCT e.position, e.transaction_id AS id
    FROM account a CROSS JOIN bounds b CROSS JOIN LATERAL (
        SELECT DISTINCT o.position, o.transaction_id FROM ledger_entry o
        WHERE o.account_id = a.id AND (o.position, o.transaction_id) < (b.position, b.id) AND o.position >= b.lowest
        ORDER BY o.position DESC, o.transaction_id DESC LIMIT $8
    ) e
    WHERE a.theirs ORDER BY e.position DESC, e.transaction_id DESC LIMIT $8
), first AS MATERIALIZED (
    SELECT position, id FROM touched ORDER BY position DESC, id DESC LIMIT 1
), held AS MATERIALIZED (
    SELECT a.purpose, -(ledger_total(a.id) - coalesce((
        SELECT sum(e.amount) FROM ledger_entry e
        WHERE e.account_id = a.id AND (e.position, e.transaction_id) > (f.position, f.id)
    ), 0)) AS amount
    FROM account a CROSS JOIN first f WHERE a.theirs AND $4::bigint IS NULL
)
SELECT 0 AS part, 0::bigint AS position, 0::bigint AS id,
    coalesce(sum(amount) FILTER (WHERE purpose = 'available'), 0)::bigint,
    coalesce(sum(amount) FILTER (WHERE purpose = 'pending'), 0)::bigint,
    coalesce(sum(amount) FILTER (WHERE purpose = 'reserved'), 0)::bigint,
    coalesce(sum(amount) FILTER (WHERE purpose = 'blocked'), 0)::bigint,
    coalesce(-sum(amount) FILTER (WHERE purpose = 'debt'), 0)::bigint,
    0::bigint, 0::bigint, NULL::text, NULL::text, NULL::text, NULL::text,
    NULL::timestamptz, NULL::timestamptz, NULL::date
FROM held
UNION ALL
SELECT 1, touched.position, touched.id, legs.available::bigint, legs.pending::bigint, legs.reserved::bigint,
    legs.blocked::bigint, legs.debt::bigint, legs.fee::bigint, legs.iva::bigint,
    t.public_id, t.kind, t.source, t.description, t.recorded_at, t.effective_at, t.operating_date
FROM touched JOIN ledger_transaction t ON t.id = touched.id CROSS JOIN LATERAL (SELECT
        -coalesce(sum(e.amount) FILTER (WHERE a.purpose = 'available'), 0) AS available,
        -coalesce(sum(e.amount) FILTER (WHERE a.purpose = 'pending'), 0) AS pending,
        -coalesce(sum(e.amount) FILTER (WHERE a.purpose = 'reserved'), 0) AS reserved,
        -coalesce(sum(e.amount) FILTER (WHERE a.purpose = 'blocked'), 0) AS blocked,
        coalesce(sum(e.amount) FILTER (WHERE a.purpose = 'debt'), 0) AS debt,
        -coalesce(sum(e.amount) FILTER (WHERE a.purpose = 'fee_revenue'), 0) AS fee,
        -coalesce(sum(e.amount) FILTER (WHERE a.purpose = 'iva_payable'), 0) AS iva
    FROM (SELECT account_id, amount FROM ledger_entry WHERE transaction_id = touched.id OFFSET 0) e
        JOIN account a ON a.id = e.account_id
    ) legs
ORDER BY part, position DESC, id DESC
"""


@dataclass(frozen=True, slots=True)
class Page:
    """Lines, and the position after the last examined transaction if there may be more."""

    lines: list[Line]
    next: Place | None


def page(
    merchant: Merchant,
    *,
    livemode: bool,
    limit: int,
    after: Place | None = None,
    kind: str | None = None,
    created_from: datetime | None = None,
    created_before: datetime | None = None,
) -> Page:
    """Up to ``limit`` lines after ``after``, newest first, filtered by kind and time of booking.

    One statement that examines at most ``WINDOW`` transactions: a page of a rare kind may be shorter than ``limit`` or
    even empty and still have a ``next``.
    """
    narrowed = kind is not None or created_before is not None
    window = max(WINDOW, limit) if narrowed else limit
    walked = _walk(merchant, livemode, window + 1, after, created_from, created_before)
    lines: list[Line] = []
    place = after
    for count, (line, behind) in enumerate(walked):
        if count == window or len(lines) == limit:
            return Page(lines, place)
        place = behind
        if (
            (kind is None or line.kind == kind)
            and (created_from is None or line.recorded_at >= created_from)
            and (created_before is None or line.recorded_at < created_before)
        ):
            lines.append(line)
    return Page(lines, None)


HELD_BACK_AT_MOST = 30.0
"""Seconds that ``wait_until_shown`` waits for transactions that began earlier."""


@transaction_forbidden
def wait_until_shown() -> None:
    """Return once the list shows everything that was booked before this call; raise ``TimeoutError`` if it takes long.

    For readers that must not miss lines: an open database transaction that has booked delays the newest lines.
    """
    wanted = COUNTER.last()
    end = time.monotonic() + HELD_BACK_AT_MOST
    while COUNTER.horizon() <= wanted:
        if time.monotonic() > end:
            raise TimeoutError("an open database transaction delays the newest lines")
        time.sleep(0.05)


def _walk(
    merchant: Merchant,
    livemode: bool,
    window: int,
    after: Place | None,
    created_from: datetime | None,
    created_before: datetime | None,
) -> Iterator[tuple[Line, Place]]:
    """Each line with the position after it."""
    start = (None, None) if after is None else (Int8(after.position), Int8(after.transaction_id))
    before = None if after is not None else created_before
    horizon = None if after is not None else Int8(COUNTER.horizon())
    found = fetch(_QUERY, [Int8(merchant.pk), livemode, CURRENCY, *start, before, created_from, Int8(window), horizon])
    held = after.balance if after is not None else Figures(*found[0][3:8])
    for _, position, key, *numbers, public_id, row_kind, source, description, recorded, effective, day in found[1:]:
        change, (fee, iva) = Figures(*numbers[:5]), numbers[5:]
        line = Line(
            transaction=public_id,
            livemode=livemode,
            kind=row_kind,
            source=source,
            description=description,
            recorded_at=recorded,
            effective_at=effective,
            operating_date=day,
            gross=change.total + fee + iva,
            fee=fee,
            fee_tax=iva,
            change=change,
            balance=held,
        )
        held = _minus(held, change)
        yield line, Place(position, key, held)


def _minus(figures: Figures, change: Figures) -> Figures:
    return Figures(*(a - b for a, b in zip(astuple(figures), astuple(change), strict=True)))
