"""The outcome that a payout must reach at every provider that pays out, for each kind of answer and notice.

Each adapter is asked over HTTP at its simulated provider, which sends its notices to the running site. A provider
passes these tests with one entry in ``adapters.ADAPTERS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import time_machine

from core import clock
from ledger.services import audit, balance
from merchants.models import Merchant
from payments.models import FeeRule, Payout, ProviderAccount, ProviderCall
from payments.providers import registry
from payments.providers.payout import OrderStatus
from payments.services import payout_inquiry, payout_sending
from payments.services.payout import order_of
from tests.conftest import Api
from tests.factories.payouts import balances, create, events, fund
from tests.payments.providers.conformance.adapters import ADAPTERS, OPENING, Adapter, until
from tests.sandbox.process import Simulator
from tests.web_thread import served

pytest_plugins = ["tests.sandbox_process"]

FEE = 580
SETTLED, RETURNED, CANCELLED, UNKNOWN = (
    OrderStatus.SETTLED,
    OrderStatus.RETURNED,
    OrderStatus.CANCELLED,
    OrderStatus.UNKNOWN,
)
OPEN, COMPLETED, FAILED = "processing", "completed", "failed"
Told = AbstractContextManager[None] | None


@dataclass
class Site:
    """Our side: the running site, its account at the provider, and a merchant with all of its money."""

    adapter: Adapter
    account: ProviderAccount
    api: Api
    merchant: Merchant
    seen: dict[int, list[str]] = field(default_factory=dict)
    """The states in which the API has shown each payout."""

    def create(self, amount: int) -> Payout:
        payout = create(self.api, key=f"k-{amount}", amount=amount)
        self.seen[payout.pk] = []
        return payout

    def look(self, payout: Payout) -> str:
        """The payout's state as the merchant sees it."""
        status = str(self.api.get(f"/v1/payouts/{payout.public_id}").json()["status"])
        self.seen[payout.pk].append(status)
        return status

    def ask(self, *payouts: Payout) -> None:
        """Take the next step of these payouts at once, as if it were due."""
        mine = Payout.objects.filter(pk__in=[payout.pk for payout in payouts])
        mine.exclude(next_attempt_at=None).update(next_attempt_at=clock.now())
        for pk in mine.exclude(next_attempt_at=None).values_list("pk", flat=True):
            payout_sending.advance(pk)
        Payout.objects.exclude(next_attempt_at=None).update(next_attempt_at=clock.now() + timedelta(hours=1))

    def is_sound(self) -> bool:
        """The books have no fault, and our cash is what the provider says it is."""
        faults: list[str] = []
        audit.run(on_fault=faults.append, on_warning=print, on_progress=print)
        assert faults == []
        return balance.of_platform(livemode=False)["stp_cash"] == self.adapter.figures()[0]


@pytest.fixture(params=sorted(ADAPTERS))
def site(
    request: pytest.FixtureRequest,
    committed_db: None,
    conekta_process: Simulator,
    merchant: Merchant,
    api: Api,
    tmp_path: Any,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Site]:
    settings.PROVIDER_QUOTAS = dict.fromkeys(settings.PROVIDER_QUOTAS, 10**6)
    monkeypatch.setattr(registry, "PAYOUT_METHOD", replace(registry.PAYOUT_METHOD, provider=request.param))
    adapter = ADAPTERS[request.param](conekta_process)
    FeeRule.objects.create(merchant=merchant, method="payout", percent=0, fixed=500)
    fund(merchant, OPENING)
    with served() as address:
        yield Site(adapter, adapter.open_account(address, tmp_path, settings), api, merchant)


@dataclass(frozen=True)
class Case:
    """One payout: what the provider is told before it is sent and afterwards, and what must come of it.

    ``late`` are notices that follow when the provider has been asked about it.
    ``events`` are those after ``created`` and ``processing``; ``orders`` is the number of orders that the provider
    takes under its tracking key, ``sends`` that of our requests which may have had an effect.
    """

    before: Callable[[Adapter, str], Told] = lambda adapter, key: None
    after: Callable[[Adapter, str], None] = lambda adapter, key: None
    late: tuple[OrderStatus, ...] = ()
    ends: str = COMPLETED
    code: str = ""
    events: tuple[str, ...] = (COMPLETED,)
    needs_staff: str = ""
    orders: int = 1
    sends: int = 1


def before(control: str) -> Callable[[Adapter, str], Told]:
    return lambda adapter, key: getattr(adapter, control)(key)


def after(control: str, *said: OrderStatus, **options: Any) -> Callable[[Adapter, str], None]:
    """This becomes of the order; then these notices are sent."""

    def tell(adapter: Adapter, key: str) -> None:
        if control:
            getattr(adapter, control)(key, **options)
        if said:
            adapter.notify(key, *said)

    return tell


def take_under_another_amount(adapter: Adapter, key: str) -> None:
    payout = Payout.objects.select_related("provider_account").get(tracking_key=key)
    payout.operating_date = adapter.today()
    adapter.client.send(replace(order_of(payout), amount=payout.amount + 100))


settles = partial(after, "settle")
settles_silently = settles(notices=0)
comes_back = partial(after, "send_back", cause=14)
CASES = {
    "settled": Case(after=settles()),
    "settled, told three times": Case(after=settles(notices=3)),
    "settled, never told": Case(after=settles_silently),
    "settled before our answer": Case(before=before("overtake")),
    "settled and not shown": Case(before=before("hide"), after=settles()),
    "answer lost": Case(before=before("lose_answer"), after=settles_silently, events=("delayed", COMPLETED)),
    "answer lost, told": Case(before=before("lose_answer"), after=settles(), events=("delayed", COMPLETED)),
    "answer late": Case(before=before("answer_late"), after=settles_silently, events=("delayed", COMPLETED)),
    "request lost": Case(before=before("lose_request"), ends=OPEN, events=("delayed",), orders=0),
    "answer unreadable": Case(before=before("garble"), ends=OPEN, events=("delayed",), orders=0),
    "turned away, then taken": Case(before=before("turn_away"), after=settles()),
    "refused": Case(before=before("refuse"), ends=FAILED, code="destination_invalid", events=(FAILED,), orders=0),
    "called used, and it is ours": Case(
        before=before("call_used"), after=settles_silently, events=("delayed", COMPLETED)
    ),
    "called used, and it is another": Case(
        before=take_under_another_amount, ends=OPEN, events=("delayed",), needs_staff="order_differs"
    ),
    "cancelled": Case(after=after("cancel"), ends=FAILED, code="provider_rejected", events=(FAILED,)),
    "settled, then returned": Case(after=comes_back(), ends="returned", events=(COMPLETED, "returned")),
    "settled, then returned, each told twice": Case(
        after=comes_back(notices=2), ends="returned", events=(COMPLETED, "returned")
    ),
    "returned, told before its settlement": Case(
        after=comes_back(RETURNED, notices=0),
        late=(SETTLED, RETURNED),
        ends=FAILED,
        code="returned_before_settlement",
        events=(FAILED,),
    ),
    "returned, both told at once in the wrong order": Case(
        after=after("send_back_early"), ends="returned", events=(COMPLETED, "returned")
    ),
    "returned, never told": Case(
        after=comes_back(notices=0), ends=FAILED, code="returned_before_settlement", events=(FAILED,)
    ),
    "settled, a return is forged": Case(after=settles(RETURNED, RETURNED)),
    "settled silently, a return and a cancellation are forged": Case(after=settles(RETURNED, CANCELLED, notices=0)),
    "settled silently, a spelling is unknown": Case(after=settles(UNKNOWN, notices=0)),
    "in flight, everything but a settlement is forged": Case(
        after=after("", RETURNED, CANCELLED, UNKNOWN), ends=OPEN, events=()
    ),
}


def test_every_provider_that_pays_out_has_an_adapter_here() -> None:
    assert set(ADAPTERS) == {spec.name for spec in registry.PROVIDERS.values() if spec.pays_out}


def test_every_answer_and_order_of_notices_ends_in_one_payment_or_none(site: Site) -> None:
    adapter, payouts = site.adapter, {}
    for number, name in enumerate(CASES):
        payouts[name] = site.create(100_000 + 100 * number + 50)

    for name, case in CASES.items():
        payout = payouts[name]
        with case.before(adapter, payout.tracking_key) or nullcontext():
            payout_sending.advance(payout.pk)
        site.look(payout)
        if name == "turned away, then taken":
            site.ask(payout)
    for name, case in CASES.items():
        case.after(adapter, payouts[name].tracking_key)
    until(adapter.is_quiet)
    for payout in payouts.values():  # each alone, then all by the day's list
        site.look(payout)
        site.ask(payout)
    for name, case in CASES.items():
        if case.late:
            adapter.notify(payouts[name].tracking_key, *case.late)
    adapter.add_phantom()
    until(adapter.is_quiet)
    for _ in range(2):
        site.ask(*payouts.values())

    found = {name: ending(site, payout) for name, payout in payouts.items()}
    assert found == {name: expected(case) for name, case in CASES.items()}
    taken = adapter.taken()
    assert {name: len(taken.get(payout.tracking_key, [])) for name, payout in payouts.items()} == {
        name: case.orders for name, case in CASES.items()
    }
    went = [payout for name, payout in payouts.items() if CASES[name].ends in (COMPLETED, "returned", OPEN)]
    assert [site.seen[payout.pk] for payout in went if FAILED in site.seen[payout.pk]] == []
    assert set(ProviderCall.objects.values_list("operation", flat=True)) >= {"find_payout", "list_payouts"}
    assert not ProviderCall.objects.filter(outcome="").exists()
    costs = {"completed": lambda p: p.amount + FEE, "returned": lambda p: FEE, OPEN: lambda p: 0, FAILED: lambda p: 0}
    spent = sum(costs[CASES[name].ends](payout) for name, payout in payouts.items())
    held = sum(payout.amount + FEE for name, payout in payouts.items() if CASES[name].ends == OPEN)
    assert balances(site.merchant) == {"available": OPENING - spent - held, "reserved": held, "debt": 0}
    assert site.is_sound()


def test_an_order_that_never_existed_fails_after_the_window_and_not_before(site: Site) -> None:
    lost, shown = site.create(10_050), site.create(20_050)
    for payout, control in ((lost, "lose_request"), (shown, "lose_answer")):
        getattr(site.adapter, control)(payout.tracking_key)
        payout_sending.advance(payout.pk)
    sent_at = clock.now()

    states = []
    for hours in (1, 23, 25, 26, 49, 50):
        with time_machine.travel(sent_at + timedelta(hours=hours), tick=True):
            Payout.objects.filter(status=OPEN).update(next_attempt_at=clock.now())
            payout_inquiry.ask_due()
            states.append((site.look(lost), site.look(shown)))
    site.adapter.settle(shown.tracking_key)
    until(site.adapter.is_quiet)
    for _ in range(2):
        site.ask(shown)

    assert states[:2] == [(OPEN, OPEN)] * 2
    assert states[-1][0] == FAILED
    assert ending(site, lost)[:2] == (FAILED, "not_executed")
    assert [len(site.adapter.taken().get(payout.tracking_key, [])) for payout in (lost, shown)] == [0, 1]
    assert site.is_sound()


def ending(site: Site, payout: Payout) -> tuple[Any, ...]:
    payout.refresh_from_db()
    told = events(payout)
    assert told[:2] == ["created", OPEN]
    sends = ProviderCall.objects.filter(operation="send_payout", object_id=payout.public_id)
    return (
        site.look(payout),
        payout.failure_code,
        tuple(told[2:]),
        payout.needs_staff,
        sends.exclude(outcome="not_sent").count(),
    )


def expected(case: Case) -> tuple[Any, ...]:
    return case.ends, case.code, case.events, case.needs_staff, case.sends
