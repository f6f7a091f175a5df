"""What the database refuses about payouts, to the application and to the schema's owner alike."""

from __future__ import annotations

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction
from django.db.utils import DatabaseError

from payments.models import Payout
from payments.services import payout_sending
from tests.factories.payouts import notify, order_state, wanted
from tests.payments.conftest import script  # noqa: F401 - fixture

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def pending(api, script):  # noqa: F811
    return Payout.objects.get(public_id=api.post("/v1/payouts", wanted()).json()["id"])


def run(sql, *params):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, params)


CHANGES = [
    "status = 'completed'",
    "status = 'failed', failure_code = 'x'",
    "status = 'returned'",
    "status = 'cancelled', cancelled_at = now()",
    "status = 'rejected'",
    "amount = 1",
    "fee = 1",
    "destination_clabe = '072691004495711499'",
    "destination_name = 'Otro'",
    "tracking_key = 'OTRA'",
    "merchant_id = merchant_id + 1",
    "livemode = true",
    "failure_code = 'x'",
    "completed_at = now()",
    "external_id = 'otro'",
]


def test_a_pending_payout_changes_by_its_steps_only(pending, owner):
    done = []
    for change in CHANGES:
        statement = f"UPDATE payments_payout SET {change} WHERE id = {pending.pk}"  # noqa: S608
        for execute in (run, lambda sql: (owner.execute(sql), owner.commit())):
            try:
                execute(statement)
                done.append(change)
            except (DatabaseError, psycopg.Error):
                owner.rollback()

    assert done == []


def test_no_payout_is_deleted(pending, owner):
    with pytest.raises(DatabaseError):
        run("DELETE FROM payments_payout WHERE id = %s", pending.pk)
    with pytest.raises(psycopg.Error):
        owner.execute("TRUNCATE payments_payout CASCADE")


def test_a_payout_without_its_hold_is_refused(pending):
    with pytest.raises(IntegrityError, match="the books do not say so"):
        run(
            """
            INSERT INTO payments_payout (public_id, merchant_id, livemode, provider_account_id, kind, status, amount,
                currency, fee, fee_tax, fee_percent, fee_fixed, fee_iva, destination_clabe, destination_bank,
                destination_name, destination_tax_id, concept, reference_number, metadata, tracking_key, created_at)
            SELECT 'po_01m8kt57qrrmgs615f8zhv6ftm', merchant_id, livemode, provider_account_id, kind, 'pending', amount,
                currency, fee, fee_tax, fee_percent, fee_fixed, fee_iva, destination_clabe, destination_bank,
                destination_name, destination_tax_id, concept, reference_number, metadata, 'OTRACLAVE', now()
            FROM payments_payout WHERE id = %s
            """,
            pending.pk,
        )


def test_a_second_payout_never_has_the_same_tracking_key(api, pending, script):  # noqa: F811
    other = Payout.objects.get(public_id=api.post("/v1/payouts", wanted(), key="k-2").json()["id"])

    with pytest.raises(DatabaseError):
        run("UPDATE payments_payout SET tracking_key = %s WHERE id = %s", pending.tracking_key, other.pk)
    with pytest.raises(IntegrityError, match="payout_tracking_key_unique"):
        Payout.objects.bulk_create(
            [
                Payout(
                    **{
                        field.attname: getattr(pending, field.attname)
                        for field in Payout._meta.concrete_fields
                        if field.attname not in ("id", "public_id")
                    }
                )
            ]
        )


def test_a_hold_is_not_captured_beyond_its_amount(pending, owner):
    for execute in (run, lambda sql, *params: owner.execute(sql, params)):
        with pytest.raises((DatabaseError, psycopg.Error)):
            execute(
                "UPDATE ledger_hold SET status = 'captured', captured = amount + 1, resolved_at = now() "
                "WHERE source = %s",
                pending.public_id,
            )
        owner.rollback()


def test_facts_are_kept_once(api, pending, script, stp):  # noqa: F811
    payout_sending.advance(pending.pk)
    pending.refresh_from_db()
    notify(stp, order_state(pending, "LIQUIDACION"))

    for change in ("liquidated_at = NULL", "liquidated_at = now()", "order_id = '5'", "operating_date = '2020-01-01'"):
        with pytest.raises(DatabaseError):
            run(f"UPDATE payments_payout SET {change} WHERE id = %s", pending.pk)  # noqa: S608


def test_nothing_goes_on_without_the_approval_that_it_waits_for(api, merchant, script):  # noqa: F811
    type(merchant).objects.filter(pk=merchant.pk).update(payout_approval_above=0)
    made = api.post("/v1/payouts", wanted()).json()

    with pytest.raises(IntegrityError, match="was not approved"):
        run(
            """
            WITH step AS (
                INSERT INTO payments_payouttransition
                    (payout_id, from_status, to_status, cause, actor, reference, reason, created_at)
                SELECT id, 'pending_approval', 'pending', 'staff', 'x', '', '', now()
                FROM payments_payout WHERE public_id = %s
            )
            UPDATE payments_payout SET status = 'pending' WHERE public_id = %s
            """,
            made["id"],
            made["id"],
        )
