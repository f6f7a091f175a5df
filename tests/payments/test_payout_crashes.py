"""A process that dies at any step of a payout: the money leaves once, or provably not, and the books balance.

A forked process takes the payout's next step against the simulated STP and ends without any clean-up before or after
its n-th exchange with PostgreSQL or STP, for every n. Then the worker's own recovery runs. ``FULL=1``: every point.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import time_machine
from django.db import connections
from django.db.models import F

from core import clock, statements
from ledger.services import audit, balance
from merchants.models import Merchant
from payments.models import Payout, ProviderAccount, ProviderBalance, ProviderCall
from payments.providers.stp import client as stp_client
from payments.services import liquidity, payout_inquiry, payout_sending
from tests.conftest import Api
from tests.factories.payouts import balances, create, fund, notify, order_state
from tests.promises import Trials, pick
from tests.provider_messages import StpSender

if TYPE_CHECKING:
    from tests.sandbox_process import AtStp  # pytest_plugins must be the first to import it

pytest_plugins = ["tests.sandbox_process"]

MONEY = 100_000_000
CRASHED = 9
QUICK = range(1, 40)
"""Points to draw from; a scenario may have fewer, then the process comes to its end."""
EXCHANGES = ((psycopg.Connection, "wait"), (statements._Session, "_exchange"), (stp_client, "exchange"))
"""What a process does that others can see."""


@dataclass(frozen=True)
class Scenario:
    """How STP treats the order, and during which step the process dies.

    ``answer`` is STP's to the first send. ``final``: the order was sent before and has this end, or (``absent``) was
    lost; the process dies while it inquires, or, ``by_notice``, while it handles the notice.
    """

    answer: Any = "accept"
    final: str = ""
    by_notice: bool = False
    reads_balance: bool = False


SCENARIOS = {
    "sent and accepted": Scenario(),
    "sent, the balance was read before": Scenario(reads_balance=True),
    "sent, the answer is lost": Scenario("lose"),
    "sent, the request is lost": Scenario("drop"),
    "sent and refused": Scenario(-7),
    "sent and turned away": Scenario(-30),
    "sent, its key is called used": Scenario("already_used"),
    "sent, the answer says nothing": Scenario({"resultado": None}),
    "inquired, settled": Scenario("lose", "settle"),
    "inquired, cancelled": Scenario("lose", "cancel"),
    "inquired, returned": Scenario("lose", "return"),
    "inquired, absent": Scenario("drop", "absent"),
    "notified, settled": Scenario("accept", "settle", by_notice=True),
}


@dataclass(frozen=True)
class Doomed:
    """What a process does before anything can befall it, and the step during which it dies."""

    prepare: Callable[[], object]
    work: Callable[[], object]


@dataclass
class Desk:
    """One merchant, STP, and every payout that a process died with."""

    api: Api
    stp: StpSender
    at_stp: AtStp
    created: int = 0

    def begin(self, scenario: Scenario) -> Doomed:
        """A payout that is where the scenario begins."""
        self.created += 1
        payout = create(self.api, key=f"k-{self.created}", amount=1_000 + 100 * (self.created % 100) + 50)
        self.at_stp.script(payout.tracking_key, answer=scenario.answer)

        def prepare() -> None:  # only this one is due
            read_at = None if scenario.reads_balance else clock.now()
            ProviderBalance.objects.update(read_at=read_at, asked_at=None)
            Payout.objects.exclude(next_attempt_at=None).update(next_attempt_at=clock.now() + timedelta(hours=1))
            Payout.objects.filter(pk=payout.pk).update(next_attempt_at=clock.now())

        if scenario.final:
            payout_sending.advance(payout.pk)
            payout.refresh_from_db()
            assert payout.status == Payout.Status.PROCESSING
        if scenario.final not in ("", "absent"):
            self.at_stp.change(payout.tracking_key, final=scenario.final, return_after=0, notify=False)
        if scenario.by_notice:
            raw = order_state(payout, "LIQUIDACION")
            return Doomed(prepare, lambda: notify(self.stp, raw))
        return Doomed(prepare, lambda: payout_sending.advance(payout.pk))

    def recover(self) -> None:
        """What the worker does every minute, with every lease and wait over."""
        running = Payout.objects.filter(status=Payout.Status.PROCESSING)
        running.filter(send_outcome="sending").update(send_started_at=F("send_started_at") - 2 * payout_sending.LEASE)
        ProviderBalance.objects.update(asked_at=None)
        Payout.objects.exclude(next_attempt_at=None).update(next_attempt_at=clock.now())
        payout_inquiry.ask_due()
        for pk in Payout.objects.filter(next_attempt_at__lte=clock.now()).values_list("pk", flat=True):
            payout_sending.advance(pk)

    def settle_the_rest(self) -> None:
        """Every order that STP has in flight settles, in silence."""
        for key, order in self.at_stp.orders().items():
            if not order["is_final"]:
                self.at_stp.change(key, final="settle", notify=False)


@pytest.fixture
def desk(committed_db: None, api: Api, merchant: Merchant, stp: StpSender, at_stp: AtStp, settings: Any) -> Desk:
    settings.PROVIDER_QUOTAS = {"efws": 10**6}
    account = {"ordering_clabe": "646180157000000004", "ordering_name": "EMPRESA DEMO"}
    ProviderAccount.objects.filter(pk=at_stp.account.pk).update(**account, ordering_tax_id="EDE010101AB1")
    at_stp.configure(opening_balance=MONEY, pace=3_600)
    fund(merchant, MONEY)
    at_stp.account.refresh_from_db()
    assert liquidity.read(at_stp.account)
    return Desk(api, stp, at_stp)


@pytest.mark.promise("P4", "a process that dies before or after each exchange with PostgreSQL and STP")
def test_a_payout_survives_a_crash_at_each_of_its_steps(desk: Desk, merchant: Merchant, trials: Trials) -> None:
    points = Counter[str]()
    for name, scenario in SCENARIOS.items():
        doomed = [desk.begin(scenario) for _ in range(pick(1, 60))]
        for point in pick(trials.random.sample(QUICK, 1), range(1, 1_000)):
            if not dies(doomed.pop() if doomed else desk.begin(scenario), point):
                break
            points[name] += 1
            trials.done(unit="crash points")
    assert points.total() >= pick(len(SCENARIOS) // 2, 600), points

    for _ in range(3):
        desk.recover()
    early = dict(Payout.objects.values_list("tracking_key", "status"))
    desk.settle_the_rest()
    for _ in range(2):
        desk.recover()
    for hours in (25, 26, 50, 51):  # those that STP never had
        with time_machine.travel(clock.now() + timedelta(hours=hours), tick=True):
            desk.recover()

    orders = desk.at_stp.orders()
    assert len(desk.at_stp.order_list()) == len(orders)
    truths = {key: order["status"] for key, order in orders.items()}
    wanted = {"LQ": {"completed"}, "D": {"failed", "returned"}, "CN": {"failed"}, None: {"failed"}}
    wrong = {
        payout.public_id: (payout.status, payout.send_outcome, payout.waiting_for, truths.get(payout.tracking_key))
        for payout in Payout.objects.all()
        if payout.status not in wanted[truths.get(payout.tracking_key)]
    }
    assert wrong == {}
    assert [key for key, status in early.items() if status == "failed" and truths.get(key) == "LQ"] == []
    assert {order["amount"] for key, order in orders.items()} <= set(Payout.objects.values_list("amount", flat=True))
    sends = ProviderCall.objects.filter(operation="send_payout").exclude(outcome="not_sent")
    assert max(Counter(sends.values_list("object_id", flat=True)).values()) == 1
    spent = sum(payout.total for payout in Payout.objects.filter(status="completed"))
    assert spent == sum(order["amount"] for order in orders.values() if order["status"] == "LQ")
    assert balances(merchant) == {"available": MONEY - spent, "reserved": 0, "debt": 0}
    assert balance.of_platform(livemode=False)["stp_cash"] == desk.at_stp.balance()
    faults: list[str] = []
    audit.run(on_fault=faults.append, on_warning=faults.append, on_progress=faults.append)
    assert faults == []


def dies(doomed: Doomed, point: int) -> bool:
    """Let a forked process do it and die at a point; False if it came to its end before.

    Points are the moments before and after each exchange. The process has connections of its own.
    """
    for connection in connections.all(initialized_only=True):
        connection.close()
        connection.close_pool()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            doomed.prepare()
            _die_at(point)
            doomed.work()
            code = 0
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, CRASHED), code
    return code == CRASHED


def _die_at(point: int) -> None:
    """Let this process end at the given point."""
    passed = 0

    def step() -> None:
        nonlocal passed
        passed += 1
        if passed == point:
            os._exit(CRASHED)

    def mortal(exchange: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **options: Any) -> Any:
            step()
            answer = exchange(*args, **options)
            step()
            return answer

        return wrapped

    for owner, name in EXCHANGES:
        setattr(owner, name, mortal(getattr(owner, name)))
