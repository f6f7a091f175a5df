"""Export of the ledger as Beancount text (https://beancount.github.io/docs/), to be checked by an independent program.

Names: a platform account ``platform:stp_cash`` becomes ``Assets:Stp-Cash``, a merchant's ``mer_01kb…:available``
becomes ``Liabilities:Merchants:Mer-01kb…:Available``. The root follows from the purpose; the rest is the code with
capitalized words and ``-`` for ``_``. Codes are lower case without ``-``, so names are unique and reversible.

Amounts keep the ledger's signs (debits positive), which are Beancount's. Days are operating dates. Transactions before
the first day are summed up as opening balances. Each account ends with a ``balance`` assertion of zero tolerance, taken
from ``ledger_total`` and not from the entries written above it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from core.clock import to_rfc3339
from core.db import transaction_required
from core.errors import FieldError, InvalidRequest, InvariantBroken
from core.money import CURRENCY, centavos_to_pesos
from ledger.models import Account
from ledger.services import stream

_ROOTS = {
    "fee_revenue": "Income",
    "provider_fees": "Expenses",
    "losses": "Expenses",
    "rounding": "Expenses",
    "owner_funds": "Equity",
}
"""Roots of these purposes; the other purposes are Assets or Liabilities by their normal side."""

_YEARS = range(1701, 2199)
"""Years that Beancount accepts, less one at both ends for the day before and after."""
_CODE = re.compile(r"(platform|[a-z][0-9a-z_]*):[a-z][0-9a-z_]*")
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r", "\f": "\\f", "\b": "\\b"})


@dataclass(frozen=True, slots=True)
class _Named:
    """An account of the export: its name, its balance before the first day and after the last, in centavos."""

    name: str
    before: int
    after: int


@transaction_required
def beancount(
    *,
    livemode: bool,
    first_day: date | None = None,
    last_day: date | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> Iterator[str]:
    """One mode's books as lines of Beancount, operating dates ``first_day`` to ``last_day``, all unless given.

    Streams in constant memory; call it inside ``stream.snapshot()``, so that what it reads in several queries is one
    state of the books. ``progress`` is told after each transaction how many were written. Raises ``InvalidRequest`` for
    a period that ends before it begins or lies in years that Beancount does not read, and ``InvariantBroken`` for an
    account that has no name in Beancount.
    """
    if first_day and last_day and last_day < first_day:
        raise _refused("last_day", f"The period ends on {last_day}, before it begins on {first_day}.")
    for field, day in (("first_day", first_day), ("last_day", last_day)):
        if day and day.year not in _YEARS:
            raise _refused(field, f"{day}: Beancount knows the years {_YEARS[0]} to {_YEARS[-1]}.")
    return _lines(livemode, first_day, last_day, progress)


def account_name(account: Account) -> str:
    """The account's name in Beancount. Raises ``InvariantBroken`` for a code that cannot be mapped."""
    if not _CODE.fullmatch(account.code):
        raise InvariantBroken(f"Account {account.code!r} has no name in Beancount: only a-z, 0-9 and _ are mapped.")
    side = "Assets" if account.normal_side == Account.Side.DEBIT else "Liabilities"
    owner, purpose = account.code.split(":")
    words = [_ROOTS.get(account.purpose, side)]
    if owner != "platform":
        words += ["Merchants", owner[0].upper() + owner[1:].replace("_", "-")]
    return ":".join([*words, "-".join(word[:1].upper() + word[1:] for word in purpose.split("_"))])


def _lines(
    livemode: bool, first_day: date | None, last_day: date | None, progress: Callable[[int], None]
) -> Iterator[str]:
    accounts = _accounts(livemode, first_day, last_day)
    opened, closed = _days(livemode, first_day, last_day)
    yield f'option "title" "Ledger, {"live" if livemode else "test"} mode"\n'
    yield f'option "operating_currency" "{CURRENCY}"\n\n'
    for account in accounts.values():
        yield f"{opened} open {account.name} {CURRENCY}\n"
    if any(account.before for account in accounts.values()):
        yield f'\n{opened} * "Opening balances"\n'
        yield from (_leg(account.name, account.before) for account in accounts.values() if account.before)
    for written, row in enumerate(stream.rows(*_transactions(livemode, first_day, last_day)), start=1):
        yield _transaction(row, accounts)
        progress(written)
    yield "\n"
    for account in accounts.values():
        yield f"{closed} balance {account.name}  {centavos_to_pesos(account.after)} ~ 0.00 {CURRENCY}\n"


def _transaction(row: tuple[Any, ...], accounts: dict[int, _Named]) -> str:
    public_id, kind, source, description, effective_at, recorded_at, day, reverses, pks, amounts = row
    said = {"id": public_id, "kind": kind, "source": source, "effective_at": to_rfc3339(effective_at)}
    said |= {"recorded_at": to_rfc3339(recorded_at)} | ({"reverses": reverses} if reverses else {})
    lines = [f"\n{day} * {_text(description)}\n", *(f"  {key}: {_text(value)}\n" for key, value in said.items())]
    lines += [_leg(accounts[pk].name, amount) for pk, amount in zip(pks, amounts, strict=True)]
    return "".join(lines)


def _leg(name: str, centavos: int) -> str:
    return f"  {name}  {centavos_to_pesos(centavos)} {CURRENCY}\n"


def _text(text: str) -> str:
    return f'"{text.translate(_ESCAPES)}"'


def _accounts(livemode: bool, first_day: date | None, last_day: date | None) -> dict[int, _Named]:
    """Accounts by database id, sorted by name. Two accounts with one name are refused, as their sums would be mixed."""
    query = """
        SELECT a.id,
            coalesce(sum(e.amount) FILTER (WHERE t.operating_date < %s), 0)::bigint,
            coalesce(sum(e.amount) FILTER (WHERE t.operating_date > %s), 0)::bigint,
            ledger_total(a.id)
        FROM ledger_account a
        LEFT JOIN (ledger_entry e JOIN ledger_transaction t
            ON t.id = e.transaction_id AND (t.operating_date < %s OR t.operating_date > %s)) ON e.account_id = a.id
        WHERE a.livemode = %s AND a.currency = %s GROUP BY a.id
    """
    low, high = first_day or date.min, last_day or date.max
    accounts = Account.objects.filter(livemode=livemode, currency=CURRENCY)
    known = {account.pk: account_name(account) for account in accounts}
    if len(set(known.values())) < len(known):
        raise InvariantBroken("Two accounts have one name in Beancount.")
    found = {
        pk: _Named(known[pk], before, total - later)
        for pk, before, later, total in stream.rows(query, [low, high, low, high, livemode, CURRENCY])
    }
    return dict(sorted(found.items(), key=lambda item: item[1].name))


def _days(livemode: bool, first_day: date | None, last_day: date | None) -> tuple[date, date]:
    """The day on which accounts are opened, and the day of the balance assertions."""
    query = """
        SELECT coalesce(min(operating_date), current_date), coalesce(max(operating_date), current_date)
        FROM ledger_transaction WHERE livemode = %s
    """
    first, last = next(stream.rows(query, [livemode]))
    opened = first_day - timedelta(days=1) if first_day else min(first, last_day or first)
    return opened, (last_day or max(last, opened)) + timedelta(days=1)


def _transactions(livemode: bool, first_day: date | None, last_day: date | None) -> tuple[str, list[object]]:
    query = """
        SELECT t.public_id, t.kind, t.source, t.description, t.effective_at, t.recorded_at, t.operating_date,
            r.public_id, legs.accounts, legs.amounts
        FROM ledger_transaction t
        CROSS JOIN LATERAL (
            SELECT array_agg(e.account_id ORDER BY e.id) AS accounts, array_agg(e.amount ORDER BY e.id) AS amounts
            FROM ledger_entry e WHERE e.transaction_id = t.id
        ) legs
        LEFT JOIN ledger_transaction r ON r.id = t.reverses_id
        WHERE t.livemode = %s AND t.operating_date >= %s AND t.operating_date <= %s
        ORDER BY t.operating_date, t.effective_at, t.id
    """
    return query, [livemode, first_day or date.min, last_day or date.max]


def _refused(field: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, errors=[FieldError(field, "invalid", message)])
