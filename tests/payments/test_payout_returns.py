"""Returned transfers: money that comes back is matched to its payout and booked once, also if reported twice."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction
from django.db.utils import IntegrityError

from core import clock
from core.errors import IllegalTransition, InvalidRequest
from core.state import Origin, TransitionRow
from ledger.models import Transaction
from ledger.services import balance
from merchants.models import Merchant
from payments.models import Deposit, FeeRule, Payout, ReviewCase
from payments.providers.payout import OrderStatus
from payments.services import payout_inquiry, payout_return, review_case
from tests.concurrency.threads import at_once
from tests.factories.payouts import (
    balances,
    create,
    events,
    later,
    list_returns,
    notify,
    order_state,
    send_back,
    sent,
)

pytestmark = pytest.mark.usefixtures("committed_db")

STAFF = Origin(TransitionRow.Cause.STAFF, "ana")
ALL_BACK = {"available": 100_000, "reserved": 0, "debt": 0}


def platform():
    found = balance.of_platform(livemode=False)
    return {name: found.get(name, 0) for name in ("stp_cash", "suspense")}


def kinds(public_id):
    return list(Transaction.objects.filter(source=public_id).order_by("pk").values_list("kind", flat=True))


def states(payout):
    payout.refresh_from_db()
    deposit, case = Deposit.objects.order_by("pk").last(), ReviewCase.objects.order_by("pk").last()
    return payout.status, deposit.status, case.status


def completed(api, script, stp):
    payout = sent(api)
    script.set(payout, OrderStatus.SETTLED)
    notify(stp, order_state(payout, "LIQUIDACION"))
    return payout


def processing(api, script, stp):
    return sent(api)


def unknown(api, script, stp):
    script.answers = ["lost"]
    return sent(api)


def failed(api, script, stp):
    payout = sent(api)
    script.set(payout, OrderStatus.CANCELLED)
    notify(stp, order_state(payout, "CANCELACION"))
    later(payout)
    return payout


def failed_by_return(api, script, stp):
    payout = sent(api)
    script.set(payout, OrderStatus.RETURNED)
    notify(stp, order_state(payout, "DEVOLUCION"))
    later(payout)
    return payout


def returned_by_notice(api, script, stp):
    payout = completed(api, script, stp)
    script.set(payout, OrderStatus.RETURNED, cause=1)
    notify(stp, order_state(payout, "DEVOLUCION", causaDevolucion="1"))
    later(payout)
    return payout


def settled_late(api, script, stp):
    payout = failed(api, script, stp)
    script.set(payout, OrderStatus.SETTLED)
    notify(stp, order_state(payout, "LIQUIDACION"))
    later(payout)
    return payout


def cancelled_in_a_restored_copy(api, script, stp):
    payout = create(api)
    api.post(f"/v1/payouts/{payout.public_id}/cancel", {}, key=None)
    return payout


@transaction.atomic
def execute(statements):
    with connection.cursor() as cursor:
        for sql, params in statements:
            cursor.execute(sql, params)


@pytest.mark.parametrize(
    ("begin", "ends", "posting"),
    [
        (completed, "returned", "payout_returned"),
        (settled_late, "returned", "payout_returned"),
        (processing, "failed", "return_cleared"),
        (unknown, "failed", "return_cleared"),
        (failed, "failed", "return_cleared"),
        (failed_by_return, "failed", "return_cleared"),
        (returned_by_notice, "returned", "return_cleared"),
        (cancelled_in_a_restored_copy, "cancelled", "return_cleared"),
    ],
)
def test_case_3_a_returned_transfer_is_booked_by_the_payouts_state(api, script, stp, merchant, begin, ends, posting):
    """money-out.md 3: the table. Told again by notices, inquiries and lists, in any order, nothing more is booked."""
    cash = platform()["stp_cash"]
    payout = begin(api, script, stp)

    send_back(stp, payout)
    suspended = (states(payout)[1:], platform()["suspense"])
    matched = list_returns(stp.account)
    told_again = send_back(stp, payout)
    list_returns(stp.account)
    after = states(payout)
    if payout.tracking_key in script.orders:
        script.set(payout, OrderStatus.SETTLED)
    for said in ("LIQUIDACION", "DEVOLUCION"):
        notify(stp, order_state(payout, said, order_id="1000"))
        payout_inquiry.ask_due()

    assert (suspended, matched) == ((("suspended", "to_match"), 50_000), 1)
    assert told_again.json() == {"mensaje": "confirmar"}
    assert after == states(payout) == (ends, "matched", "matched")
    assert balances(merchant) == ALL_BACK
    assert platform() == {"stp_cash": cash, "suspense": 0}
    deposit = Deposit.objects.get()
    assert posting in kinds(deposit.public_id) + kinds(payout.public_id)
    assert (kinds(deposit.public_id) + kinds(payout.public_id)).count("payout_returned") <= 1
    assert payout.returned_at is not None
    assert ReviewCase.objects.get().payout == payout


@pytest.mark.parametrize(("setting", "back"), [("keep", 100_000 - 580), ("give_back", 100_000)])
def test_case_8_the_fee_of_a_returned_payout_follows_the_merchants_setting(api, script, stp, merchant, setting, back):
    """money-out.md 8, told by an incoming transfer."""
    FeeRule.objects.create(merchant=merchant, method="payout", percent=0, fixed=500)
    Merchant.objects.filter(pk=merchant.pk).update(payout_fee_on_return=setting)
    payout = completed(api, script, stp)

    send_back(stp, payout)
    list_returns(stp.account)

    assert states(payout) == ("returned", "matched", "matched")
    assert balances(merchant)["available"] == back
    assert events(payout) == ["created", "processing", "completed", "returned"]
    body = api.get(f"/v1/payouts/{payout.public_id}").json()
    assert (body["status"], body["return"]["cause"]) == ("returned", None)


def test_case_3_a_return_is_matched_by_the_key_that_the_provider_names_for_it(api, script, stp, merchant):
    """money-out.md 3: the transfer has a key of its own, which only STP's order of the payout names."""
    payout = completed(api, script, stp)
    send_back(stp, payout, key="OWNKEY", claveRastreoDevolucion=None)
    waits = list_returns(stp.account), states(payout)
    script.orders[payout.tracking_key].return_tracking_key = "OWNKEY"
    script.set(payout, OrderStatus.RETURNED, cause=3)

    notify(stp, order_state(payout, "DEVOLUCION", causaDevolucion="3"))
    later(payout)

    assert waits == (0, ("completed", "suspended", "to_match"))
    assert states(payout) == ("returned", "matched", "matched")
    assert (payout.return_cause, payout.return_tracking_key) == (3, "OWNKEY")
    assert balances(merchant) == ALL_BACK
    assert platform()["suspense"] == 0


def test_case_3_what_is_not_certain_waits_for_people(api, script, stp, merchant):
    """money-out.md 3: not listed; another amount; an unknown key; a second return; of a payout never sent."""
    payout = completed(api, script, stp)
    unsent = create(api, "k-2", amount=1_000)
    send_back(stp, payout, key="ONCE")
    unlisted = states(payout)
    list_returns(stp.account)
    send_back(stp, payout, key="TWICE")
    send_back(stp, payout, key="LESS", amount=49_999)
    send_back(stp, payout, key="STRANGE", claveRastreoDevolucion="UNKNOWNKEY1")
    send_back(stp, unsent, key="UNSENT")

    assert list_returns(stp.account) == 0

    unsent.refresh_from_db()
    assert unlisted == ("completed", "suspended", "to_match")
    kept = Deposit.objects.filter(status="suspended").values_list("tracking_key", flat=True)
    assert sorted(kept) == ["LESS", "STRANGE", "TWICE", "UNSENT"]
    assert (unsent.status, unsent.needs_staff) == ("pending", "reported_unsent")
    assert balances(merchant) == {"available": 99_000, "reserved": 1_000, "debt": 0}
    assert not ReviewCase.objects.filter(status="to_match", listed_at=None).exists()


def test_case_3_people_match_a_return_or_say_that_it_is_none(api, script, stp, merchant):
    """money-out.md 3: proposed by bank and amount; before that decision it can be neither credited nor assigned."""
    payout, other = completed(api, script, stp), sent(api, key="k-2", amount=20_000)
    for key, amount in (("FIRST", 50_000), ("SECOND", 20_000)):
        send_back(stp, payout, key=key, amount=amount, claveRastreoDevolucion="UNREADABLE")
    first, second = ReviewCase.objects.order_by("pk")
    proposed = [[row.pk for row in payout_return.proposals(case)] for case in (first, second)]
    list_returns(stp.account)

    refusals = []
    for call, error in (
        (lambda: review_case.assign(first.pk, merchant.public_id, origin=STAFF, reason="x"), IllegalTransition),
        (lambda: review_case.credit(first.pk, origin=STAFF, reason="x"), IllegalTransition),
        (lambda: payout_return.match(first.pk, payout.public_id, origin=STAFF, reason=" "), InvalidRequest),
        (lambda: payout_return.match(first.pk, other.public_id, origin=STAFF, reason="x"), InvalidRequest),
        (lambda: payout_return.match(second.pk, other.public_id, origin=STAFF, reason="x"), InvalidRequest),
        (lambda: payout_return.match(second.pk, "po_nothing", origin=STAFF, reason="x"), InvalidRequest),
    ):
        with pytest.raises(error) as refused, transaction.atomic():
            call()
        refusals.append(refused.value.message.partition(":")[0].partition(".")[0])
    payout_return.match(first.pk, payout.public_id, origin=STAFF, reason="the bank's letter")
    payout_return.deny(second.pk, origin=STAFF, reason="a payer's transfer")
    with transaction.atomic():
        review_case.assign(second.pk, merchant.public_id, origin=STAFF, reason="it is for them")

    assert proposed == [[payout.pk], [other.pk]]
    assert refusals == [
        "This may be the return of a payout",
        "This may be the return of a payout",
        "Enter a reason",
        "The payout has another amount",
        "The outcome of this payout is not known yet",
        "There is no payout with this id in this mode",
    ]
    payout.refresh_from_db()
    first.refresh_from_db()
    second.refresh_from_db()
    assert (payout.status, first.status, second.status) == ("returned", "matched", "assigned")
    steps = second.transitions.values_list("from_status", "to_status", "actor", "reason")
    assert list(steps)[1:] == [
        ("to_match", "open", "ana", "a payer's transfer"),
        ("open", "assigned", "ana", "it is for them"),
    ]
    with pytest.raises(IllegalTransition):
        payout_return.match(first.pk, payout.public_id, origin=STAFF, reason="again")


def test_nothing_is_decided_about_a_return_that_no_list_has_shown(api, script, stp, merchant, client):
    """money-out.md 2: its notice has no signature, so a forged one must not become money of a merchant."""
    payout = completed(api, script, stp)
    send_back(stp, payout, claveRastreoDevolucion="UNREADABLE")
    case = ReviewCase.objects.get()
    url = lambda action: f"/admin/payments/reviewcase/{case.public_id}/{action}/"  # noqa: E731
    client.force_login(User.objects.create_superuser("ana"))

    for call in (
        lambda: payout_return.preview(case, payout.public_id),
        lambda: payout_return.match(case.pk, payout.public_id, origin=STAFF, reason="x"),
        lambda: payout_return.deny(case.pk, origin=STAFF, reason="x"),
    ):
        with pytest.raises(IllegalTransition, match="does not show this transfer yet"):
            call()
    for sql in ("status = 'open'", f"status = 'matched', resolved_at = now(), payout_id = {payout.pk}"):
        with pytest.raises(IntegrityError, match="review_case_return_is_listed"):
            execute([(f"UPDATE payments_reviewcase SET {sql}", [])])  # noqa: S608
    page = client.get(url("change")).content.decode()
    asked = client.post(url("deny"), {"reason": "x", "confirmed": "yes"})
    before = states(payout)
    list_returns(stp.account)
    confirmed = client.get(url("change")).content.decode()
    payout_return.match(case.pk, payout.public_id, origin=STAFF, reason="the bank's letter")

    assert before == ("completed", "suspended", "to_match")
    assert "todavía no: se podrá decidir" in page
    assert ("deny/" in page, "match/" in page) == (False, False)
    assert "todavía no muestra esta transferencia" in asked.content.decode()
    assert ("deny/" in confirmed, "match/" in confirmed) == (True, True)
    assert states(payout) == ("returned", "matched", "matched")


def test_a_return_whose_match_fails_is_matched_the_next_time_and_holds_up_no_other(api, script, stp, monkeypatch):
    """The list, and an answer that names the return's key, are each read again."""
    first, second, named = (sent(api, key=f"k-{n}", amount=10_000 + n) for n in range(3))
    faults = []

    def lock_or_fail(payout_id, genuine=payout_return.lock):
        if payout_id in (first.pk, named.pk) and faults:
            raise faults.pop()
        return genuine(payout_id)

    monkeypatch.setattr(payout_return, "lock", lock_or_fail)
    for payout in (first, second, named):
        script.set(payout, OrderStatus.SETTLED)
        notify(stp, order_state(payout, "LIQUIDACION"))
        known = {"claveRastreoDevolucion": None} if payout is named else {}
        send_back(stp, payout, key=f"DEV{payout.pk}", **known)
    statuses = lambda: list(ReviewCase.objects.order_by("pk").values_list("status", flat=True))  # noqa: E731

    faults.append(OperationalError("canceling statement due to lock timeout"))
    with pytest.raises(OperationalError):
        list_returns(stp.account)
    after_lock = statuses()
    faults.append(RuntimeError("a bug"))
    after_bug = list_returns(stp.account), statuses()
    again = list_returns(stp.account), statuses()
    faults.append(OperationalError("canceling statement due to lock timeout"))
    script.set(named, OrderStatus.RETURNED, cause=3)
    script.orders[named.tracking_key].return_tracking_key = f"DEV{named.pk}"
    notify(stp, order_state(named, "DEVOLUCION", causaDevolucion="3"))
    later(named)
    unmatched = named.status, statuses()[2]
    later(named)

    assert after_lock == ["to_match", "matched", "to_match"]
    assert after_bug == (0, ["to_match", "matched", "to_match"])
    assert again == (1, ["matched", "matched", "to_match"])
    assert unmatched == ("returned", "to_match")
    assert (faults, statuses()) == ([], ["matched"] * 3)


def test_a_return_reported_both_ways_at_once_is_booked_once(api, script, stp, merchant):
    """money-out.md 12: state notice, inquiry, list and a person, concurrently; each lock in its order."""
    cash = platform()["stp_cash"]
    for number in range(3):
        payout = sent(api, key=f"k-{number}")
        script.set(payout, OrderStatus.SETTLED)
        notify(stp, order_state(payout, "LIQUIDACION"))
        script.set(payout, OrderStatus.RETURNED, cause=1)
        script.orders[payout.tracking_key].return_tracking_key = f"DEV{number}"
        notify(stp, order_state(payout, "DEVOLUCION", causaDevolucion="1"))
        send_back(stp, payout, key=f"DEV{number}")
        case = ReviewCase.objects.get(status="to_match")

        def by_hand(case=case, payout=payout):
            try:
                payout_return.match(case.pk, payout.public_id, origin=STAFF, reason="seen")
            except (IllegalTransition, InvalidRequest):
                return

        at_once([payout_inquiry.ask_due, lambda: list_returns(stp.account), by_hand])

        assert states(payout) == ("returned", "matched", "matched")
        assert balances(merchant) == ALL_BACK
        assert platform() == {"stp_cash": cash, "suspense": 0}


def test_the_database_refuses_a_match_that_is_not_booked(api, script, stp):
    payout = completed(api, script, stp)
    send_back(stp, payout)
    case = ReviewCase.objects.get()
    ReviewCase.objects.update(listed_at=clock.now())
    recorded = (
        "INSERT INTO payments_reviewcasetransition (review_case_id, from_status, to_status, cause, actor, reference, "
        f"reason, created_at) VALUES ({case.pk}, 'to_match', %s, 'staff', 'ana', '', '', now())"
    )
    resolve = "UPDATE payments_reviewcase SET status = %s, resolved_at = now()"
    matched = "UPDATE payments_deposit SET status = 'matched'"

    for statements in (
        [(resolve, ["assigned"]), (recorded, ["assigned"])],
        [(f"{resolve}, payout_id = {payout.pk}", ["matched"]), (recorded, ["matched"])],
        [(matched, [])],
        [(f"{resolve}, payout_id = {payout.pk}", ["matched"]), (recorded, ["matched"]), (matched, [])],
        [(resolve, ["matched"])],
        [(f"UPDATE payments_reviewcase SET payout_id = {payout.pk}", [])],
    ):
        with pytest.raises(IntegrityError):
            execute(statements)

    assert states(payout) == ("completed", "suspended", "to_match")
    assert Payout.objects.get().returned_at is None


def test_a_returned_transfer_is_matched_or_denied_on_its_page(api, script, stp, client):
    client.force_login(User.objects.create_superuser("ana"))
    url = lambda case, action: f"/admin/payments/reviewcase/{case.public_id}/{action}/"  # noqa: E731
    first, second = (sent(api, key=f"k-{n}", amount=amount) for n, amount in enumerate((50_000, 20_000)))
    for payout in (first, second):
        notify(stp, order_state(payout, "LIQUIDACION"))
        send_back(stp, payout, key=f"DEV{payout.pk}", claveRastreoDevolucion="UNREADABLE")
    one, other = ReviewCase.objects.order_by("pk")
    list_returns(stp.account)
    page = client.get(url(one, "change")).content.decode()
    refused = client.post(url(one, "assign"), {"target": first.merchant.public_id, "reason": "x"})
    wrong = client.post(url(one, "match"), {"target": second.public_id, "reason": "x", "confirmed": "yes"})
    shown = client.post(url(one, "match"), {"target": first.public_id, "reason": "x"}).content.decode()
    matched = client.post(url(one, "match"), {"target": first.public_id, "reason": "x", "confirmed": "yes"})
    asked = client.post(url(other, "deny"), {"reason": "x"}).content.decode()
    denied = client.post(url(other, "deny"), {"reason": "x", "confirmed": "yes"})

    assert first.public_id in page
    assert second.public_id not in page
    assert "assign/" not in page
    assert refused.status_code == 200
    assert "otro importe" in wrong.content.decode()
    assert "$500.00" in shown
    assert "el dinero se mueve de inmediato" in shown
    assert "el dinero se mueve de inmediato" not in asked
    assert (matched.status_code, denied.status_code) == (302, 302)
    assert list(ReviewCase.objects.order_by("pk").values_list("status", flat=True)) == ["matched", "open"]
    payout_page = client.get(f"/admin/payments/payout/{first.public_id}/change/").content.decode()
    assert one.public_id in payout_page
