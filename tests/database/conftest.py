"""A database with a little of everything in it, and raw connections of the two roles to attack it with."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.db import connections, transaction
from psycopg import sql

from core import clock
from core.state import Origin, TransitionRow
from kyc.services import case as kyc_case
from kyc.services import document
from ledger.models import Breach, Hold
from ledger.services import adjustment, chain, chart, hold, snapshot
from ledger.services.journal import PostingTime
from ledger.services.postings import pay_in, payout
from merchants.models import IdempotencyKey, Merchant
from merchants.services import api_key
from payments.models import (
    Clabe,
    FeeRule,
    Payment,
    Payout,
    PayoutResolution,
    ProviderAccount,
    ProviderBalance,
    ProviderCall,
    Report,
    ReviewCase,
)
from payments.services import clabe as clabe_service
from payments.services import payment as payment_service
from payments.services import payout as payout_service
from payments.services import payout_lock, payout_outcome, provider_quota, refund, report, review_case
from staff.services import account, approval
from tests import cluster
from tests.concurrency.threads import soon
from tests.factories import payouts
from tests.provider_messages import StpSender
from webhooks.inbound.models import Channel, InboxTally, ProviderPoll
from webhooks.inbound.services import inbox
from webhooks.outbound.models import DeliveryAttempt
from webhooks.outbound.services import endpoint

APP, OWNER, SUPERUSER = "payments_app", "payments_owner", "postgres"
ORIGIN = Origin(TransitionRow.Cause.STAFF, "user:ana")
OUR_APPS = {
    "staff",
    "merchants",
    "ledger",
    "kyc",
    "payments",
    "webhooks",
    "reconciliation",
    "backoffice",
    "payments_site",
}
PDF = b"%PDF-1.4\n%%EOF\n"

NEW_PAYMENT = {
    "public_id": "pay_new",
    "status": "pending",
    "clabe": "646180157000000990",
    "amount_received": 0,
    "amount_refunded": 0,
    "fee": 0,
    "fee_tax": 0,
    "completed_at": None,
    "external_id": None,
}
NEW_DEPOSIT = {
    "public_id": "dep_new",
    "deposit_key": "new",
    "status": "suspended",
    "suspense_reason": "unknown_clabe",
    "payment_id": None,
    "fee": 0,
    "fee_tax": 0,
}
NEW_CASE = {"public_id": "rev_new", "status": "open", "resolved_at": None}
NEW_EVENT = {"public_id": "pev_new", "event_id": "new", "status": "received"}
LIVE_ACCOUNT = {"public_id": "pac_live", "livemode": True, "clabe_prefix": "6461801571", "clabe_sequence": 2}
"""What a copy of a table's first row needs to be accepted as another row; see ``Attacker.clone``."""


def our_models() -> list[Any]:
    """Every model of ours that has a table, in the order of their tables' names."""
    ours = [m for m in apps.get_models() if m._meta.app_label in OUR_APPS and m._meta.managed]
    return sorted(ours, key=lambda model: model._meta.db_table)


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Committed rows in every guarded table. At the end nothing may have changed: no attack has left a trace."""
    with django_db_blocker.unblock():
        try:
            _populate()
            connections.close_all()
            before = fingerprint()
            yield
            assert fingerprint() == before
        finally:
            for connection in connections.all(initialized_only=True):
                connection.close()
                connection.close_pool()
            cluster.copy_template()
            chart.forget_open_accounts()


def _populate() -> None:
    merchant = Merchant.objects.create(name="Café Luna", legal_name="Café Luna SA de CV")
    api_key.create(merchant, livemode=False)
    FeeRule.objects.create(merchant=merchant, method="spei", percent="1", fixed=0)
    case = kyc_case.open_case(merchant, origin=ORIGIN)
    document.add(case.pk, document_type="official_id", name="ine.pdf", content=io.BytesIO(PDF), uploaded_by="ana")
    account = ProviderAccount.objects.create(
        provider="stp", livemode=False, name="EMPRESA_DEMO", clabe_prefix="6461801570", clabe_sequence=1
    )
    stp = StpSender(None, account, "", "")  # type: ignore[arg-type]
    paid, _ = (_spei_payment(merchant) for _ in range(2))
    to_nobody = "646180157099999990"
    for clabe, tracking_key in ((paid.clabe, "CREDITED"), (to_nobody, "SUSPENDED"), (to_nobody, "ASSIGNED")):
        inbox.receive(account, stp.deposit(clabe or "", 100_000, claveRastreo=tracking_key), remote_address=None)
    with transaction.atomic():
        case = ReviewCase.objects.get(deposit__tracking_key="ASSIGNED")
        review_case.assign(case.pk, merchant.public_id, origin=ORIGIN, reason="The payer sent the receipt")
        clabe_service.create(merchant, livemode=False, wanted=clabe_service.NewClabe(min_amount=1), origin=ORIGIN)
        clabe_service.close(Clabe.objects.get().pk, origin=ORIGIN)
        day = clock.mexico_city_date(clock.now())
        wanted = report.NewReport(Report.Type.PAYMENTS, day, day)
        report.create(merchant, livemode=False, wanted=wanted, origin=ORIGIN)
    with transaction.atomic():
        when = PostingTime(clock.now(), clock.now().date())
        hold.place(merchant, livemode=False, source="po_held", amount=50_000, purpose=Hold.Purpose.PAYOUT, when=when)
        pay_in.suspense_return_created(livemode=False, source="po_back", amount=40_000, when=when)
        late = {"amount": 300, "fee": 0, "fee_tax": 0, "from_debt": 300}
        payout.payout_settled_late(merchant, livemode=False, source="po_late", when=when, **late)
    sent = _payouts(Merchant.objects.create(name="Otra Tienda", legal_name="Otra Tienda SA de CV"), account)
    back = {"tipoPago": 16, "claveRastreo": "BACK", "claveRastreoDevolucion": sent.tracking_key}
    inbox.receive(account, stp.deposit(to_nobody, sent.amount, **back), remote_address=None)
    assert payouts.list_returns(account) == 1
    _refund(merchant, Payment.objects.get(made_by="staff"))
    ProviderBalance.objects.create(account=account, amount=1, asked_at=clock.now())
    ProviderCall.objects.create(account=account, livemode=False, operation="list_deposits", request="{}")
    assert provider_quota.spend(account, "efws", use=provider_quota.Use.UNKNOWN)
    _propose_adjustments()
    PayoutResolution.objects.create(
        payout=Payout.objects.latest("pk"), decision="seen", reason="Seen", maker=User.objects.get(username="ana")
    )
    IdempotencyKey.objects.create(merchant=merchant, livemode=False, key="w", method="POST", path="/", body_sha256="")
    InboxTally.objects.create(hour=clock.now(), channel=Channel.STP_DEPOSITS, kind=InboxTally.Kind.DUPLICATE)
    ProviderPoll.objects.create(account=account)
    _webhooks(merchant)
    scope = {"merchant": merchant, "livemode": False, "provider_account": account.public_id}
    Breach.objects.create(invariant="covered", message="out by one centavo", cleared_at=clock.now(), **scope)
    # Both reach only as far as the oldest transaction of the whole cluster, which may be another test worker's.
    until = time.monotonic() + 300
    while chain.seal() == 0 or snapshot.take(tail=1) == 0:
        assert time.monotonic() < until, "nothing became final"
        time.sleep(0.05)


def _webhooks(merchant: Merchant) -> None:
    """An endpoint with a rotated secret and a delivery that was tried, and one that was deleted."""
    wanted = endpoint.NewEndpoint(url="https://merchant.example", events=["*"])
    with transaction.atomic():
        kept, _ = endpoint.create(merchant, livemode=False, wanted=wanted)
    with transaction.atomic():
        endpoint.rotate_secret(kept.pk)
        delivery = endpoint.send_test(kept.pk)
    answer = {"status_code": 500, "error": "timeout", "duration_ms": 1, "response_excerpt": "x"}
    DeliveryAttempt.objects.create(delivery=delivery, at=clock.now(), url=kept.url, **answer)
    with transaction.atomic():
        gone, _ = endpoint.create(merchant, livemode=False, wanted=wanted)
    with transaction.atomic():
        endpoint.delete(gone.pk)


def _payouts(merchant: Merchant, account: ProviderAccount) -> Payout:
    """Make one that waits, and one that was sent, settled and returned, and return the latter."""

    payouts.ready_to_send(account)
    payouts.fund(merchant, 5_000)
    wanted = payout_service.NewPayout(amount=1_000, clabe=payouts.CLABE, name="Ana", concept="Nomina")
    with transaction.atomic():
        payout_service.create(merchant, livemode=False, wanted=wanted, maker="", origin=ORIGIN)
        made = payout_service.create(merchant, livemode=False, wanted=wanted, maker="", origin=ORIGIN)
    with transaction.atomic():
        sent = payout_lock.lock(made.pk)
        sent.order_id = "1000"
        payout_outcome.settle(sent, at=clock.now(), origin=ORIGIN, confirmed=True)
    with transaction.atomic():
        payout_outcome.come_back(payout_lock.lock(made.pk), at=clock.now(), cause=1, origin=ORIGIN)
    return made


def _refund(merchant: Merchant, payment: Payment) -> None:
    """One that was settled and came back."""
    wanted = refund.NewRefund(payment=payment.public_id, amount=1_000, reason="Sold out")
    with transaction.atomic():
        made = refund.create(merchant, livemode=False, wanted=wanted, maker="", origin=ORIGIN)
    attempt = made.attempts.get().pk
    with transaction.atomic():
        payout_outcome.settle(payout_lock.lock(attempt), at=clock.now(), origin=ORIGIN, confirmed=True)
    with transaction.atomic():
        payout_outcome.come_back(payout_lock.lock(attempt), at=clock.now(), cause=1, origin=ORIGIN)


def _propose_adjustments() -> None:
    """One that waits for a decision and one that was approved; Carla has not voted on either."""
    ana, berta, carla = (User.objects.create_superuser(name) for name in ("ana", "berta", "carla"))
    account.propose(carla, ["staff"], ana)
    for number in (1, 2):
        proposed = adjustment.propose(
            livemode=False,
            description="Bank fee",
            reason="Nobody booked it",
            legs=[("platform:losses", number), ("platform:stp_cash", -number)],
            effective_at=clock.now(),
            operating_date=clock.now().date(),
            evidence=ContentFile(PDF, "fee.pdf"),
            maker=ana,
        )
    asked = adjustment.approval_of(proposed)
    assert asked is not None
    approval.vote(asked.pk, berta, "approve", "Seen")


def _spei_payment(merchant: Merchant) -> Payment:
    wanted = payment_service.NewPayment(
        Payment.Method.SPEI, 100_000, clock.now() + payment_service.DEFAULT_LIFETIME, description="Café"
    )
    with transaction.atomic():
        return payment_service.create(merchant, livemode=False, wanted=wanted, origin=ORIGIN)


def fingerprint() -> dict[str, str]:
    """Table -> hash of all its rows, read as the superuser."""
    with psycopg.connect(cluster.url(SUPERUSER)) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").fetchall()
        query = "SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {} t"
        found = {
            table: connection.execute(sql.SQL(query).format(sql.Identifier("public", table))).fetchone()[0]  # type: ignore[index]
            for (table,) in tables
        }
    assert soon(_superuser_is_gone)
    return found


def _superuser_is_gone() -> bool:
    """Its session would keep the owner from dropping the database; it ends a moment after it is closed."""
    with psycopg.connect(cluster.url(OWNER)) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = %s"
        return connection.execute(query, [SUPERUSER]).fetchone() == (0,)


@dataclass
class Attacker:
    """One role's raw connection; whatever it did in a test is rolled back afterwards."""

    role: str
    connection: psycopg.Connection[Any]

    def run(self, statement: str, *params: Any) -> Any:
        """The first column of the first row, if there is one."""
        cursor = self.connection.execute(statement, params or None)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None

    def attempt(self) -> AbstractContextManager[Any]:
        """A savepoint to which everything inside is rolled back, also if it was accepted."""
        return self.connection.transaction(force_rollback=True)

    def refused(self, statement: str, *params: Any, by: type[psycopg.Error], saying: str = "") -> None:
        """The statement raises exactly ``by``, with ``saying`` in its message."""
        with pytest.raises(by) as refusal, self.attempt():
            self.run(statement, *params)
        assert type(refusal.value) is by
        assert saying in str(refusal.value)

    def key(self, table: str) -> str:
        """The name of the table's primary key."""
        return str(
            self.run(
                "SELECT attname FROM pg_index i JOIN pg_attribute a ON attrelid = indrelid "
                "AND attnum = indkey[0] WHERE indisprimary AND indrelid = %s::regclass",
                table,
            )
        )

    def whole_key(self, table: str) -> str:
        """All columns of the primary key, as ON CONFLICT names them."""
        return str(
            self.run(
                "SELECT string_agg(attname, ', ') FROM pg_index i JOIN pg_attribute a ON attrelid = indrelid "
                "AND attnum = ANY(indkey) WHERE indisprimary AND indrelid = %s::regclass",
                table,
            )
        )

    def clone(self, table: str, **changes: Any) -> int:
        """Insert a copy of the table's first row under a new id, with ``changes``; return the id."""
        fresh = self.run(f"SELECT max(id) + 1000 FROM {table}")
        self.run(
            f"INSERT INTO {table} SELECT (jsonb_populate_record(t, %s)).* FROM {table} t "
            f"WHERE id = (SELECT min(id) FROM {table})",
            json.dumps({"id": fresh} | changes),
        )
        return int(fresh)


@pytest.fixture(scope="module")
def _attackers(world: None) -> Iterator[dict[str, Attacker]]:
    attackers = {role: Attacker(role, psycopg.connect(cluster.url(role))) for role in (APP, OWNER, SUPERUSER)}
    yield attackers
    for attacker in attackers.values():
        attacker.connection.close()


def _rolled_back(attacker: Attacker) -> Iterator[Attacker]:
    yield attacker
    attacker.connection.rollback()
    attacker.run("RESET ALL")
    attacker.connection.rollback()


@pytest.fixture(params=[APP, OWNER])
def attacker(request: pytest.FixtureRequest, _attackers: dict[str, Attacker]) -> Iterator[Attacker]:
    """The application's role, then the schema's owner."""
    yield from _rolled_back(_attackers[request.param])


@pytest.fixture
def app(_attackers: dict[str, Attacker]) -> Iterator[Attacker]:
    yield from _rolled_back(_attackers[APP])


@pytest.fixture
def schema_owner(_attackers: dict[str, Attacker]) -> Iterator[Attacker]:
    yield from _rolled_back(_attackers[OWNER])


@pytest.fixture
def superuser(_attackers: dict[str, Attacker]) -> Iterator[Attacker]:
    yield from _rolled_back(_attackers[SUPERUSER])
