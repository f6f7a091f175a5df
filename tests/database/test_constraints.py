"""Values that no row may have, and what there is only once."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from tests.database.conftest import LIVE_ACCOUNT, NEW_CASE, NEW_DEPOSIT, NEW_EVENT, NEW_PAYMENT
from tests.database.deposits import a_deposit


def test_the_rows_that_the_following_tests_spoil_are_accepted_unspoilt(attacker):
    attacker.clone("payments_payment", **NEW_PAYMENT)
    deposit = a_deposit(attacker)
    attacker.clone("payments_reviewcase", **NEW_CASE | {"deposit_id": deposit})
    attacker.clone("webhooks_providerevent", **NEW_EVENT)

    attacker.run("SET CONSTRAINTS ALL IMMEDIATE")


@pytest.mark.parametrize(
    ("spoilt", "constraint"),
    [
        ({"amount": 0}, "payment_amount_positive"),
        ({"amount": -1}, "payment_amount_positive"),
        ({"amount_received": -1}, "payment_fee_within_received"),
        ({"fee": -1}, "payment_fee_within_received"),
        ({"fee_tax": -1}, "payment_fee_within_received"),
        ({"amount_received": 100, "fee": 90, "fee_tax": 11}, "payment_fee_within_received"),
        ({"amount_refunded": -1}, "payment_refunds_within_received"),
        ({"amount_refunded": 1}, "payment_refunds_within_received"),
        ({"amount_received": 100, "amount_refunded": 101}, "payment_refunds_within_received"),
        ({"currency": "USD"}, "payment_currency_known"),
        ({"currency": ""}, "payment_currency_known"),
        ({"clabe": None}, "payment_spei_has_clabe"),
    ],
)
def test_a_payment_that_makes_no_sense_is_refused(attacker, spoilt, constraint):
    with pytest.raises(errors.CheckViolation, match=constraint), attacker.attempt():
        attacker.clone("payments_payment", **NEW_PAYMENT | spoilt)


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("status = 'completed', completed_at = now()", "payment_completed_has_money"),
        ("status = 'completed', amount_received = amount", "payment_completed_has_money"),
        ("amount_refunded = amount_received + 1", "payment_refunds_within_received"),
        ("fee = amount_received + 1", "payment_fee_within_received"),
    ],
)
def test_a_payment_never_comes_to_make_no_sense(attacker, change, constraint):
    attacker.refused(
        f"UPDATE payments_payment SET {change} WHERE status = 'pending'", by=errors.CheckViolation, saying=constraint
    )


def test_refunds_up_to_what_was_received_are_possible_and_one_centavo_more_is_not(attacker):
    paid = "WHERE status = 'completed'"

    attacker.run(f"UPDATE payments_payment SET amount_refunded = amount_received {paid}")
    attacker.refused(
        f"UPDATE payments_payment SET amount_refunded = amount_refunded + 1 {paid}",
        by=errors.CheckViolation,
        saying="payment_refunds_within_received",
    )

    assert attacker.run(f"SELECT amount_refunded FROM payments_payment {paid}") == 100_000


@pytest.mark.parametrize(
    ("spoilt", "constraint"),
    [
        ({"amount": 0}, "deposit_amount_positive"),
        ({"amount": -5}, "deposit_amount_positive"),
        ({"status": "credited"}, "deposit_credited_has_payment"),
        ({"suspense_reason": ""}, "deposit_suspended_has_reason"),
    ],
)
def test_a_deposit_that_makes_no_sense_is_refused(attacker, spoilt, constraint):
    with pytest.raises(errors.CheckViolation, match=constraint), attacker.attempt():
        attacker.clone("payments_deposit", **NEW_DEPOSIT | spoilt)


def duplicates() -> list[tuple]:
    return [
        ("payments_payment", NEW_PAYMENT, ["clabe"], "clabe"),
        ("payments_payment", NEW_PAYMENT, ["public_id"], "public_id"),
        ("payments_deposit", NEW_DEPOSIT, ["deposit_key"], "deposit_key_unique"),
        ("webhooks_providerevent", NEW_EVENT, ["event_id"], "provider_event_unique"),
        ("kyc_case", {"public_id": "kyc_new", "status": "draft"}, [], "merchant_id"),
        ("merchants_apikey", {"public_id": "key_new"}, [], "secret_sha256"),
        ("payments_provideraccount", {"public_id": "pac_new", "takes_new": False}, [], "clabe_prefix"),
        (
            "payments_provideraccount",
            {"public_id": "pac_new", "clabe_prefix": "6461801571", "clabe_sequence": 2},
            [],
            "provider_account_takes_new_one",
        ),
    ]


@pytest.mark.parametrize(("table", "fresh", "same", "constraint"), duplicates())
def test_what_is_one_of_a_kind_exists_once(attacker, table, fresh, same, constraint):
    changes = {name: value for name, value in fresh.items() if name not in same}

    with pytest.raises(errors.UniqueViolation, match=constraint), attacker.attempt():
        attacker.clone(table, **changes)


def test_an_external_id_is_unique_for_one_merchant_and_mode_only(attacker):
    attacker.clone("payments_payment", **NEW_PAYMENT | {"external_id": "order-1"})
    again = NEW_PAYMENT | {"public_id": "pay_2", "clabe": "646180157000000080", "external_id": "order-1"}

    with pytest.raises(errors.UniqueViolation, match="payment_external_id_unique"), attacker.attempt():
        attacker.clone("payments_payment", **again)

    live = attacker.clone("payments_provideraccount", **LIVE_ACCOUNT)
    attacker.clone("payments_payment", **again | {"livemode": True, "provider_account_id": live})


@pytest.mark.parametrize(
    ("table", "spoilt", "constraint"),
    [
        ("payments_feerule", {"method": "oxxo", "percent": -1}, "fee_rule_sensible"),
        ("payments_feerule", {"method": "oxxo", "percent": 50.01}, "fee_rule_sensible"),
        ("payments_feerule", {"method": "oxxo", "fixed": -1}, "fee_rule_sensible"),
        ("kyc_document", {"public_id": "doc_new", "content_type": "text/html"}, "document_content_allowed"),
        (
            "payments_provideraccount",
            {"public_id": "pac_new", "livemode": True, "clabe_prefix": "0021801570", "clabe_sequence": 2},
            "provider_account_stp_clabes",
        ),
        (
            "payments_provideraccount",
            {"public_id": "pac_new", "livemode": True, "clabe_prefix": "6461801571", "clabe_sequence": 17},
            "provider_account_stp_clabes",
        ),
        (
            "payments_provideraccount",
            {"public_id": "pac_new", "livemode": True, "clabe_prefix": None, "clabe_sequence": 2},
            "provider_account_stp_clabes",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(attacker, table, spoilt, constraint):
    with pytest.raises(errors.CheckViolation, match=constraint), attacker.attempt():
        attacker.clone(table, **spoilt)


OWN_NUMBERS = (
    "SELECT coalesce(array_agg(sequence ORDER BY object_sequence), '{}') FROM merchants_event "
    "WHERE object_sequence > 100"
)
LAST = "SELECT pg_sequence_last_value('merchants_event_counter')"


def test_an_event_keeps_no_sequence_that_its_writer_chose(attacker):
    last = attacker.run(LAST)

    for chosen, object_sequence in ((2**62, 101), (-1, 102), (0, 103)):
        attacker.clone("merchants_event", public_id=f"evt_{chosen}", sequence=chosen, object_sequence=object_sequence)

    assert attacker.run(OWN_NUMBERS) == [last + 1, last + 2, last + 3]


@pytest.mark.parametrize("setting", [str(2**62), str(2**63 - 1), "5", "-5", ""])
def test_no_value_of_the_markers_setting_moves_a_sequence(attacker, setting):
    attacker.run("SELECT set_config('payments.merchants_event_counter', %s, false)", setting)
    last = attacker.run(LAST)

    attacker.clone("merchants_event", public_id="evt_new", object_sequence=101)

    assert attacker.run(OWN_NUMBERS) == [last + 1]


@pytest.mark.parametrize("setting", ["9" * 30, "not a number"])
def test_a_markers_setting_that_is_no_number_writes_nothing(attacker, setting):
    attacker.run("SELECT set_config('payments.merchants_event_counter', %s, false)", setting)

    with pytest.raises(psycopg.Error), attacker.attempt():
        attacker.clone("merchants_event", public_id="evt_far", object_sequence=101)

    assert attacker.run(OWN_NUMBERS) == []


def test_an_objects_events_are_numbered_once(attacker):
    with pytest.raises(errors.UniqueViolation, match="event_object_sequence"), attacker.attempt():
        attacker.clone("merchants_event", public_id="evt_new")
