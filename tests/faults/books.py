"""What must be in the database after the storm, asked with SQL from outside the site."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable

from tests.faults.house import AMOUNT, House, Order

RECOVERY = 30.0
"""Seconds within which everything acknowledged must be settled."""


def states_of(house: House, event_ids: Iterable[str]) -> dict[str, str]:
    """Event id -> its state in the inbox; what is not there is missing here too."""
    found = house.query("SELECT event_id, status FROM webhooks_providerevent WHERE event_id = ANY(%s)", list(event_ids))
    return dict(found)


def assert_settled(house: House, event_ids: Iterable[str], *, seconds: float = RECOVERY) -> float:
    """Every one of these is in the inbox, and within ``seconds`` none waits for work. How long it took."""
    wanted, began = set(event_ids), time.monotonic()
    while True:
        found = states_of(house, wanted)
        missing = wanted - set(found)
        assert not missing, f"{len(missing)} of {len(wanted)} acknowledged notices are lost: {sorted(missing)[:5]}"
        counts = Counter(found.values())
        if not counts["received"] and not counts["retry"]:
            assert set(counts) <= {"processed", "ignored"}, counts
            return time.monotonic() - began
        assert time.monotonic() - began < seconds, f"not settled after {seconds} s: {counts}"
        time.sleep(0.05)


def assert_paid_once(house: House, orders: Iterable[Order]) -> None:
    """Each is completed by one transition, one deposit, one balanced posting of four entries, one event."""
    ids = [order.public_id for order in orders]
    rows = house.query(
        """
        SELECT p.public_id, p.status,
            (SELECT count(*) FROM payments_paymenttransition t WHERE t.payment_id = p.id AND t.to_status = 'completed'),
            (SELECT count(*) FROM payments_deposit d WHERE d.payment_id = p.id AND d.status = 'credited'),
            (SELECT count(*) FROM payments_deposit d WHERE d.payment_id = p.id),
            (SELECT count(*) FROM ledger_transaction t JOIN payments_deposit d ON d.public_id = t.source
                WHERE d.payment_id = p.id),
            (SELECT coalesce(sum(e.amount), -1) FROM ledger_entry e JOIN ledger_transaction t ON t.id = e.transaction_id
                JOIN payments_deposit d ON d.public_id = t.source WHERE d.payment_id = p.id),
            (SELECT coalesce(sum(e.amount), 0) FROM ledger_entry e JOIN ledger_transaction t ON t.id = e.transaction_id
                JOIN payments_deposit d ON d.public_id = t.source WHERE d.payment_id = p.id AND e.amount > 0),
            (SELECT count(*) FROM merchants_event v WHERE v.object_id = p.public_id AND v.type = 'payment.completed')
        FROM payments_payment p WHERE p.public_id = ANY(%s)
        """,
        ids,
    )
    right = ("completed", 1, 1, 1, 1, 0, AMOUNT, 1)
    wrong = {row[0]: row[1:] for row in rows if row[1:] != right}
    assert not wrong, f"{len(wrong)} of {len(ids)} payments, each {right} expected: {dict(list(wrong.items())[:5])}"
    assert len(rows) == len(set(ids))


def assert_books_are_sound(house: House) -> None:
    """``manage.py audit_ledger`` finds no fault."""
    house.run("manage.py", "audit_ledger")
