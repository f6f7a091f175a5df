"""The review queue on staff's screens: what is due, one case, and the two decisions, each with its permission."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from ledger.models import Transaction
from ledger.services import balance
from merchants.models import Merchant
from payments.models import Deposit, Payment, ProviderAccount, ReviewCase
from tests.factories.payment import approve
from tests.problems import rows
from webhooks.inbound.services import inbox

pytestmark = pytest.mark.django_db


@pytest.fixture
def underpaid(api, stp) -> ReviewCase:
    made = api.post("/v1/payments", {"method": "spei", "amount": 100_000, "currency": "MXN"}).json()
    stp.post(stp.deposit(made["spei"]["clabe"], 99_999))
    return ReviewCase.objects.get()


def url(case: ReviewCase, action: str) -> str:
    return f"/admin/payments/reviewcase/{case.public_id}/{action}/"


def user_with(*permissions: str) -> Client:
    user = User.objects.create_user("rosa", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def test_the_queue_and_the_case_show_what_a_person_needs(admin_client, underpaid):
    listed = admin_client.get("/admin/payments/reviewcase/?status__exact=open&due=in_time").content.decode()
    overdue = admin_client.get("/admin/payments/reviewcase/?due=overdue").content.decode()
    page = admin_client.get(reverse("admin:payments_reviewcase_change", args=[underpaid.public_id])).content.decode()

    assert underpaid.public_id in listed
    assert underpaid.public_id not in overdue
    for shown in ("$999.99", "$1,000.00", "JUAN PEREZ", underpaid.deposit.public_id, underpaid.payment.public_id):
        assert shown in page


def test_crediting_asks_shows_and_then_moves_the_money_once(admin_client, underpaid, merchant):
    asked = admin_client.get(url(underpaid, "credit"))
    before = rows()
    without = admin_client.post(url(underpaid, "credit"), {"reason": ""})
    preview = admin_client.post(url(underpaid, "credit"), {"reason": "La clienta mandó su comprobante"})
    assert rows() == before
    answer = {"reason": "La clienta mandó su comprobante", "confirmed": "yes"}
    done = admin_client.post(url(underpaid, "credit"), answer)
    again = admin_client.post(url(underpaid, "credit"), answer)

    assert (asked.status_code, without.status_code, preview.status_code) == (200, 200, 200)
    assert "$988.39" in preview.content.decode()
    assert (done.status_code, again.status_code) == (302, 200)
    assert "ya está resuelto" in again.content.decode() or "resuelto" in again.content.decode()
    underpaid.refresh_from_db()
    assert underpaid.status == "credited"
    payment = Payment.objects.get()
    assert (payment.status, payment.amount_received, payment.net) == ("completed", 99_999, 98_839)
    assert balance.of_merchant(merchant, livemode=False).available == 98_839
    assert Transaction.objects.filter(kind="suspense_assigned").count() == 1
    last = underpaid.transitions.last()
    assert (last.to_status, last.actor, last.reason) == ("credited", "admin", "La clienta mandó su comprobante")


@pytest.mark.parametrize("kind", ["payment", "merchant"])
def test_assigning_goes_to_another_of_the_same_mode(admin_client, api, underpaid, other_merchant, kind):
    other = api.post("/v1/payments", {"method": "spei", "amount": 99_999, "currency": "MXN"}, key="other").json()
    target = other["id"] if kind == "payment" else other_merchant.public_id
    answer = {"target": target, "reason": "Se equivocó de CLABE", "confirmed": "yes"}

    done = admin_client.post(url(underpaid, "assign"), answer)

    assert done.status_code == 302
    deposit = Deposit.objects.get()
    assert deposit.status == "credited"
    if kind == "payment":
        assert deposit.payment.public_id == target
    else:
        assert (deposit.payment.merchant, deposit.payment.made_by) == (other_merchant, "staff")
        assert balance.of_merchant(other_merchant, livemode=False).available == deposit.payment.net


@pytest.mark.parametrize("kind", ["payment", "clabe", "merchant"])
def test_a_suspended_merchant_is_given_no_money_of_others(admin_client, make_api, underpaid, other_merchant, kind):
    theirs = make_api(other_merchant)
    made = {
        "payment": lambda: theirs.post("/v1/payments", {"method": "spei", "amount": 99_999, "currency": "MXN"}).json(),
        "clabe": lambda: theirs.post("/v1/clabes", {}).json(),
        "merchant": lambda: {"id": other_merchant.public_id},
    }[kind]()
    Merchant.objects.filter(pk=other_merchant.pk).update(status="suspended")
    before = rows()

    answer = admin_client.post(url(underpaid, "assign"), {"target": made["id"], "reason": "x", "confirmed": "yes"})

    assert "está suspendido" in answer.content.decode()
    assert rows() == before


def test_live_money_is_assigned_to_an_approved_merchant_only(admin_client, stp, merchant, other_merchant, staff_origin):
    live = ProviderAccount.objects.create(
        provider="stp", livemode=True, name="EMPRESA", clabe_prefix="6461801571", clabe_sequence=2
    )
    inbox.receive(live, stp.deposit("646180157199999991", 5_000), remote_address=None)
    case = ReviewCase.objects.get()
    answer = {"target": other_merchant.public_id, "reason": "x", "confirmed": "yes"}
    before = rows()

    refused = admin_client.post(url(case, "assign"), answer)

    assert "no está aprobada" in refused.content.decode()
    assert rows() == before
    approve(other_merchant, staff_origin)
    assert admin_client.post(url(case, "assign"), answer).status_code == 302
    assert balance.of_merchant(other_merchant, livemode=True).available > 0


@pytest.mark.parametrize("target", ["pay_00000000000000000000000000", "nonsense", "mer_x", " "])
def test_a_target_that_does_not_exist_is_said_on_the_form(admin_client, underpaid, target):
    before = rows()

    answer = admin_client.post(url(underpaid, "assign"), {"target": target, "reason": "x", "confirmed": "yes"})

    assert answer.status_code == 200
    assert rows() == before


@pytest.mark.parametrize(
    ("permissions", "credit", "assign", "match"),
    [
        (["view_reviewcase"], 403, 403, 403),
        (["view_reviewcase", "credit_reviewcase"], 200, 403, 403),
        (["view_reviewcase", "assign_reviewcase"], 403, 200, 403),
        (["view_reviewcase", "match_reviewcase"], 403, 403, 200),
        (["credit_reviewcase"], 403, 403, 403),
    ],
)
def test_each_decision_has_its_permission(underpaid, permissions, credit, assign, match):
    client = user_with(*permissions)

    assert client.get(url(underpaid, "credit")).status_code == credit
    assert client.get(url(underpaid, "assign")).status_code == assign
    assert [client.get(url(underpaid, page)).status_code for page in ("match", "deny")] == [match, match]
