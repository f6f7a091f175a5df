"""Every index of a table that grows has its reason in docs/indexes.md, and its query uses it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection, connections, transaction
from django.db.models import Count, F, Q, QuerySet, Sum

from backoffice.models import Transfer
from core import clock
from core.search import search_rows
from core.state import Origin, TransitionRow
from kyc.models import CaseTransition, Document
from ledger.models import Account, Entry, Hold, Transaction
from merchants.models import ApiKey, Event, Merchant
from payments.models import (
    Clabe,
    ClabeTransition,
    Deposit,
    DepositTransition,
    Payment,
    PaymentTransition,
    Payout,
    PayoutTransition,
    ProviderCall,
    Refund,
    RefundTransition,
    Report,
    ReportTransition,
    ReviewCase,
    ReviewCaseTransition,
)
from payments.models.payment import NEWEST_FIRST, SEARCH_TEXT
from payments.models.payout import PAYOUT_SEARCH_TEXT
from payments.services import payment as payment_service
from payments.services import payout_resolution
from payments_site.columns import our_models
from tests import cluster
from webhooks.inbound.models import ProviderEvent, ProviderEventTransition
from webhooks.inbound.services import inbox
from webhooks.outbound.models import Delivery, DeliveryAttempt, Endpoint, EndpointSecret

PAGE = Path(settings.BASE_DIR) / "docs" / "indexes.md"
SMALL = {
    "ledger_adjustment",
    "payments_feerule",
    "payments_payoutresolution",
    "payments_provideraccount",
    "payments_site_release",
}
"""Besides those of ``staff``: tables that people fill by hand."""

NOW = clock.now()
OURS = {"merchant_id": 1, "livemode": False}
SINCE_YESTERDAY = (NOW - timedelta(days=1), NOW)
NEWEST_PAYMENTS = Payment.objects.filter(**OURS).order_by(*NEWEST_FIRST)
WAITING = ["pending", "processing"]

QUERIES: dict[str, QuerySet[Any] | str] = {
    "kyc_casetransition_case_id": CaseTransition.objects.filter(case_id=1),
    "kyc_document_case_id": Document.objects.filter(case_id=1),
    "ledger_account_merchant_id": Account.objects.filter(**OURS, currency="MXN"),
    "entry_account_position": Entry.objects.filter(account_id=1, position__gte=1)
    .values("account")
    .annotate(Sum("amount")),
    "entry_account_effective": Entry.objects.filter(account_id=1, effective_at__lte=NOW)
    .values("account")
    .annotate(Sum("amount")),
    "ledger_entry_transaction_id": Entry.objects.filter(transaction_id=1),
    "hold_open": Hold.objects.filter(**OURS, status="open").values("merchant").annotate(Sum("amount")),
    "hold_parent": Hold.objects.filter(parent_id=1),
    "snapshot_position": "SELECT max(position) FROM ledger_snapshot",
    "transaction_position": Transaction.objects.filter(position__gt=1).order_by("position", "id")[:1000],
    "transaction_recorded": Transaction.objects.filter(recorded_at__lt=NOW).order_by("-recorded_at")[:1],
    "transaction_reverses": Transaction.objects.filter(reverses_id=1),
    "merchants_apikey_merchant_id": ApiKey.objects.filter(merchant_id=1),
    "merchants_apikey_created_by_id": ApiKey.objects.filter(created_by_id=1),
    "event_feed": Event.objects.filter(**OURS, sequence__gt=1).order_by("sequence")[:100],
    "clabe_list": Clabe.objects.filter(**OURS).order_by("-id")[:51],
    "clabe_to_register": Clabe.objects.filter(registration_due_at__lte=NOW).order_by("registration_due_at")[:100],
    "payments_clabetransition_clabe_id": ClabeTransition.objects.filter(clabe_id=1),
    "payments_deposit_payment_id": Deposit.objects.filter(payment_id=1),
    "deposit_created": Deposit.objects.filter(created_at__range=SINCE_YESTERDAY).order_by("-created_at", "-id")[:51],
    "deposit_stray": Deposit.objects.filter(~Q(status="credited") | Q(purpose="funding")).order_by("-created_at")[:50],
    "deposit_search": search_rows(Transfer.objects.all(), "María", F("search_text"), key="id"),
    "payments_deposittransition_deposit_id": DepositTransition.objects.filter(deposit_id=1),
    "payment_newest": NEWEST_PAYMENTS[:51],
    "payment_by_status": NEWEST_PAYMENTS.filter(status="cancelled")[:51],
    "payment_by_method": NEWEST_PAYMENTS.filter(method="oxxo")[:51],
    "payment_by_amount": Payment.objects.filter(**OURS, amount__range=(1, 2)),
    "payment_created": Payment.objects.order_by("-created_at", "-id")[:51],
    "payment_waiting": Payment.objects.filter(status__in=WAITING, expires_at__lte=NOW).order_by("expires_at")[:500],
    "payment_search": search_rows(Payment.objects.all(), "María", SEARCH_TEXT),
    "payments_paymenttransition_payment_id": PaymentTransition.objects.filter(payment_id=1),
    "payout_newest": Payout.objects.filter(**OURS).order_by(*NEWEST_FIRST)[:51],
    "payout_by_status": Payout.objects.filter(**OURS, status="failed").order_by(*NEWEST_FIRST)[:51],
    "payout_created": Transfer.objects.order_by("-created_at")[:50],
    "payout_due": Payout.objects.filter(next_attempt_at__lte=NOW).order_by("next_attempt_at")[:50],
    "payout_for_people": payout_resolution.narrowed(Payout.objects.all(), "person").order_by("-id")[:51],
    "payout_last_sent": Payout.objects.filter(provider_account_id=1, send_started_at__gte=NOW).order_by(),
    "payout_return_key": Payout.objects.filter(Q(return_tracking_key="DEV1") & ~Q(return_tracking_key="")),
    "payout_of_refund": Payout.objects.filter(refund_id=1),
    "payout_search": search_rows(Payout.objects.all(), "María", PAYOUT_SEARCH_TEXT),
    "payments_payouttransition_payout_id": PayoutTransition.objects.filter(payout_id=1),
    "provider_call_about": ProviderCall.objects.filter(object_id="pay_1").order_by("id"),
    "refund_newest": Refund.objects.filter(**OURS).order_by(*NEWEST_FIRST)[:51],
    "refund_by_status": Refund.objects.filter(**OURS, status="failed").order_by(*NEWEST_FIRST)[:51],
    "refund_of_payment": Refund.objects.filter(payment_id=1),
    "refund_of_deposit": Refund.objects.filter(deposit_id=1),
    "payments_refundtransition_refund_id": RefundTransition.objects.filter(refund_id=1),
    "report_list": Report.objects.filter(**OURS).order_by("-id")[:51],
    "report_unfinished": Report.objects.filter(status__in=WAITING).order_by("id"),
    "report_kept": Report.objects.filter(status="completed", removed_at=None, expires_at__lt=NOW),
    "payments_reporttransition_report_id": ReportTransition.objects.filter(report_id=1),
    "payments_reviewcase_merchant_id": ReviewCase.objects.filter(merchant_id=1),
    "review_case_waiting": ReviewCase.objects.filter(resolved_at=None).order_by("due_at")[:50],
    "payments_reviewcasetransition_review_case_id": ReviewCaseTransition.objects.filter(review_case_id=1),
    "provider_event_about": ProviderEvent.objects.filter(object_id="pay_1"),
    "provider_event_business": ProviderEvent.objects.filter(business_key="MBAN1"),
    "provider_event_attention": ProviderEvent.objects.filter(status="dead").order_by("-id")[:50],
    "provider_event_due": ProviderEvent.objects.filter(status__in=["received", "retry"], next_at__lte=NOW),
    "provider_event_received": ProviderEvent.objects.filter(received_at__gte=NOW - timedelta(days=1))
    .order_by()
    .values("channel")
    .annotate(Count("id")),
    "delivery_due": Delivery.objects.filter(endpoint_id=1, status="pending", next_attempt_at__lte=NOW).order_by(
        "next_attempt_at", "event_id"
    )[:2],
    "delivery_event": Delivery.objects.filter(endpoint_id=1, event_id=1).order_by(),
    "delivery_leased": Delivery.objects.filter(endpoint_id=1, leased_until__gt=NOW)
    .values("endpoint")
    .annotate(Count("id")),
    "delivery_list": Delivery.objects.filter(endpoint_id=1).order_by("-id")[:21],
    "delivery_manual": Delivery.objects.filter(manual=True, status="pending", next_attempt_at__lte=NOW),
    "delivery_parked": Delivery.objects.filter(endpoint_id=1, status="paused").order_by("event_id")[:1000],
    "delivery_queue": Delivery.objects.filter(endpoint_id=1, queue="pay_1", status__in=["pending", "paused"])
    .exclude(queue="")
    .order_by("event_id")[:1],
    "delivery_replay_open": Delivery.objects.filter(endpoint_id=1, kind="replay", status__in=["pending", "paused"])
    .values("endpoint")
    .annotate(Count("endpoint")),
    "webhooks_deliveryattempt_delivery_id": DeliveryAttempt.objects.filter(delivery_id=1),
    "endpoint_list": Endpoint.objects.filter(**OURS).order_by("-id")[:21],
    "endpoint_settling": Endpoint.objects.filter(settling=True),
    "endpoint_unwell": Endpoint.objects.filter(status="failing", failing_since__lte=NOW),
    "webhooks_endpointsecret_endpoint_id": EndpointSecret.objects.filter(endpoint_id=1).order_by("-id"),
    "webhooks_providereventtransition_event_id": ProviderEventTransition.objects.filter(event_id=1),
}
"""Index, without the hash of a generated name -> a query of a page or a job."""


@pytest.fixture(scope="module", autouse=True)
def untouched(django_db_setup: None, django_db_blocker: Any) -> None:
    """A new copy of the database: plans depend on pages and statistics that earlier tests have left behind."""
    with django_db_blocker.unblock():
        for one in connections.all(initialized_only=True):
            one.close()
            one.close_pool()
        cluster.copy_template()


def present() -> dict[str, tuple[str, str, bool]]:
    """Index -> its table, definition and whether it is unique, of every table that grows."""
    tables = [model._meta.db_table for model in our_models()]
    growing = [table for table in tables if table not in SMALL and not table.startswith("staff_")]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, i.indrelid::regclass::text, pg_get_indexdef(i.indexrelid), i.indisunique "
            "FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid::regclass::text = ANY(%s)",
            [growing],
        )
        return {name: (table, definition.partition(" USING ")[2], unique) for name, table, definition, unique in cursor}


def readable(definition: str) -> str:
    """A definition without what goes without saying."""
    return re.sub(r"btree |public\.|::(text|character varying)(\[\])?| VARIADIC", "", definition)


@pytest.mark.django_db
def test_every_index_of_a_table_that_grows_is_listed_with_its_reason():
    sections = re.split(r"^### (\w+)$", PAGE.read_text(), flags=re.M)[1:]
    listed = {
        f"{table}: {line}"
        for table, text in zip(sections[::2], sections[1::2], strict=True)
        for line in re.findall(r"^(\| `\w+` \| `.+` \|) \w.+ \|$", text, re.M)
    }
    there = {f"{table}: | `{name}` | `{readable(text)}` |" for name, (table, text, _) in present().items()}

    assert sorted(there - listed) == []
    assert sorted(listed - there) == []


@pytest.mark.django_db
def test_every_index_that_holds_nothing_unique_has_its_query():
    assert QUERIES.keys() == {
        re.sub(r"_[0-9a-f]{8}$", "", name) for name, (_, _, unique) in present().items() if not unique
    }


@pytest.mark.django_db
@pytest.mark.parametrize("index", QUERIES)
def test_the_query_of_an_index_uses_it(index):
    query = QUERIES[index]
    text, params = (query, ()) if isinstance(query, str) else query.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN (COSTS off) {text}", params)
        plan = "\n".join(row[0] for row in cursor.fetchall())

    assert re.search(rf"\b{index}(_[0-9a-f]{{8}})?\b", plan), plan


def _payment(merchant: Merchant) -> Payment:
    wanted = payment_service.NewPayment("spei", 100_000, clock.now() + payment_service.DEFAULT_LIFETIME)
    with transaction.atomic():
        return payment_service.create(
            merchant, livemode=False, wanted=wanted, origin=Origin(TransitionRow.Cause.STAFF, "user:ana")
        )


def _written(superuser: psycopg.Connection[Any], write: Callable[[], object]) -> tuple[Counter[str], Counter[str]]:
    """How many rows of each table, and entries of each index, ``write`` puts into this database, by the WAL.

    BRIN is left out: it has an entry for 128 pages of rows.
    """
    (since,) = superuser.execute("SELECT pg_current_wal_insert_lsn()").fetchone()  # type: ignore[misc]
    write()
    found = superuser.execute(
        """
        SELECT c.relname, resource_manager = 'Heap', CASE resource_manager WHEN 'Gin' THEN 1 ELSE count(*) END
        FROM pg_get_wal_records_info(%s, pg_current_wal_flush_lsn()) w,
            LATERAL regexp_matches(w.block_ref, 'rel \\d+/(\\d+)/(\\d+) fork main') block
            JOIN pg_class c ON pg_relation_filenode(c.oid) = block[2]::oid
        WHERE block[1]::oid = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND (resource_manager = 'Heap' AND record_type ~ '^(INSERT|UPDATE|HOT_UPDATE)'
                OR resource_manager = 'Btree' AND record_type ~ '^INSERT' OR resource_manager = 'Gin')
        GROUP BY c.relname, resource_manager
        """,
        [since],
    ).fetchall()
    rows = Counter({name: count for name, is_table, count in found if is_table})
    return rows, Counter({name: count for name, is_table, count in found if not is_table})


def test_a_spei_payment_and_its_credit_write_so_many_rows_and_index_entries(committed_db, merchant, stp):
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as superuser:
        superuser.execute("CREATE EXTENSION pg_walinspect")
        first = _payment(merchant)
        inbox.receive(stp.account, stp.deposit(first.clabe, 100_000), remote_address=None)  # makes the indexes' pages

        made, made_entries = _written(superuser, lambda: _payment(merchant))
        notice = stp.deposit(Payment.objects.latest("id").clabe, 100_000, claveRastreo="SECOND")
        rows, entries = _written(superuser, lambda: inbox.receive(stp.account, notice, remote_address=None))

    assert made == {"payments_payment": 1, "payments_paymenttransition": 1, "merchants_event": 1}
    assert sum(made_entries.values()) == 17, sorted(made_entries.items())
    assert rows == {
        "ledger_entry": 4,
        "ledger_transaction": 1,
        "merchants_event": 1,
        "payments_deposit": 1,
        "payments_deposittransition": 1,
        "payments_payment": 1,
        "payments_paymenttransition": 1,
        "webhooks_providerevent": 1,
        f"webhooks_providereventbody_{clock.now():%Y_%m}": 1,
    }
    assert sum(entries.values()) == 50, sorted(entries.items())
    assert {name for name, count in entries.items() if count > 1} == {
        "entry_account_effective",
        "entry_account_position",
        "ledger_entry_pkey",
        "ledger_entry_transaction_id_c459e7a1",
    }
