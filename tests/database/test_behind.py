"""What must stand behind a word: a refund behind a refunded amount, a file behind a report, documents behind a case."""

from __future__ import annotations

import pytest
from psycopg import errors

from tests.database.conftest import NEW_PAYMENT
from tests.database.raw_books import CHECK_DEFERRED
from tests.database.reports import BEGIN_REPORT, COMPLETE_REPORT, FILE
from tests.database.states import clone, row_in

pytestmark = pytest.mark.promise("P7", "raw SQL: states and amounts with nothing behind them", unit="attacks")

PAID = "status = 'completed'"


def refused_at_the_end(attacker, *statements: str, saying: str) -> None:
    """The statements are accepted one by one, the transaction is not."""
    with attacker.attempt():
        for statement in statements:
            attacker.run(statement)
        with pytest.raises(errors.CheckViolation, match=saying):
            attacker.run(CHECK_DEFERRED)


@pytest.mark.parametrize(
    "change",
    [
        "status = 'reversed'",
        "amount_refunded = 1",
        "amount_refunded = amount_received",
        "status = 'reversed', amount_refunded = amount_received",
    ],
)
def test_no_payment_is_reversed_or_refunded_without_a_refund(attacker, change):
    refused_at_the_end(attacker, f"UPDATE payments_payment SET {change} WHERE {PAID}", saying="no refund for")


def test_what_is_refunded_and_taken_back_within_a_transaction_never_was(attacker):
    attacker.run(f"UPDATE payments_payment SET amount_refunded = 1 WHERE {PAID}")
    attacker.run(f"UPDATE payments_payment SET amount_refunded = 0 WHERE {PAID}")

    attacker.run(CHECK_DEFERRED)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("order_id", "'ord_forged'"),
        ("voucher_reference", "'93507299'"),
        ("voucher_barcode_url", "'http://x'"),
        ("voucher_store_name", "'x'"),
    ],
)
def test_a_voucher_is_attached_once_and_only_to_a_cash_payment(attacker, column, value):
    cash = attacker.clone("payments_payment", **NEW_PAYMENT | {"method": "oxxo", "clabe": None})
    attacker.run("UPDATE payments_payment SET order_id = 'ord_1', voucher_reference = '1' WHERE id = %s", cash)

    for where in (f"id = {cash}", "method = 'spei'"):
        attacker.refused(
            f"UPDATE payments_payment SET {column} = {value} WHERE {where}",
            by=errors.RestrictViolation,
            saying="cannot change any more",
        )


@pytest.mark.parametrize(
    "instead",
    [
        "size = NULL",
        "size = 0",
        "sha256 = ''",
        "sha256 = 'no hash'",
        "rows_done = 0",
        "rows_total = NULL",
        "expires_at = NULL",
        "expires_at = now() - interval '1 day'",
        "attempt = 2",
    ],
)
def test_a_report_is_not_completed_without_its_file(attacker, instead):
    attacker.run(BEGIN_REPORT)
    column, value = instead.split(" = ")
    change = ", ".join(f"{name} = {given}" for name, given in (FILE | {column: value}).items())

    attacker.refused(
        f"UPDATE payments_report SET {change}",
        by=errors.RestrictViolation,
        saying="can become completed only by the writer that holds the lease",
    )


def test_a_report_is_completed_only_by_a_writer_that_holds_its_lease(attacker):
    attacker.run(BEGIN_REPORT)
    attacker.run("UPDATE payments_report SET leased_until = NULL")

    attacker.refused(COMPLETE_REPORT, by=errors.RestrictViolation, saying="the writer that holds the lease")


def test_a_reports_file_is_removed_when_its_time_is_over_and_once(attacker):
    attacker.run(BEGIN_REPORT)
    attacker.refused("UPDATE payments_report SET removed_at = now()", by=errors.RestrictViolation, saying="removed_at")
    attacker.run(COMPLETE_REPORT)

    for moment in ("now()", "expires_at - interval '1 second'"):
        attacker.refused(
            f"UPDATE payments_report SET removed_at = {moment}", by=errors.RestrictViolation, saying="only be set once"
        )
    attacker.run("UPDATE payments_report SET removed_at = expires_at")
    for moment in ("NULL", "expires_at + interval '1 day'"):
        attacker.refused(
            f"UPDATE payments_report SET removed_at = {moment}", by=errors.RestrictViolation, saying="only be set once"
        )


def test_a_case_is_not_submitted_without_documents(attacker):
    merchant = attacker.clone("merchants_merchant", public_id="mer_new")
    case = attacker.clone("kyc_case", public_id="kyc_new", status="draft", merchant_id=merchant)

    attacker.refused(
        f"UPDATE kyc_case SET status = 'submitted' WHERE id = {case}",
        by=errors.CheckViolation,
        saying="a case without documents cannot be submitted",
    )


@pytest.mark.parametrize("status", ["approved", "rejected"])
@pytest.mark.parametrize("lacking", ["decision_reason", "decided_by", "decided_at"])
def test_a_case_is_not_decided_without_who_when_and_why(attacker, status, lacking):
    case = row_in(attacker, "kyc_case", "submitted")
    given = {"decision_reason": "'why'", "decided_by": "'user:ana'", "decided_at": "now()"}
    given[lacking] = "NULL" if lacking == "decided_at" else "''"
    change = ", ".join(f"{column} = {value}" for column, value in given.items())

    attacker.refused(
        f"UPDATE kyc_case SET status = '{status}', {change} WHERE id = {case}",
        by=errors.CheckViolation,
        saying="a decision says who decided, when and why",
    )


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("kyc_case", "status = 'submitted'"),
        ("payments_clabe", "status = 'closed', closed_at = now()"),
        ("payments_report", "status = 'processing', attempt = 1, leased_until = now()"),
        ("payments_report", "status = 'failed', completed_at = now()"),
    ],
)
def test_a_change_of_state_has_its_transition_row(attacker, table, change):
    first = {"kyc_case": "draft", "payments_clabe": "active", "payments_report": "pending"}[table]
    with attacker.attempt():
        row = clone(attacker, table, first)
        attacker.run(f"UPDATE {table} SET {change} WHERE id = %s", row)
        with pytest.raises(errors.CheckViolation, match="no transition row says so"), attacker.attempt():
            attacker.run(CHECK_DEFERRED)

        after = change.split("'")[1]
        name = table.split("_")[1]
        attacker.run(
            f"INSERT INTO {table}transition ({name}_id, from_status, to_status, cause, actor, reference, reason, "
            f"created_at) VALUES (%s, %s, %s, 'staff', 'ana', '', '', now())",
            row,
            first,
            after,
        )
        attacker.run(CHECK_DEFERRED)


def test_a_keys_last_use_does_not_become_earlier(attacker):
    attacker.run("UPDATE merchants_apikey SET last_used_at = now()")

    for moment in ("NULL", "now() - interval '1 second'"):
        attacker.refused(
            f"UPDATE merchants_apikey SET last_used_at = {moment}",
            by=errors.RestrictViolation,
            saying="last_used_at cannot become earlier",
        )
    attacker.run("UPDATE merchants_apikey SET last_used_at = now() + interval '1 second'")
