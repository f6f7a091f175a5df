"""Numbers for CLABEs: fetched from the account's database sequence by the handful, handed out once each."""

from __future__ import annotations

import os
from collections import deque

from core.write_guard import beside
from core.writes import fetch
from payments.models import ProviderAccount

BATCH_SIZE = 16
"""Numbers fetched at once. A process that ends loses what it has left; ten million for each prefix bear that."""

_left: dict[str, deque[int]] = {}


def take(account: ProviderAccount) -> int:
    """Seven digits never given out before by this account; sequences do not roll back, so gaps are normal."""
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
    """Hand this number out again: it is certain that nothing was written with it."""
    _left.setdefault(f"payments_clabe_{account.clabe_sequence}", deque()).appendleft(number)


def forget() -> None:
    """Fetch the next number afresh: in a child, whose parent has the same left, or with another database."""
    _left.clear()


os.register_at_fork(after_in_child=forget)
