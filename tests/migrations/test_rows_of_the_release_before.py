"""A release brings the payments, deposits and fees that the release before left into the life cycle of this one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.migrations.test_release import as_owner, database, run

__all__ = ["as_owner", "database"]

BEFORE = """
from django.db import connections
from django.db.migrations.executor import MigrationExecutor
MigrationExecutor(connections["owner"]).migrate([
    ("payments", "0003_search_functions"), ("webhooks", "0001_initial"), ("merchants", "0002_event_base"),
    ("ledger", "0001_initial"), ("backoffice", "0001_transfer_view"), ("payments_site", "0001_initial"),
    ("kyc", "0001_initial"), ("staff", "0001_initial"),
])
"""
MADE = datetime(2026, 3, 2, 12, tzinfo=UTC)
ENDED = MADE + timedelta(hours=5)

PAYMENT: dict[str, Any] = {
    "livemode": False, "method": "spei", "status": "pending", "amount": 100_000, "currency": "MXN", "metadata": "{}",
    "amount_received": 0, "amount_refunded": 0, "fee_percent": 1, "fee_fixed": 0, "fee": 0, "fee_tax": 0,
    "reference_number": "0000001", "expires_at": ENDED, "created_at": MADE,
    **dict.fromkeys(
        [
            "description", "customer_name", "customer_email", "customer_phone", "failure_code", "failure_message",
            "tracking_key", "payer_name", "payer_account", "payer_institution", "voucher_reference",
            "voucher_barcode_url", "voucher_store_name",
        ],
        "",
    ),
}  # fmt: skip
PAID = {"amount_received": 100_000, "fee": 1_000, "fee_tax": 160, "completed_at": ENDED}
STATES: dict[str, list[dict[str, Any]]] = {
    "pending": [],
    "processing": [{"status": "processing"}],
    "completed": [{"status": "completed", **PAID}],
    "failed": [{"status": "failed", "failure_code": "refused"}],
    "expired": [{"status": "expired"}],
    "cancelled": [{"status": "cancelled"}],
    "cancelled_paid": [{"status": "cancelled"}, {"status": "completed", **PAID}],
    "reversed": [{"status": "completed", **PAID}, {"status": "reversed"}],
}
"""Every way in which the release before left a payment, as its changes of state."""

DEPOSITS = [
    ("completed", 100_000, "credited", ""),
    ("cancelled_paid", 100_000, "credited", ""),
    ("reversed", 100_000, "credited", ""),
    ("pending", 60_000, "suspended", "amount_differs"),
    ("processing", 170_000, "suspended", "amount_differs"),
    ("completed", 100_000, "suspended", "already_paid"),
    ("failed", 100_000, "suspended", "not_payable"),
    (None, 5_000, "suspended", "unknown_clabe"),
]


class Old:
    """Writes rows as the release before wrote them."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def insert(self, table: str, **values: Any) -> int:
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({}) RETURNING id").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join([sql.Placeholder()] * len(values)),
        )
        return int(self.connection.execute(statement, list(values.values())).fetchone()[0])  # type: ignore[index]

    def change(self, payment: int, values: dict[str, Any]) -> None:
        changes = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in values)
        statement = sql.SQL("UPDATE payments_payment SET {} WHERE id = %s").format(changes)
        self.connection.execute(statement, [*values.values(), payment])
        self.insert(
            "payments_paymenttransition",
            payment_id=payment, from_status="pending", to_status=values["status"], cause="notice", actor="pa_old",
            reference="", reason="", created_at=ENDED,
        )  # fmt: skip


@pytest.fixture
def old(database: str, as_owner: psycopg.Connection[Any]) -> dict[str, int]:  # noqa: F811 - the fixtures
    """A database of the release before, with a row of every kind; the payments' ids."""
    code, said = run(database, "shell", "-c", BEFORE)
    assert code == 0, said
    rows = Old(as_owner)
    merchant = rows.insert(
        "merchants_merchant", public_id="mer_old", name="Café", legal_name="Café SA", status="active", created_at=MADE
    )
    account = rows.insert(
        "payments_provideraccount",
        public_id="pa_old", provider="stp", livemode=False, name="EMPRESA", is_active=True, base_url="",
        credentials=b"", webhook_username="stp", webhook_secret_sha256="", webhook_public_keys=[],
        clabe_prefix="6461801570", clabe_sequence=1, created_at=MADE,
    )  # fmt: skip
    rows.insert("payments_feerule", merchant_id=merchant, method="spei", percent=1, fixed=0)
    for owner, purpose, side in ((merchant, "debt", "debit"), (None, "suspense_reserved", "credit")):
        rows.insert(
            "ledger_account",
            code=f"{owner}:{purpose}", purpose=purpose, merchant_id=owner, livemode=True, currency="MXN",
            normal_side=side, floor=None, created_at=MADE,
        )  # fmt: skip
    for owner in (merchant, None):
        rows.insert("ledger_breach", invariant="covered", message="old", merchant_id=owner, found_at=MADE)
    payments: dict[str, int] = {}
    for number, (state, changes) in enumerate(STATES.items()):
        payments[state] = rows.insert(
            "payments_payment",
            **PAYMENT, public_id=f"pay_{state}", clabe=f"64618015700000{number:04}", merchant_id=merchant,
            provider_account_id=account, external_id=f"order-{number}",
        )  # fmt: skip
        for values in changes:
            rows.change(payments[state], values)
    for number, (of, amount, status, reason) in enumerate(DEPOSITS):
        rows.insert(
            "payments_deposit",
            public_id=f"dep_{number}", livemode=False, deposit_key=f"key-{number}", status=status,
            suspense_reason=reason, amount=amount, currency="MXN", paid_at=ENDED, operating_date=ENDED.date(),
            clabe="", tracking_key="", concept="", payer_name="", payer_account="", payer_institution="",
            provider_event="pev_old", created_at=ENDED, provider_account_id=account,
            payment_id=payments[of] if of else None,
        )  # fmt: skip
    return payments


def test_a_release_brings_rows_of_every_state_into_the_new_life_cycle(old, database, as_owner):  # noqa: F811
    frozen = "SELECT id, status, amount, amount_received, fee, fee_tax, completed_at, created_at FROM payments_payment"
    before = as_owner.execute(f"{frozen} ORDER BY id").fetchall()

    code, said = run(database)

    assert code == 0, said
    assert as_owner.execute(f"{frozen} ORDER BY id").fetchall() == before
    columns = "SELECT public_id, fee, fee_tax, suspense_reason FROM payments_deposit ORDER BY id"
    assert as_owner.execute(columns).fetchall() == [
        ("dep_0", 1_000, 160, ""),
        ("dep_1", 1_000, 160, ""),
        ("dep_2", 1_000, 160, ""),
        ("dep_3", 0, 0, "underpaid"),
        ("dep_4", 0, 0, "overpaid"),
        ("dep_5", 0, 0, "already_paid"),
        ("dep_6", 0, 0, "not_payable"),
        ("dep_7", 0, 0, "unknown_clabe"),
    ]
    cases = as_owner.execute(
        "SELECT d.public_id, c.reason, c.status, c.payment_id, c.merchant_id IS NOT NULL, c.due_at, c.created_at "
        "FROM payments_reviewcase c JOIN payments_deposit d ON d.id = c.deposit_id ORDER BY d.id"
    ).fetchall()
    day_later = ENDED + timedelta(days=1)
    assert cases == [
        ("dep_3", "underpaid", "open", old["pending"], True, day_later, ENDED),
        ("dep_4", "overpaid", "open", old["processing"], True, day_later, ENDED),
        ("dep_5", "already_paid", "open", old["completed"], True, day_later, ENDED),
        ("dep_6", "not_payable", "open", old["failed"], True, day_later, ENDED),
        ("dep_7", "unknown_clabe", "open", None, False, day_later, ENDED),
    ]
    cancelled = "SELECT public_id, cancelled_at FROM payments_payment WHERE status = 'cancelled'"
    assert as_owner.execute(cancelled).fetchall() == [("pay_cancelled", ENDED)]
    rules = "SELECT method, valid_from::text, valid_until FROM payments_feerule"
    assert as_owner.execute(rules).fetchall() == [("spei", "2020-01-01", None)]
    assert as_owner.execute("SELECT purpose, floor FROM ledger_account ORDER BY id").fetchall() == [
        ("debt", 0),
        ("suspense_reserved", 0),
    ]
    breaches = "SELECT merchant_id IS NOT NULL, livemode, provider_account FROM ledger_breach ORDER BY id"
    assert as_owner.execute(breaches).fetchall() == [(True, True, ""), (False, None, "")]
    made = "SELECT DISTINCT made_by, fee_iva, reusable_clabe_id FROM payments_payment"
    assert [(by, float(iva), clabe) for by, iva, clabe in as_owner.execute(made)] == [("request", 0.16, None)]
