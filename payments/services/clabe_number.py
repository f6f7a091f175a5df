"""Numbers for CLABEs: fetched in batches from the account's database sequence, each used once."""

from __future__ import annotations

import os
from collections import deque

from core.write_guard import beside
from core.writes import fetch
from payments.models import ProviderAccount

BATCH_SIZE = 16
"""Numbers fetched at once. A process that ends loses its remaining ones, which ten million per prefix allow."""

_left: dict[str, deque[int]] = {}


def take(account: ProviderAccount) -> int:
    """A number (seven digits) that this account has not used. Sequences do not roll back, so gaps are normal."""
    sequence = f"payments_clabe_{account.clabe_sequence}"
    try:
        return _left[sequence].popleft()
    except (KeyError, IndexError):
        with beside("payments.take_clabe_numbers"):
            rows = fetch("SELECT nextval($1::text::regclass) FROM generate_series(1, $2)", [sequence, BATCH_SIZE])
    first, *others = (int(number) for (number,) in rows)
    _left.setdefault(sequence, deque()).extend(others)
    return first


def give_back(account: ProviderAccount, number: int) -> None:
    """Return a number with which nothing was written."""
    _left.setdefault(f"payments_clabe_{account.clabe_sequence}", deque()).appendleft(number)


def forget() -> None:
    """Discard the fetched numbers: in a forked child, which shares them with its parent, or for another database."""
    _left.clear()


os.register_at_fork(after_in_child=forget)
