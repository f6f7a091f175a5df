"""The ledger's own invariants, and running all that are registered: a broken one closes the gate."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from itertools import islice

from django.apps import apps
from django.db import connection, transaction

from core import clock, invariants
from core.db import missing_guards
from core.invariants import Fault
from ledger.models import Breach
from ledger.models.transaction import IS_APPROVED
from ledger.services import snapshot

logger = logging.getLogger(__name__)

SHOWN = 20
"""Faults of one invariant that are written down one by one; more of them are a fault of everybody's."""


def check() -> list[str]:
    """Run every registered invariant; return the names of the broken ones.

    A fault opens a ``Breach`` (of its merchant, or of everybody), a breach whose fault is gone is cleared. A check that
    cannot be carried out counts as broken: nobody knows.
    """
    broken = []
    for invariant in invariants.all_invariants():
        faults = faults_of(invariant)
        if faults:
            broken.append(invariant.name)
        _write_down(invariant.name, faults)
    return broken


def faults_of(invariant: invariants.Invariant) -> list[Fault]:
    """The invariant's faults in one snapshot of the database, the first ``SHOWN`` of them.

    If there are more, one without a merchant stands for the rest: nobody knows whom they concern.
    """
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = '60s'")
            faults = list(islice(invariant.find(), SHOWN + 1))
            return faults if len(faults) <= SHOWN else [*faults[:SHOWN], Fault(f"has more than {SHOWN} faults")]
    except Exception as error:
        logger.exception("an invariant could not be checked", extra={"invariant": invariant.name})
        return [Fault(f"could not be checked: {type(error).__name__}")]


@transaction.atomic
def _write_down(name: str, faults: list[Fault]) -> None:
    still_open = {breach.merchant_id: breach for breach in Breach.objects.filter(invariant=name, cleared_at=None)}
    for merchant_id in {fault.merchant_id for fault in faults} - still_open.keys():
        messages = [fault.message for fault in faults if fault.merchant_id == merchant_id]
        Breach.objects.bulk_create(
            [Breach(invariant=name, merchant_id=merchant_id, message="; ".join(messages)[:500])], ignore_conflicts=True
        )
        logger.error("an invariant is broken", extra={"invariant": name, "faults": messages[:3]})
    gone = [breach.pk for owner, breach in still_open.items() if owner not in {f.merchant_id for f in faults}]
    Breach.objects.filter(pk__in=gone).update(cleared_at=clock.now())


def register() -> None:
    """Add the ledger's own invariants to the registry."""
    for name, meaning, find in (
        ("entries_sum_to_zero", "Every currency of every mode sums to zero.", _entries_sum_to_zero),
        ("transactions_balance", "Every recent transaction sums to zero and has two entries.", _transactions_balance),
        ("floors_hold", "No account is below its floor.", _floors_hold),
        ("snapshots_match", "Every snapshot is the sum of its entries.", _snapshots_match),
        ("reserved_is_held", "Reserved is the sum of open holds.", _reserved_is_held),
        ("adjustments_approved", "Every adjustment was approved by a second person.", _adjustments_approved),
        ("covered", "Cash and receivables cover what is owed to merchants and suspense.", _covered),
        (
            "guards_enabled",
            "Every trigger of the ledger and of approvals is there and always enabled.",
            _guards_enabled,
        ),
    ):
        invariants.register(name, meaning, find)


def _rows(query: str, *params: int) -> Iterator[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        yield from cursor.fetchall()


def _entries_sum_to_zero() -> Iterable[Fault]:
    query = """
        SELECT a.livemode, a.currency, sum(ledger_total(a.id)) FROM ledger_account a
        GROUP BY a.livemode, a.currency HAVING sum(ledger_total(a.id)) <> 0
    """
    for livemode, currency, total in _rows(query):
        yield Fault(f"{'live' if livemode else 'test'} {currency} sums to {total} centavos")


def _transactions_balance() -> Iterable[Fault]:
    """The transactions of the last hour, and of the hour before a breach as long as it is open.

    ``manage.py audit_ledger`` looks at all of them.
    """
    query = """
        SELECT t.public_id, count(e.id), coalesce(sum(e.amount), 0)
        FROM ledger_transaction t LEFT JOIN ledger_entry e ON e.transaction_id = t.id
        WHERE t.recorded_at > least(now(), (
            SELECT min(found_at) FROM ledger_breach WHERE invariant = 'transactions_balance' AND cleared_at IS NULL
        )) - interval '1 hour'
        GROUP BY t.id HAVING count(e.id) < 2 OR coalesce(sum(e.amount), 0) <> 0 ORDER BY t.id
    """
    for public_id, legs, total in _rows(query):
        yield Fault(f"{public_id} has {legs} entries that sum to {total} centavos")


def _floors_hold() -> Iterable[Fault]:
    query = """
        SELECT code, merchant_id, held FROM (
            SELECT code, merchant_id, floor,
                CASE normal_side WHEN 'credit' THEN -ledger_total(id) ELSE ledger_total(id) END AS held
            FROM ledger_account WHERE floor IS NOT NULL
        ) balance WHERE held < floor ORDER BY code
    """
    for code, merchant_id, held in _rows(query):
        yield Fault(f"{code} holds {held} centavos", merchant_id)  # type: ignore[arg-type]


def _snapshots_match() -> Iterable[Fault]:
    for code, merchant_id, total, right in snapshot.wrong():
        yield Fault(f"the snapshot of {code} says {total}, its entries {right}", merchant_id)


def _adjustments_approved() -> Iterable[Fault]:
    query = f"""
        SELECT t.public_id, t.source FROM ledger_transaction t
        WHERE (t.kind = 'adjustment' OR (t.kind = 'reversal' AND t.source LIKE 'adj%%')) AND NOT {IS_APPROVED}
        ORDER BY t.id
    """  # noqa: S608 - constants
    for public_id, source in _rows(query):
        yield Fault(f"{public_id} is not what a second person approved as {source}")


def _reserved_is_held() -> Iterable[Fault]:
    query = """
        SELECT a.code, a.merchant_id, -ledger_total(a.id), coalesce(h.held, 0)
        FROM ledger_account a
        LEFT JOIN (
            SELECT merchant_id, livemode, sum(amount) AS held FROM ledger_hold WHERE status = 'open' GROUP BY 1, 2
        ) h ON h.merchant_id = a.merchant_id AND h.livemode = a.livemode
        WHERE a.purpose = 'reserved' AND -ledger_total(a.id) <> coalesce(h.held, 0) ORDER BY a.code
    """
    for code, merchant_id, reserved, held in _rows(query):
        yield Fault(f"{code} holds {reserved} centavos, open holds say {held}", merchant_id)  # type: ignore[arg-type]


def _covered() -> Iterable[Fault]:
    query = """
        SELECT livemode, sum(ledger_total(id)) FILTER (WHERE purpose IN (
                'stp_cash', 'bank_cash', 'cash_in_transit', 'conekta_receivable')),
            -sum(ledger_total(id)) FILTER (WHERE purpose IN (
                'available', 'pending', 'reserved', 'blocked', 'suspense', 'suspense_reserved'))
        FROM ledger_account GROUP BY livemode
    """
    for livemode, assets, owed in _rows(query):
        if int(assets or 0) < int(owed or 0):  # type: ignore[call-overload]
            mode = "live" if livemode else "test"
            yield Fault(f"{mode}: {assets} centavos of cash and receivables for {owed} owed")


def _guards_enabled() -> Iterable[Fault]:
    for app in ("ledger", "staff"):
        for guard in missing_guards(apps.get_app_config(app).get_models()):
            yield Fault(f"{guard} is missing or disabled")
