"""The ledger's own invariants, and the check of all registered ones. A broken invariant closes the gate."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

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
"""Faults of one invariant in one mode that are recorded individually; more of them stop the whole mode."""

Scope = tuple[int | None, bool | None, str]
"""Scope of a fault: merchant, mode, provider account."""


def check() -> list[str]:
    """Run every registered invariant; return the names of the broken ones.

    A fault opens a ``Breach`` with its scope; a breach whose fault is gone is cleared. A check that fails to run counts
    as broken in both modes.
    """
    broken = []
    for invariant in invariants.all_invariants():
        faults = faults_of(invariant)
        if faults:
            broken.append(invariant.name)
        _write_down(invariant.name, faults)
    return broken


def faults_of(invariant: invariants.Invariant) -> list[Fault]:
    """The invariant's faults, read in one transaction: the first ``SHOWN`` of each mode.

    If a mode has more, one fault without a merchant represents the rest.
    """
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = '60s'")
            return _first(invariant.find())
    except Exception as error:
        logger.exception("an invariant could not be checked", extra={"invariant": invariant.name})
        return [Fault(f"could not be checked: {type(error).__name__}")]


def _first(faults: Iterable[Fault]) -> list[Fault]:
    kept: list[Fault] = []
    found: Counter[bool | None] = Counter()
    for fault in faults:
        found[fault.livemode] += 1
        if found[fault.livemode] <= SHOWN:
            kept.append(fault)
    return kept + [
        Fault(f"has more than {SHOWN} faults", livemode=mode) for mode, count in found.items() if count > SHOWN
    ]


@transaction.atomic
def _write_down(name: str, faults: list[Fault]) -> None:
    found: dict[Scope, list[str]] = {}
    for fault in faults:
        found.setdefault((fault.merchant_id, fault.livemode, fault.provider_account), []).append(fault.message)
    still_open = {
        (breach.merchant_id, breach.livemode, breach.provider_account): breach.pk
        for breach in Breach.objects.filter(invariant=name, cleared_at=None)
    }
    for scope in found.keys() - still_open.keys():
        merchant_id, livemode, provider_account = scope
        breach = Breach(
            invariant=name,
            merchant_id=merchant_id,
            livemode=livemode,
            provider_account=provider_account,
            message="; ".join(found[scope])[:500],
        )
        Breach.objects.bulk_create([breach], ignore_conflicts=True)
        logger.error("an invariant is broken", extra={"invariant": name, "faults": found[scope][:3]})
    gone = [still_open[scope] for scope in still_open.keys() - found.keys()]
    Breach.objects.filter(pk__in=gone, cleared_at=None).update(cleared_at=clock.now())


def register() -> None:
    """Add the ledger's own invariants to the registry."""
    for name, meaning, find in (
        ("entries_sum_to_zero", "Every currency of every mode sums to zero.", _entries_sum_to_zero),
        ("transactions_balance", "Every recent transaction sums to zero and has two entries.", _transactions_balance),
        ("floors_hold", "No account is below its floor.", _floors_hold),
        ("snapshots_match", "Every snapshot is the sum of its entries.", _snapshots_match),
        ("reserved_is_held", "Reserved is the sum of open holds.", _reserved_is_held),
        ("adjustments_approved", "Every adjustment was approved by a second person.", _adjustments_approved),
        (
            "covered",
            "Cash, receivables and merchants' debt cover what is owed to merchants and suspense.",
            _covered,
        ),
        (
            "guards_enabled",
            "Every trigger of the ledger, approvals and merchants exists and is always enabled.",
            _guards_enabled,
        ),
    ):
        invariants.register(name, meaning, find)


def _rows(query: str, *params: int) -> Iterator[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        yield from cursor.fetchall()


def _entries_sum_to_zero() -> Iterable[Fault]:
    query = """
        SELECT a.livemode, a.currency, sum(ledger_total(a.id)) FROM ledger_account a
        GROUP BY a.livemode, a.currency HAVING sum(ledger_total(a.id)) <> 0
    """
    for livemode, currency, total in _rows(query):
        yield Fault(f"{'live' if livemode else 'test'} {currency} sums to {total} centavos", livemode=livemode)


def _transactions_balance() -> Iterable[Fault]:
    """The transactions of the last hour, and of the hour before a breach as long as it is open.

    ``manage.py audit_ledger`` looks at all of them.
    """
    query = """
        SELECT t.public_id, t.livemode, count(e.id), coalesce(sum(e.amount), 0)
        FROM ledger_transaction t LEFT JOIN ledger_entry e ON e.transaction_id = t.id
        WHERE t.recorded_at > least(now(), (
            SELECT min(found_at) FROM ledger_breach WHERE invariant = 'transactions_balance' AND cleared_at IS NULL
        )) - interval '1 hour'
        GROUP BY t.id HAVING count(e.id) < 2 OR coalesce(sum(e.amount), 0) <> 0 ORDER BY t.id
    """
    for public_id, livemode, legs, total in _rows(query):
        yield Fault(f"{public_id} has {legs} entries that sum to {total} centavos", livemode=livemode)


def _floors_hold() -> Iterable[Fault]:
    query = """
        SELECT code, merchant_id, livemode, held FROM (
            SELECT code, merchant_id, livemode, floor,
                CASE normal_side WHEN 'credit' THEN -ledger_total(id) ELSE ledger_total(id) END AS held
            FROM ledger_account WHERE floor IS NOT NULL
        ) balance WHERE held < floor ORDER BY code
    """
    for code, merchant_id, livemode, held in _rows(query):
        yield Fault(f"{code} holds {held} centavos", merchant_id, livemode)


def _snapshots_match() -> Iterable[Fault]:
    for code, merchant_id, livemode, total, right in snapshot.wrong():
        yield Fault(f"the snapshot of {code} says {total}, its entries {right}", merchant_id, livemode)


def _adjustments_approved() -> Iterable[Fault]:
    query = f"""
        SELECT t.public_id, t.source, t.livemode FROM ledger_transaction t
        WHERE (t.kind = 'adjustment' OR (t.kind = 'reversal' AND t.source LIKE 'adj%%')) AND NOT {IS_APPROVED}
        ORDER BY t.id
    """  # noqa: S608 - constants
    for public_id, source, livemode in _rows(query):
        yield Fault(f"{public_id} is not what a second person approved as {source}", livemode=livemode)


def _reserved_is_held() -> Iterable[Fault]:
    query = """
        SELECT m.public_id, m.id, livemode, coalesce(a.total, 0), coalesce(h.total, 0)
        FROM (
            SELECT merchant_id, livemode, -ledger_total(id) AS total FROM ledger_account WHERE purpose = 'reserved'
        ) a
        FULL JOIN (
            SELECT merchant_id, livemode, sum(amount - split) AS total FROM ledger_hold
            WHERE status = 'open' GROUP BY 1, 2
        ) h USING (merchant_id, livemode)
        JOIN merchants_merchant m ON m.id = merchant_id
        WHERE coalesce(a.total, 0) <> coalesce(h.total, 0) ORDER BY m.public_id, livemode
    """
    for merchant, merchant_id, livemode, reserved, held in _rows(query):
        yield Fault(f"{merchant}:reserved holds {reserved} centavos, open holds say {held}", merchant_id, livemode)


def _covered() -> Iterable[Fault]:
    """Conekta's fee above ours and every other cost must be covered by the owner's prefunded cash."""
    query = """
        SELECT livemode, coalesce(sum(ledger_total(id)) FILTER (WHERE purpose IN (
                'stp_cash', 'bank_cash', 'cash_in_transit', 'conekta_receivable', 'debt')), 0),
            coalesce(-sum(ledger_total(id)) FILTER (WHERE purpose IN (
                'available', 'pending', 'reserved', 'blocked', 'suspense', 'suspense_reserved')), 0)
        FROM ledger_account GROUP BY livemode
    """
    for livemode, assets, owed in _rows(query):
        if assets < owed:
            mode = "live" if livemode else "test"
            yield Fault(f"{mode}: {assets} centavos of cash, receivables and debt for {owed} owed", livemode=livemode)


def _guards_enabled() -> Iterable[Fault]:
    for app in ("ledger", "staff", "merchants"):
        for guard in missing_guards(apps.get_app_config(app).get_models()):
            yield Fault(f"{guard} is missing or disabled")
