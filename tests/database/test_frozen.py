"""Whose, how much, in which mode: columns that keep their value, for ever or once a row is settled; two modes apart."""

from __future__ import annotations

import pytest
from psycopg import errors

from core.db import Frozen, FrozenOnce, SameMode, is_append_only, keeps_rows
from core.guards import WithTransition
from tests.database.conftest import LIVE_ACCOUNT, NEW_DEPOSIT, NEW_EVENT, NEW_PAYMENT, our_models
from tests.database.reports import BEGIN_REPORT, COMPLETE_REPORT

pytestmark = pytest.mark.promise(
    "P7", "raw SQL against what is posted or logged, as application and as owner", unit="attacks"
)

FROZEN = {
    "merchants_merchant": {"id", "public_id", "created_at"},
    "payments_payment": set(
        "id public_id merchant_id livemode provider_account_id method amount currency clabe reference_number "
        "fee_percent fee_fixed fee_iva made_by reusable_clabe_id description external_id metadata expires_at "
        "created_at".split()
    ),
    "payments_clabe": set(
        "id public_id merchant_id livemode provider_account_id clabe min_amount max_amount created_at".split()
    ),
    "payments_reviewcase": set(
        "public_id livemode deposit_id merchant_id payment_id reason return_of due_at created_at".split()
    ),
    "payments_deposit": set(
        "id public_id provider_account_id livemode deposit_key amount currency paid_at operating_date clabe "
        "tracking_key payer_name payer_account suspense_reason provider_event created_at".split()
    ),
    "payments_payout": set(
        "id public_id merchant_id livemode provider_account_id refund_id kind amount currency fee fee_tax "
        "destination_clabe destination_bank destination_name concept reference_number tracking_key scheduled_for "
        "created_at".split()
    ),
    "payments_refund": set(
        "id public_id merchant_id livemode origin payment_id deposit_id amount currency reason to_payer "
        "destination_clabe destination_bank destination_name external_id created_at".split()
    ),
    "payments_providerbalance": {"id", "account_id"},
    "payments_provideraccount": {"id", "public_id", "provider", "livemode", "clabe_prefix", "clabe_sequence"},
    "payments_report": {"id", "public_id", "merchant_id", "livemode", "type", "start_date", "end_date", "created_at"},
    "payments_feerule": {"id"},
    "webhooks_endpoint": {"id", "public_id", "merchant_id", "livemode", "slot", "created_at"},
    "webhooks_delivery": {"id", "public_id", "endpoint_id", "event_id", "kind", "created_at"},
    "webhooks_deliveryattempt": {"id", "public_id", "delivery_id", "at", "url", "status_code", "response_excerpt"},
    "kyc_case": {"id", "public_id", "merchant_id", "created_at"},
    "webhooks_providerevent": {
        "id",
        "public_id",
        "account_id",
        "livemode",
        "event_id",
        "event_type",
        "channel",
        "business_key",
        "body_sha256",
        "key_id",
        "remote_address",
        "received_at",
    },
    "ledger_account": {"id", "code", "purpose", "merchant_id", "livemode", "currency", "normal_side", "floor"},
    "ledger_hold": {"id", "public_id", "merchant_id", "livemode", "purpose", "source", "parent_id", "amount"},
    "ledger_breach": {"invariant", "merchant_id", "livemode", "provider_account", "message", "found_at"},
    "ledger_adjustment": {"id", "public_id", "livemode", "reason", "legs", "maker_id", "created_at"},
    "merchants_apikey": {"public_id", "merchant_id", "livemode", "prefix", "secret_sha256", "scopes", "created_at"},
    "merchants_idempotencykey": {"merchant_id", "livemode", "key", "method", "path", "body_sha256", "created_at"},
}
"""The least that must be frozen; what models freeze beyond it is tried as well."""

OTHER_VALUE = {
    "boolean": "NOT {column}",
    "bigint": "coalesce({column}, 0) + 1",
    "integer": "coalesce({column}, 0) + 1",
    "smallint": "coalesce({column}, 0) + 1",
    "character varying": "CASE WHEN {column} LIKE 'z%' THEN 'y' ELSE 'z' END || substr(coalesce({column}, ''), 2)",
    "text": "coalesce({column}, '') || 'z'",
    "timestamp with time zone": "coalesce({column}, now()) + interval '1 second'",
    "date": "coalesce({column}, current_date) + 1",
    "inet": "coalesce({column}, '10.0.0.1') + 1",
    "bytea": "{column} || '\\x00'",
    "jsonb": "jsonb_build_array({column})",
    "numeric": "coalesce({column}, 0) + 1",
    "ARRAY": "array_append({column}, NULL)",
}
"""Type of a column -> an expression for another value of it."""


def declared(kind: type) -> list[tuple[str, str]]:
    """(table, column) of every field that a guard of this kind names."""
    found = []
    for model in our_models():
        for trigger in getattr(model._meta, "triggers", ()):
            if isinstance(trigger, kind):
                columns = [model._meta.get_field(field).column for field in trigger.fields]
                found += [(model._meta.db_table, column) for column in columns]
    return found


def refuse_another_value(attacker, table: str, column: str, *, where: str, saying: str) -> None:
    kind = attacker.run(
        "SELECT data_type FROM information_schema.columns WHERE table_name = %s AND column_name = %s", table, column
    )
    if attacker.run(f"SELECT count(*) FROM {table} WHERE {where}") == 0:
        pytest.fail(f"{table} has no such row: give it one in tests/database/conftest.py")

    attacker.refused(
        f"UPDATE {table} SET {column} = {OTHER_VALUE[kind].format(column=column)} WHERE {where}",
        by=errors.RestrictViolation,
        saying=saying,
    )


def test_what_must_never_change_is_declared_frozen():
    assert {(table, column) for table, columns in FROZEN.items() for column in columns} <= set(declared(Frozen))


@pytest.mark.parametrize(("table", "column"), declared(Frozen))
def test_a_frozen_column_keeps_its_value(attacker, table, column):
    refuse_another_value(attacker, table, column, where="true", saying=f"{table}: ")


@pytest.mark.parametrize("table", FROZEN)
def test_a_frozen_row_may_still_be_written_with_the_values_it_has(attacker, table):
    columns = ", ".join(f"{column} = {column}" for column in sorted(FROZEN[table]))

    assert attacker.connection.execute(f"UPDATE {table} SET {columns}").rowcount > 0


FROZEN_ONCE = {
    "payments_payment": {"order_id", "voucher_reference", "voucher_barcode_url", "voucher_store_name"},
    "payments_provideraccount": {"name"},
    "payments_payout": {
        "order_id",
        "operating_date",
        "liquidated_at",
        "returned_at",
        "return_cause",
        "return_tracking_key",
    },
    "payments_reviewcase": {"listed_at"},
    "webhooks_providerevent": {"reason", "object_id", "response_status", "response_body", "processed_at"},
    "payments_report": {"rows_done", "rows_total", "attempt", "leased_until"},
    "merchants_apikey": {"revoked_at"},
    "ledger_breach": {"cleared_at"},
    "webhooks_endpoint": {"deleted_at"},
    "webhooks_endpointsecret": {"expires_at"},
}
"""The least that must be frozen once a row is settled."""

SETTLED = {
    "payments_payment": "method <> 'oxxo' OR order_id IS NOT NULL",
    "payments_provideraccount": "provider = 'stp'",
    "payments_payout": "status = 'returned'",
    "payments_reviewcase": "listed_at IS NOT NULL",
    "webhooks_providerevent": "status = 'processed'",
    "payments_report": "status = 'completed'",
    "merchants_apikey": "revoked_at IS NOT NULL",
    "ledger_breach": "cleared_at IS NOT NULL",
    "webhooks_endpoint": "deleted_at IS NOT NULL",
    "webhooks_endpointsecret": "expires_at IS NOT NULL",
}


def settle(attacker, table):
    """Bring a row to the state in which it is settled, where the world has none."""
    if table == "merchants_apikey":
        attacker.run("UPDATE merchants_apikey SET revoked_at = now()")
    if table == "payments_report":
        attacker.run(BEGIN_REPORT)
        attacker.run(COMPLETE_REPORT)


def frozen_with(table: str, column: str) -> list[str]:
    """The columns of the guard that names this one."""
    model = next(model for model in our_models() if model._meta.db_table == table)
    groups = [
        [model._meta.get_field(field).column for field in trigger.fields]
        for trigger in model._meta.triggers
        if isinstance(trigger, FrozenOnce)
    ]
    return next(group for group in groups if column in group)


def test_what_must_not_change_any_more_is_declared_frozen_once():
    assert {(t, column) for t, columns in FROZEN_ONCE.items() for column in columns} <= set(declared(FrozenOnce))


@pytest.mark.parametrize(("table", "column"), declared(FrozenOnce))
def test_what_is_settled_keeps_its_value(attacker, table, column):
    settle(attacker, table)

    saying = f"{table}: {', '.join(frozen_with(table, column))} cannot change any more"
    refuse_another_value(attacker, table, column, where=SETTLED[table], saying=saying)


@pytest.mark.parametrize(("table", "columns"), FROZEN_ONCE.items())
def test_a_settled_row_may_still_be_written_with_the_values_it_has(attacker, table, columns):
    settle(attacker, table)
    same = ", ".join(f"{column} = {column}" for column in sorted(columns))

    assert attacker.connection.execute(f"UPDATE {table} SET {same} WHERE {SETTLED[table]}").rowcount > 0


def test_what_is_not_settled_yet_may_change(attacker):
    payment = attacker.clone("payments_payment", **NEW_PAYMENT)
    event = attacker.clone("webhooks_providerevent", **NEW_EVENT)

    attacker.run("UPDATE payments_payment SET voucher_asked_until = now() WHERE id = %s", payment)
    attacker.run("UPDATE webhooks_providerevent SET reason = 'r', response_status = 200 WHERE id = %s", event)
    attacker.run("UPDATE webhooks_providerevent SET status = 'retry', next_at = now() WHERE id = %s", event)
    attacker.run("UPDATE webhooks_providerevent SET reason = 'later', response_status = 400 WHERE id = %s", event)


@pytest.mark.parametrize("status", ["processed", "ignored", "conflict"])
def test_an_answer_that_was_given_stays_whatever_became_of_the_notice(attacker, status):
    event = attacker.clone("webhooks_providerevent", **NEW_EVENT)
    attacker.run(f"UPDATE webhooks_providerevent SET status = '{status}' WHERE id = %s", event)

    for change in ('response_body = \'{"mensaje":"devolver"}\'', "response_status = 201", "reason = 'another'"):
        attacker.refused(
            f"UPDATE webhooks_providerevent SET {change} WHERE id = {event}",
            by=errors.RestrictViolation,
            saying="cannot change any more",
        )
    attacker.run("UPDATE webhooks_providerevent SET attempts = attempts + 1 WHERE id = %s", event)


def test_a_reversed_payment_keeps_what_it_received(attacker):
    attacker.run("UPDATE payments_payment SET status = 'reversed' WHERE status = 'completed'")

    for change in ("completed_at = NULL", "tracking_key = 'OTHER'"):
        attacker.refused(
            f"UPDATE payments_payment SET {change} WHERE status = 'reversed'",
            by=errors.RestrictViolation,
            saying="can only change in the step to completed",
        )


def test_a_revoked_key_never_comes_back_to_life(attacker):
    attacker.run("UPDATE merchants_apikey SET revoked_at = now()")

    for moment in ("NULL", "now() + interval '1 day'"):
        attacker.refused(
            f"UPDATE merchants_apikey SET revoked_at = {moment}",
            by=errors.RestrictViolation,
            saying="revoked_at cannot change any more",
        )


WITH_STEP = {
    "payments_payment": {
        "cancelled_at",
        "failure_code",
        "failure_message",
        "completed_at",
        "tracking_key",
        "payer_name",
        "payer_account",
        "payer_institution",
        "operating_date",
    },
    "payments_deposit": {"payment_id", "reusable_clabe_id", "fee", "fee_tax"},
    "payments_clabe": {"closed_at"},
    "payments_reviewcase": {"resolved_at", "payout_id"},
    "payments_report": {"size", "sha256", "expires_at", "completed_at", "failure_code", "failure_message"},
    "kyc_case": {"decision_reason", "decided_by", "decided_at"},
    "ledger_hold": {"captured", "resolved_at"},
    "ledger_adjustment": {"resolved_at"},
}
"""The least that changes only together with the state."""


def test_what_belongs_to_a_step_is_declared_so():
    assert {(t, column) for t, columns in WITH_STEP.items() for column in columns} <= set(declared(WithTransition))


@pytest.mark.parametrize(("table", "column"), declared(WithTransition))
def test_what_belongs_to_a_step_does_not_change_without_it(attacker, table, column):
    refuse_another_value(attacker, table, column, where="true", saying="can only change in the step to")


@pytest.mark.parametrize(("table", "columns"), WITH_STEP.items())
def test_a_row_may_be_written_with_the_values_of_its_steps(attacker, table, columns):
    same = ", ".join(f"{column} = {column}" for column in sorted(columns))

    assert attacker.connection.execute(f"UPDATE {table} SET {same}").rowcount > 0


def test_test_and_live_are_kept_apart_where_they_could_meet():
    assert {
        ("payments_payment", "provider_account_id"),
        ("payments_deposit", "provider_account_id"),
        ("payments_deposit", "payment_id"),
        ("payments_deposit", "reusable_clabe_id"),
        ("payments_payment", "reusable_clabe_id"),
        ("payments_clabe", "provider_account_id"),
        ("payments_reviewcase", "deposit_id"),
        ("payments_reviewcase", "payout_id"),
        ("payments_refund", "deposit_id"),
        ("payments_refund", "payment_id"),
        ("payments_payout", "refund_id"),
        ("webhooks_providerevent", "account_id"),
    } <= set(declared(SameMode))


@pytest.mark.parametrize(
    ("table", "fresh", "column"),
    [
        ("payments_payment", NEW_PAYMENT, "provider_account_id"),
        ("payments_deposit", NEW_DEPOSIT, "provider_account_id"),
        ("webhooks_providerevent", NEW_EVENT, "account_id"),
    ],
)
def test_a_row_has_the_mode_of_its_account(attacker, table, fresh, column):
    live = attacker.clone("payments_provideraccount", **LIVE_ACCOUNT)

    for wrong in ({"livemode": True}, {column: live}):
        with pytest.raises(errors.CheckViolation, match="is of the other mode"), attacker.attempt():
            attacker.clone(table, **fresh | wrong)

    attacker.clone(table, **fresh | {"livemode": True, column: live})


def test_a_deposit_has_the_mode_of_its_payment(attacker):
    live = attacker.clone("payments_provideraccount", **LIVE_ACCOUNT)
    payment = attacker.clone("payments_payment", **NEW_PAYMENT | {"livemode": True, "provider_account_id": live})

    for wrong in ({"payment_id": payment}, {"payment_id": payment, "status": "credited"}):
        with pytest.raises(errors.CheckViolation, match="its payment is of the other mode"), attacker.attempt():
            attacker.clone("payments_deposit", **NEW_DEPOSIT | wrong)
    attacker.refused(
        f"UPDATE payments_deposit SET payment_id = {payment} WHERE status = 'suspended'",
        by=errors.CheckViolation,
        saying="payments_deposit: its payment is of the other mode",
    )


@pytest.mark.parametrize(
    ("table", "fresh", "name"),
    [
        ("payments_payment", NEW_PAYMENT, "provider_account"),
        ("payments_payment", NEW_PAYMENT | {"made_by": "clabe"}, "reusable_clabe"),
        ("payments_deposit", NEW_DEPOSIT, "provider_account"),
        ("payments_deposit", NEW_DEPOSIT, "payment"),
        ("payments_deposit", NEW_DEPOSIT, "reusable_clabe"),
        ("webhooks_providerevent", NEW_EVENT, "account"),
    ],
)
def test_no_row_points_to_what_is_not_there(attacker, table, fresh, name):
    with pytest.raises(errors.ForeignKeyViolation, match=f"{table}: its {name} is not there"), attacker.attempt():
        attacker.clone(table, **fresh | {f"{name}_id": 2**40})


def test_a_deposit_in_suspense_is_not_sent_to_a_payment_that_is_not_there(attacker):
    attacker.refused(
        f"UPDATE payments_deposit SET payment_id = {2**40} WHERE status = 'suspended'",
        by=errors.ForeignKeyViolation,
        saying="payments_deposit: its payment is not there",
    )


def test_what_a_guard_stands_in_for_a_key_to_keeps_its_rows_and_ids():
    unchecked = [
        field.related_model
        for model in our_models()
        for field in model._meta.concrete_fields
        if field.remote_field and not field.db_constraint and not is_append_only(field.related_model)
    ]

    assert {model._meta.db_table for model in unchecked} >= {"payments_payment", "payments_provideraccount"}
    assert [model for model in unchecked if not keeps_rows(model)] == []
    assert {(model._meta.db_table, "id") for model in unchecked} <= set(declared(Frozen))


def test_every_key_without_a_constraint_is_judged_by_a_guard():
    others = {
        ("ledger_entry", "account_id"),  # these two are judged by the ledger's own guard, balanced
        ("ledger_entry", "transaction_id"),
        ("webhooks_providereventbody", "event_id"),  # written by one statement, together with its event
    }
    unchecked = {
        (model._meta.db_table, field.column)
        for model in our_models()
        for field in model._meta.concrete_fields
        if field.remote_field and not field.db_constraint
    }

    assert unchecked >= others
    assert unchecked - others
    assert unchecked - others <= set(declared(SameMode))


def test_an_upsert_changes_no_frozen_column(attacker):
    with pytest.raises(errors.RestrictViolation, match="cannot change"), attacker.attempt():
        attacker.run(
            "INSERT INTO merchants_merchant SELECT * FROM merchants_merchant LIMIT 1"
            " ON CONFLICT (id) DO UPDATE SET id = excluded.id + 1000"
        )
