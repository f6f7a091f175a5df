"""Creating payouts over the API: what is held, what is refused, what waits for a second person."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.db import connection

from core import clock
from merchants.models import ApiKey, Event, Merchant
from payments.models import Destination, FeeRule, Payout
from payments.providers.stp.payout import write_order
from payments.services import payout_sending
from payments.services.payout import order_of
from staff.models import Approval
from staff.services import approval as approvals
from tests.factories.payouts import CLABE, balances, wanted
from tests.problems import assert_problem

OTHER_CLABE = "072691004495711499"

pytestmark = pytest.mark.usefixtures("committed_db")


def set_merchant(merchant, **values):
    Merchant.objects.filter(pk=merchant.pk).update(**values)


def voter(name="berta"):
    user = User.objects.create_user(name, is_staff=True)
    names = ["decide_approval", "approve_payout"]
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    User.objects.filter(pk=user.pk).update(date_joined=clock.now() - timedelta(days=30))
    return User.objects.get(pk=user.pk)


def test_a_payout_answers_every_field(api, script, merchant):
    FeeRule.objects.create(merchant=merchant, method="payout", percent=1, fixed=500)

    answer = api.post("/v1/payouts", wanted(external_id="n-17", metadata={"run": "4"}))

    body = answer.json()
    assert answer.status_code == 202
    assert body | {"id": "", "created_at": "", "tracking_key": "", "reference_number": 0} == {
        "id": "",
        "object": "payout",
        "livemode": False,
        "created_at": "",
        "kind": "merchant",
        "status": "pending",
        "waiting_for": None,
        "delayed": False,
        "amount": 50_000,
        "currency": "MXN",
        "fee": 1_000,
        "fee_tax": 160,
        "destination": {
            "clabe_masked": "012180********5996",
            "bank": {"code": "40012", "name": "BBVA Mexico"},
            "name": "Ricardo Pena",
        },
        "concept": "Liquidacion 17",
        "reference_number": 0,
        "external_id": "n-17",
        "batch": None,
        "tracking_key": "",
        "operating_date": None,
        "scheduled_for": None,
        "completed_at": None,
        "cep": None,
        "failure": None,
        "return": None,
        "approvals": [],
        "metadata": {"run": "4"},
    }
    assert api.get(f"/v1/payouts/{body['id']}").json() == body
    assert api.get("/v1/payouts").json()["data"] == [body]
    assert Event.objects.get(type="payout.created").data["object"] == body
    assert balances(merchant) == {"available": 48_840, "reserved": 51_160, "debt": 0}


@pytest.fixture
def issued(merchant, make_api):
    """The API with a key whose issuer is known: others may decide about what it proposes."""
    return make_api(merchant, created_by=voter("carla"))


REFUSED = [
    ({"destination": {"clabe": "012180015025335997", "name": "A"}}, 422, "invalid_request", "destination.clabe"),
    ({"destination": {"clabe": "01218001502533599", "name": "A"}}, 400, "invalid_clabe", "destination.clabe"),
    (
        {"destination": {"clabe": "646180157000000004", "name": "A"}},
        422,
        "destination_not_allowed",
        "destination.clabe",
    ),
    (
        {"destination": {"clabe": "646180157012345676", "name": "A"}},
        422,
        "destination_not_allowed",
        "destination.clabe",
    ),
    ({"destination": {"clabe": "999180015025335996", "name": "A"}}, 422, "bank_not_available", "destination.clabe"),
    ({"destination": {"clabe": "143180015025335991", "name": "A"}}, 422, "bank_not_available", "destination.clabe"),
    ({"destination": {"clabe": CLABE, "name": "Ana|Luz"}}, 400, "invalid_request", "destination.name"),
    ({"destination": {"clabe": CLABE, "name": "Ana\nLuz"}}, 400, "invalid_request", "destination.name"),
    ({"destination": {"clabe": CLABE, "name": " "}}, 400, "invalid_request", "destination.name"),
    ({"destination": {"clabe": CLABE}}, 400, "invalid_request", "destination.name"),
    ({"destination": {"clabe": CLABE, "name": "A", "phone": "55"}}, 400, "unknown_field", "destination.phone"),
    ({"concept": "x" * 121}, 400, "invalid_request", "concept"),
    ({"concept": "x" * 41}, 422, "invalid_request", "concept"),
    ({"concept": "Pago 🎉"}, 422, "invalid_request", "concept"),
    ({"amount": 0}, 400, "invalid_amount", "amount"),
    ({"amount": 1.5}, 400, "invalid_amount", "amount"),
    ({"scheduled_for": "2020-01-01T00:00:00Z"}, 422, "invalid_request", "scheduled_for"),
    ({"reference_number": 10_000_000}, 400, "invalid_request", "reference_number"),
    ({"reference_number": "12"}, 400, "invalid_request", "reference_number"),
    ({"amount": 100_001}, 422, "insufficient_funds", None),
]


def test_what_cannot_be_sent_is_refused_and_holds_nothing(subtests, api, script, merchant):
    for number, (changes, status, code, field) in enumerate(REFUSED):
        with subtests.test(changes=changes):
            answer = api.post("/v1/payouts", wanted(**changes), key=f"k-{number}")

            assert_problem(answer, status, code, *([field] if field else []))
            assert Payout.objects.count() == 0
            assert balances(merchant) == {"available": 100_000, "reserved": 0, "debt": 0}


def test_a_key_without_the_scope_is_refused(script, merchant, make_api):
    reader = make_api(merchant, scopes=[ApiKey.Scope.PAYOUTS_READ])

    assert_problem(reader.post("/v1/payouts", wanted()), 403, "key_scope_insufficient")
    assert reader.get("/v1/payouts").status_code == 200


def test_limits_per_payout_day_and_destination(api, script, merchant):
    set_merchant(merchant, payout_limit=40_000, payout_day_limit=60_000, payout_destination_limit=45_000)
    make = lambda key, amount, clabe=CLABE: api.post(  # noqa: E731
        "/v1/payouts", wanted(amount=amount, destination={"clabe": clabe, "name": "Ana"}), key=key
    )

    first = make("a", 40_000)

    assert first.status_code == 202
    assert_problem(make("b", 40_001), 422, "limit_exceeded")
    assert_problem(make("c", 5_001), 422, "limit_exceeded")
    assert make("d", 20_000, OTHER_CLABE).status_code == 202
    assert_problem(make("e", 1, OTHER_CLABE), 422, "limit_exceeded")
    api.post(f"/v1/payouts/{first.json()['id']}/cancel", {}, key=None)
    assert make("f", 1_000, OTHER_CLABE).status_code == 202


def test_every_accepted_payout_is_an_order_that_can_be_written(api, script):
    odd = [
        {"tax_id": "xaxx010101000"},
        {"tax_id": " mab9307148t4 "},
        {"tax_id": "ñañ930714xy1"},
        {"tax_id": "A&B930714XY1"},
        {"tax_id": "pegj850101hdfrrl04"},
        {"tax_id": None},
        {"name": "Peña & Hijos, S.A. “El Güero” – 2"},
        {"name": "Á" * 120},
        {"name": " x\u00a0 y "},
    ]

    for number, changes in enumerate(odd):
        destination = {"clabe": CLABE, "name": "Ana Ruiz", **changes}
        answer = api.post("/v1/payouts", wanted(amount=100, destination=destination), key=f"odd-{number}")
        assert answer.status_code == 202, (changes, answer.content)

    for payout in Payout.objects.select_related("provider_account"):
        payout.operating_date = clock.mexico_city_date(clock.now())
        write_order("EMPRESA", order_of(payout))


def test_a_refusal_stays_under_its_key(api, script, merchant):
    first = api.post("/v1/payouts", wanted(amount=100_001), key="same")
    set_merchant(merchant, payout_limit=None)

    again = api.post("/v1/payouts", wanted(amount=100_001), key="same")

    assert (again.status_code, again.content) == (422, first.content)
    assert again["Idempotent-Replayed"] == "true"


def test_a_new_destination_waits_out_its_cool_down(api, script, merchant):
    set_merchant(merchant, payout_cool_down_hours=24)
    before = api.get(f"/v1/destinations?clabe={CLABE}").json()["data"][0]["status"]

    payout = Payout.objects.get(public_id=api.post("/v1/payouts", wanted()).json()["id"])
    payout_sending.advance(payout.pk)
    payout.refresh_from_db()
    waiting = (payout.status, payout.waiting_for, Destination.objects.get().usable_at)
    cooling = api.get("/v1/destinations").json()["data"][0]["status"]
    with time_machine.travel(payout.next_attempt_at + timedelta(seconds=1), tick=True):
        payout_sending.advance(payout.pk)
    payout.refresh_from_db()

    assert (before, cooling) == ("new", "cooling")
    assert waiting[:2] == ("pending", "destination")
    assert abs(payout.created_at + timedelta(hours=24) - waiting[2]) < timedelta(seconds=1)
    assert payout.status == "processing"


def test_a_scheduled_payout_is_sent_when_its_time_comes(api, script, merchant):
    when = clock.now() + timedelta(hours=3)

    made = api.post("/v1/payouts", wanted(scheduled_for=clock.to_rfc3339(when))).json()
    payout = Payout.objects.get()
    payout_sending.advance(payout.pk)
    early = len(script.received)
    with time_machine.travel(when + timedelta(seconds=1), tick=True):
        payout_sending.advance(payout.pk)

    assert (made["waiting_for"], early, len(script.received)) == ("schedule", 0, 1)


def test_a_payout_above_the_merchants_threshold_needs_a_second_person(issued, script, merchant):
    api = issued
    set_merchant(merchant, payout_approval_above=10_000)
    made = api.post("/v1/payouts", wanted()).json()
    payout = Payout.objects.get()
    payout_sending.advance(payout.pk)
    before = len(script.received)

    approvals.vote(Approval.objects.get().pk, voter(), "approve", "")
    payout_sending.advance(payout.pk)
    payout.refresh_from_db()

    assert (made["status"], made["waiting_for"], made["approvals"]) == (
        "pending_approval",
        "approval",
        [{"state": "pending", "decided_at": None}],
    )
    assert (before, len(script.received), payout.status) == (0, 1, "processing")
    assert api.get(f"/v1/payouts/{made['id']}").json()["approvals"][0]["state"] == "approved"
    assert [e.type for e in Event.objects.filter(object_id=made["id"]).order_by("sequence")] == [
        "payout.created",
        "payout.approved",
        "payout.processing",
    ]


@pytest.mark.parametrize("how", ["reject", "expire", "cancel"])
def test_what_is_not_approved_releases_its_hold(issued, script, merchant, how):
    api = issued
    set_merchant(merchant, payout_approval_new_destination=True)
    made = api.post("/v1/payouts", wanted()).json()
    asked = Approval.objects.get()

    if how == "reject":
        approvals.vote(asked.pk, voter(), "reject", "No lo conozco.")
    elif how == "expire":
        with time_machine.travel(asked.expires_at + timedelta(seconds=1), tick=True):
            assert approvals.close_expired() == 1
    else:
        api.post(f"/v1/payouts/{made['id']}/cancel", {}, key=None)

    body = api.get(f"/v1/payouts/{made['id']}").json()
    expected = {"reject": ("rejected", "approval_rejected"), "expire": ("rejected", "approval_expired")}
    assert (body["status"], body["failure"] and body["failure"]["code"]) == expected.get(how, ("cancelled", None))
    assert balances(merchant) == {"available": 100_000, "reserved": 0, "debt": 0}
    asked.refresh_from_db()
    assert asked.status == {"reject": "rejected", "expire": "expired", "cancel": "cancelled"}[how]


def test_the_keys_issuer_cannot_approve(script, merchant, make_api):
    issuer = voter("ana")
    api = make_api(merchant, created_by=issuer)
    set_merchant(merchant, payout_approval_above=0)
    api.post("/v1/payouts", wanted())

    with pytest.raises(approvals.ApprovalRefused):
        approvals.vote(Approval.objects.get().pk, issuer, "approve", "")

    assert Payout.objects.get().status == "pending_approval"


def test_equal_requests_at_once_make_one_payout_and_one_hold(api, script, merchant):
    def send(number):
        try:
            return api.post("/v1/payouts", wanted(amount=1_000), key=f"k-{number % 10}")
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(80)))

    assert {answer.status_code for answer in answers} <= {202, 409}
    assert Payout.objects.count() == 10
    assert balances(merchant) == {"available": 90_000, "reserved": 10_000, "debt": 0}


def test_concurrent_payouts_never_exceed_the_daily_limit(api, script, merchant):
    set_merchant(merchant, payout_day_limit=5_000)

    def send(number):
        try:
            return api.post("/v1/payouts", wanted(amount=1_000), key=f"k-{number}").status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(16)))

    assert sorted(answers) == [202] * 5 + [422] * 11
    assert balances(merchant)["reserved"] == 5_000


def test_the_list_narrows_and_pages(api, script, merchant):
    ids = [api.post("/v1/payouts", wanted(amount=1_000 + n), key=f"k-{n}").json()["id"] for n in range(3)]
    key = Payout.objects.get(public_id=ids[0]).tracking_key
    listed = lambda query: [p["id"] for p in api.get(f"/v1/payouts?{query}").json()["data"]]  # noqa: E731

    page = api.get("/v1/payouts?limit=2").json()

    assert [p["id"] for p in page["data"]] == ids[:0:-1]
    assert listed(f"limit=2&cursor={page['next_cursor']}") == ids[:1]
    assert listed(f"tracking_key={key}") == ids[:1]
    assert listed("amount[gte]=1002") == ids[2:]
    assert listed("q=ricardo%20pena") == ids[::-1]
    assert listed("status=completed") == []
    assert listed("kind=refund") == []
    assert_problem(api.get("/v1/payouts?kind=penny_test"), 400, "invalid_request", "kind")


def test_a_merchant_reads_what_is_left_of_its_limits(api, script, merchant, make_api):
    set_merchant(
        merchant,
        payout_limit=60_000,
        payout_day_limit=75_000,
        payout_destination_limit=70_000,
        payout_cool_down_hours=24,
    )
    sent = api.post("/v1/payouts", wanted()).json()
    limits = {
        "per_payout": 60_000,
        "per_day": 75_000,
        "remaining_today": 25_000,
        "per_destination_and_day": 70_000,
        "cool_down_hours": 24,
    }

    assert api.get("/v1/merchant").json()["payout_limits"] == limits
    live = make_api(merchant, livemode=True, scopes=[])
    assert live.get("/v1/merchant").json()["payout_limits"] == {**limits, "remaining_today": 75_000}
    api.post(f"/v1/payouts/{sent['id']}/cancel", {}, key=None)
    assert api.get("/v1/merchant").json()["payout_limits"] == {**limits, "remaining_today": 75_000}
    set_merchant(merchant, payout_day_limit=None)
    assert api.get("/v1/merchant").json()["payout_limits"]["remaining_today"] is None
