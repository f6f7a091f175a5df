"""What earlier rows say in the new columns, and a review case for each deposit that is in suspense already."""

from datetime import timedelta

from django.db import migrations

from core import ids

COLUMNS = """
    UPDATE payments_deposit d SET fee = p.fee, fee_tax = p.fee_tax
        FROM payments_payment p WHERE p.id = d.payment_id AND d.status = 'credited';
    UPDATE payments_deposit d SET suspense_reason = CASE WHEN d.amount < p.amount THEN 'underpaid' ELSE 'overpaid' END
        FROM payments_payment p WHERE p.id = d.payment_id AND d.suspense_reason = 'amount_differs';
    UPDATE payments_payment p SET cancelled_at = coalesce((
        SELECT min(t.created_at) FROM payments_paymenttransition t
        WHERE t.payment_id = p.id AND t.to_status = 'cancelled'
    ), p.created_at) WHERE p.status = 'cancelled';
"""


def open_cases(apps, schema_editor):
    deposits = apps.get_model("payments", "Deposit").objects.using(schema_editor.connection.alias)
    cases = apps.get_model("payments", "ReviewCase").objects.using(schema_editor.connection.alias)
    suspended = deposits.filter(status="suspended", review_case=None).select_related("payment").order_by("pk")
    cases.bulk_create(
        (
            cases.model(
                public_id=ids.new_id("review_case"),
                livemode=deposit.livemode,
                deposit=deposit,
                merchant_id=deposit.payment.merchant_id if deposit.payment else None,
                payment=deposit.payment,
                reason=deposit.suspense_reason,
                due_at=deposit.created_at + timedelta(days=1),
                created_at=deposit.created_at,
            )
            for deposit in suspended.iterator()
        ),
        batch_size=500,
    )


class Migration(migrations.Migration):
    dependencies = [
        ("payments", "0005_life_cycle"),
    ]

    operations = [
        migrations.RunSQL(COLUMNS, migrations.RunSQL.noop),
        migrations.RunPython(open_cases, migrations.RunPython.noop),
    ]
