"""The indexes of the merchants' payment list, built while the system runs.

Not one transaction: each index is built concurrently, and one that a release was killed over is built anew. The index
of external ids takes the place of the constraint that held them unique, without a moment in which nothing does. Four
indexes that no query uses go.
"""

import core.search
import django.contrib.postgres.indexes
import django.db.models.deletion
from django.db import migrations, models

BUILT = {
    "payment_newest": "INDEX {name} ON public.payments_payment (merchant_id, livemode, created_at DESC NULLS LAST, id DESC)",
    "payment_by_status": "INDEX {name} ON public.payments_payment "
    "(merchant_id, livemode, status, created_at DESC NULLS LAST, id DESC)",
    "payment_by_method": "INDEX {name} ON public.payments_payment "
    "(merchant_id, livemode, method, created_at DESC NULLS LAST, id DESC)",
    "payment_by_amount": "INDEX {name} ON public.payments_payment (merchant_id, livemode, amount)",
    "payment_search": "INDEX {name} ON public.payments_payment USING gin (merchant_id public.int8_ops, "
    "(public.search_text(clabe, voucher_reference, order_id, external_id, customer_name, customer_email, tracking_key, "
    "payer_name)) public.gin_trgm_ops)",
    "payment_external_id_once": "UNIQUE INDEX {name} ON public.payments_payment "
    "(merchant_id, livemode, external_id varchar_pattern_ops) WHERE external_id IS NOT NULL",
}
UNUSED = [
    "payment_list",
    "payments_payment_merchant_id_2ca42133",
    "payments_payment_provider_account_id_c48ce080",
    "payments_payment_public_id_0c37c47c_like",
    "payments_payment_clabe_f51fec93_like",
]


def forwards(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        for name, definition in BUILT.items():
            if name == "payment_external_id_once" and _is_valid(cursor, "payment_external_id_unique", unique_only=True):
                continue
            if not _is_valid(cursor, name):
                cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS public.{name}")
                cursor.execute(f"CREATE {definition.format(name=name)}".replace("INDEX ", "INDEX CONCURRENTLY ", 1))
        if _is_valid(cursor, "payment_external_id_once"):
            # One string of several statements is one transaction.
            cursor.execute(
                "ALTER TABLE public.payments_payment DROP CONSTRAINT IF EXISTS payment_external_id_unique;"
                "ALTER INDEX public.payment_external_id_once RENAME TO payment_external_id_unique"
            )
        for name in UNUSED:
            cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS public.{name}")


def _is_valid(cursor, name, *, unique_only=False):
    """Whether an index is there and whole; ``unique_only``: and no constraint's."""
    cursor.execute(
        "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass(%s) AND indisvalid "
        "AND NOT (%s AND EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = indexrelid AND contype = 'u'))",
        [f"public.{name}", unique_only],
    )
    return cursor.fetchone() is not None


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("merchants", "0002_event_base"),
        ("payments", "0003_search_functions"),
    ]

    operations = [
        migrations.RunPython(forwards, migrations.RunPython.noop),
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveConstraint(model_name="payment", name="payment_external_id_unique"),
                migrations.RemoveIndex(model_name="payment", name="payment_list"),
                migrations.AlterField(
                    model_name="payment",
                    name="merchant",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="payments",
                        to="merchants.merchant",
                        verbose_name="merchant",
                    ),
                ),
                migrations.AlterField(
                    model_name="payment",
                    name="provider_account",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="payments",
                        to="payments.provideraccount",
                    ),
                ),
                migrations.AddIndex(
                    model_name="payment",
                    index=models.Index(
                        models.F("merchant"), models.F("livemode"),
                        models.OrderBy(models.F("created_at"), descending=True, nulls_last=True),
                        models.OrderBy(models.F("id"), descending=True),
                        name="payment_newest",
                    ),
                ),
                migrations.AddIndex(
                    model_name="payment",
                    index=models.Index(
                        models.F("merchant"), models.F("livemode"), models.F("status"),
                        models.OrderBy(models.F("created_at"), descending=True, nulls_last=True),
                        models.OrderBy(models.F("id"), descending=True),
                        name="payment_by_status",
                    ),
                ),
                migrations.AddIndex(
                    model_name="payment",
                    index=models.Index(
                        models.F("merchant"), models.F("livemode"), models.F("method"),
                        models.OrderBy(models.F("created_at"), descending=True, nulls_last=True),
                        models.OrderBy(models.F("id"), descending=True),
                        name="payment_by_method",
                    ),
                ),
                migrations.AddIndex(
                    model_name="payment",
                    index=models.Index(fields=["merchant", "livemode", "amount"], name="payment_by_amount"),
                ),
                migrations.AddIndex(
                    model_name="payment",
                    index=django.contrib.postgres.indexes.GinIndex(
                        django.contrib.postgres.indexes.OpClass(models.F("merchant"), name="int8_ops"),
                        django.contrib.postgres.indexes.OpClass(
                            core.search.SearchText(
                                models.F("clabe"),
                                models.F("voucher_reference"),
                                models.F("order_id"),
                                models.F("external_id"),
                                models.F("customer_name"),
                                models.F("customer_email"),
                                models.F("tracking_key"),
                                models.F("payer_name"),
                            ),
                            name="gin_trgm_ops",
                        ),
                        name="payment_search",
                    ),
                ),
                migrations.AddConstraint(
                    model_name="payment",
                    constraint=models.UniqueConstraint(
                        condition=models.Q(("external_id__isnull", False)),
                        fields=("merchant", "livemode", "external_id"),
                        name="payment_external_id_unique",
                        opclasses=["int8_ops", "bool_ops", "varchar_pattern_ops"],
                    ),
                ),
            ],
        ),
    ]
