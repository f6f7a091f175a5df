"""Payouts in the back office: the list, the desk, one payout's page, proposing and deciding."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags
from procrastinate.contrib.django.models import ProcrastinateJob

from core.admin import format_moment
from ledger.models import Hold, Transaction
from merchants.models import ApiKey, Merchant
from payments.models import Payout, PayoutResolution, ProviderAccount, ProviderCall
from staff.models import Approval
from tests.backoffice.conftest import Desk, PayoutDesk, with_payouts
from tests.conftest import Api
from tests.factories.payouts import CLABE, balances
from tests.provider_messages import StpSender
from webhooks.models import ProviderEvent

pytestmark = pytest.mark.django_db

LIST = "/admin/payments/payout/"
ADD = "/admin/payments/payout/add/"


@pytest.fixture
def desk(desk: Desk, api: Api, stp: StpSender) -> PayoutDesk:
    return with_payouts(desk, api, stp)


def url(payout: Payout, page: str = "change") -> str:
    return f"{LIST}{payout.public_id}/{page}/"


def staff(name: str, *codenames: str) -> tuple[User, Client]:
    user = User.objects.create_user(name, password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return user, client


def listed(client: Client, **query: str) -> list[Payout]:
    page = client.get(LIST, query)
    assert page.status_code == 200
    return list(page.context["cl"].result_list)


def errors(page: Any) -> dict[str, list[str]]:
    return {name: list(texts) for name, texts in page.context["form"].errors.items()}


def wanted(desk: PayoutDesk, **changes: str) -> dict[str, Any]:
    return {
        "merchant": str(desk.merchant.pk),
        "livemode": "test",
        "amount": "1,250.50",
        "clabe": "0121 8001 5025 3359 96",
        "name": "José Peña",
        "concept": "Devolución",
        **changes,
    }


def test_the_list_narrows_to_what_a_person_must_look_at(desk: PayoutDesk, viewer: Client) -> None:
    waiting = Payout.objects.filter(pk=desk.proposed.pk)

    assert listed(viewer) == [desk.proposed, desk.payout]
    assert listed(viewer, attention="person") == listed(viewer, attention="unknown") == [desk.payout]
    assert listed(viewer, attention="delayed") == [desk.payout]
    assert listed(viewer, status__exact="pending_approval") == [desk.proposed]
    assert listed(viewer, livemode__exact="1") == listed(viewer, attention="liquidity") == []
    assert listed(viewer, q="RICARDO PEÑA") == [desk.proposed, desk.payout]
    assert listed(viewer, q="nomina-2") == [desk.proposed]

    waiting.update(needs_staff="configuration")
    Payout.objects.filter(pk=desk.payout.pk).update(delayed=False, waiting_for="liquidity")

    assert listed(viewer, attention="person") == [desk.proposed]
    assert listed(viewer, attention="liquidity") == [desk.payout]
    assert "el proveedor rechaza nuestra firma" in viewer.get(LIST).content.decode()


def test_a_payout_shows_who_asked_what_was_sent_and_what_was_booked(desk: PayoutDesk, viewer: Client) -> None:
    key = ApiKey.objects.get()

    page = viewer.get(url(desk.payout))

    text = strip_tags(page.content.decode())
    titles = [str(table["title"]) for table in page.context["trail"]]
    assert titles[:2] == ["Lista de verificación", "Origen"]
    assert {"Llamadas a proveedores", "Eventos de proveedores", "Retención", "Transacciones contables"} <= set(titles)
    assert "POST /v1/payouts" in text and str(key) in text
    assert Hold.objects.get(source=desk.payout.public_id).public_id in page.content.decode()
    assert Transaction.objects.get(source=desk.payout.public_id).public_id in page.content.decode()
    assert "502 Bad Gateway" in text and "desconocido" in text
    assert [row.to_status for row in desk.payout.transitions.all()] == ["pending", "processing"]
    assert text.count("en proceso") >= 2
    assert ProviderEvent.objects.filter(object_id=desk.payout.public_id).count() == 0
    assert ProviderCall.objects.get(object_id=desk.payout.public_id).answer.startswith("<html>")
    assert "<html>502" not in page.content.decode()


def test_without_permissions_the_tables_below_a_payout_are_hidden(desk: PayoutDesk) -> None:
    _user, client = staff("caja", "view_payout")

    page = client.get(url(desk.payout))

    assert [str(table["title"]) for table in page.context["trail"]] == ["Lista de verificación", "Origen"]


def test_the_inbox_leads_to_the_payout_where_a_second_person_approves(desk: PayoutDesk) -> None:
    _maker, first = staff("ana", "view_payout", "add_payout", "add_approval")
    _voter, client = staff("berta", "view_approval", "decide_approval", "approve_payout")
    assert first.post(ADD, wanted(desk)).status_code == 302
    made = Payout.objects.latest("pk")
    inbox = client.get("/admin/staff/approval/?status__exact=pending").content.decode()
    assert url(made) in inbox and url(desk.proposed) in inbox

    shown = client.get(url(made)).content.decode()
    answer = client.post(url(made, "approve"), {"comment": "Factura 17"})

    assert url(made, "approve") in shown and url(made, "reject") in shown
    assert answer.status_code == 302
    made.refresh_from_db()
    last = made.transitions.last()
    assert last is not None
    assert (made.status, last.actor, last.cause) == ("pending", "berta", "staff")
    assert "Factura 17" in client.get(url(made)).content.decode()


def test_only_who_may_cancel_withdraws_a_payout_that_was_not_sent(desk: PayoutDesk, viewer: Client) -> None:
    before = balances(desk.merchant)
    _user, client = staff("caja", "view_payout", "cancel_payout")

    refused = viewer.post(url(desk.proposed, "cancel"))
    sent = client.post(url(desk.payout, "cancel"))
    answer = client.post(url(desk.proposed, "cancel"))

    assert (refused.status_code, sent.status_code, answer.status_code) == (403, 200, 302)
    assert errors(sent) == {"__all__": ["Solo se puede cancelar una dispersión que aún no se envía."]}
    desk.proposed.refresh_from_db()
    desk.payout.refresh_from_db()
    assert (desk.proposed.status, desk.payout.status) == ("cancelled", "processing")
    assert Approval.objects.get().status == "cancelled"
    assert desk.proposed.transitions.last().actor == "caja"
    assert balances(desk.merchant) == {
        **before,
        "available": before["available"] + 70_000,
        "reserved": before["reserved"] - 70_000,
    }


def test_the_worker_is_told_to_ask_the_provider_at_once(desk: PayoutDesk, viewer: Client) -> None:
    _user, client = staff("dora", "view_payout", "resolve_payout")
    planned = desk.payout.next_attempt_at

    refused = viewer.post(url(desk.payout, "ask"))
    unsent = client.post(url(desk.proposed, "ask"))
    asked = client.post(url(desk.payout, "ask"))
    again = client.post(url(desk.payout, "ask"))

    assert [each.status_code for each in (refused, unsent, asked, again)] == [403, 200, 302, 200]
    assert [list(errors(each)) for each in (unsent, again)] == [["__all__"], ["__all__"]]
    desk.payout.refresh_from_db()
    assert planned is not None and desk.payout.next_attempt_at is not None and desk.payout.next_attempt_at < planned
    jobs = ProcrastinateJob.objects.filter(queueing_lock=f"ask:{desk.payout.public_id}")
    assert [(job.task_name, job.args) for job in jobs] == [("payments.advance_payout", {"payout_id": desk.payout.pk})]


def test_a_person_proposes_a_payout_that_a_second_person_must_approve(desk: PayoutDesk) -> None:
    Merchant.objects.update(payout_approval_above=None)
    maker, client = staff("ana", "view_payout", "add_payout", "add_approval", "decide_approval", "approve_payout")
    before = balances(desk.merchant)

    answer = client.post(ADD, wanted(desk, external_id="a mano"))

    made = Payout.objects.latest("pk")
    assert answer.status_code == 302 and answer["Location"] == url(made)
    asked = Approval.objects.get(subject=made.public_id)
    assert (made.status, made.amount, made.destination_clabe) == ("pending_approval", 125_050, CLABE)
    assert (made.destination_name, made.concept, made.external_id) == ("Jose Pena", "Devolucion", "a mano")
    assert (asked.maker, asked.status) == (maker, "pending")
    assert balances(desk.merchant)["reserved"] == before["reserved"] + made.total
    shown = client.get(url(made)).content.decode()
    assert url(made, "approve") not in shown and url(made, "withdraw") in shown
    assert "Propuesta por una persona" in shown

    assert client.post(url(made, "withdraw")).status_code == 302

    made.refresh_from_db()
    assert (made.status, made.transitions.last().actor) == ("cancelled", "ana")
    assert balances(desk.merchant) == before


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("amount", "0", "mayor que cero"),
        ("amount", "10,000.00", "El saldo disponible no alcanza"),
        ("amount", "600.00", "es de $550.00 como máximo"),
        ("amount", "12.345", "dos decimales"),
        ("clabe", "012180015025335997", "dígito"),
        ("clabe", "646180157000000004", "Esta CLABE es nuestra"),
        ("clabe", "999180015025335996", "SPEI"),
        ("name", "Ana|Eva", "|"),
        ("name", "", "requerido"),
        ("concept", "c" * 41, "40 caracteres"),
        ("concept", "Nómina 🎉", "Solo se permiten letras"),
        ("tax_id", "ABC", "RFC"),
        ("reference_number", "10000000", "9999999"),
        ("scheduled_for", "2020-01-01T10:00", "futuro"),
        ("external_id", "nomina-1", "external_id"),
    ],
)
def test_bad_input_of_a_proposal_is_said_at_its_field(
    field: str, value: str, text: str, desk: PayoutDesk, admin_client: Client
) -> None:
    Merchant.objects.update(payout_limit=55_000 if value == "600.00" else None)
    fields = {"amount": "500.00", field: value}

    page = admin_client.post(ADD, wanted(desk, **fields))

    assert page.status_code == 200
    found = errors(page)
    assert list(found) == [field] and text in found[field][0], found
    assert Payout.objects.count() == 2
    assert Hold.objects.count() == 2


def test_payouts_that_are_not_set_up_are_refused_with_a_reason(desk: PayoutDesk, admin_client: Client) -> None:
    live = admin_client.post(ADD, wanted(desk, livemode="live"))
    ProviderAccount.objects.update(ordering_clabe="")
    test = admin_client.post(ADD, wanted(desk))

    assert [list(errors(page)) for page in (live, test)] == [["__all__"], ["__all__"]]
    assert Payout.objects.count() == 2


def test_proposing_needs_both_permissions(desk: PayoutDesk) -> None:
    for name in ("add_payout", "add_approval"):
        _user, client = staff(name, "view_payout", name)

        assert client.post(ADD, wanted(desk)).status_code == 403
    assert Payout.objects.count() == 2


def test_a_merchants_limits_are_written_in_pesos_and_recorded(desk: PayoutDesk, admin_client: Client) -> None:
    page_url = reverse("admin:merchants_merchant_change", args=[desk.merchant.public_id])
    page = admin_client.get(page_url).context
    form = page["adminform"].form
    data = {bound.html_name: "" if bound.value() in (None, False) else bound.value() for bound in form}
    data["payout_cool_down_hours"] = "24"
    counts = ("TOTAL_FORMS", "INITIAL_FORMS", "MIN_NUM_FORMS", "MAX_NUM_FORMS")
    inlines = {f"{inline.formset.prefix}-{name}": "0" for inline in page["inline_admin_formsets"] for name in counts}
    assert data["payout_approval_above"] == "600.00"
    given = {"payout_limit": "10,000.50", "payout_approval_above": "0", "payout_fee_on_return": "give_back"}

    answer = admin_client.post(page_url, {**data, **inlines, "payout_approval_new_destination": "", **given})
    wrong = admin_client.post(page_url, {**data, **inlines, "payout_day_limit": "mucho"})

    desk.merchant.refresh_from_db()
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    assert list(wrong.context["adminform"].form.errors) == ["payout_day_limit"]
    assert (desk.merchant.payout_limit, desk.merchant.payout_approval_above) == (1_000_050, 0)
    assert (desk.merchant.payout_day_limit, desk.merchant.payout_fee_on_return) == (None, "give_back")
    (entry,) = LogEntry.objects.all()
    changed = json.loads(entry.change_message)[0]["changed"]["fields"]
    assert sorted(changed) == [
        "Approval above",
        "Cool-down of a new destination",
        "Fee of a returned payout",
        "Most per payout",
    ]


def test_the_ordering_account_is_validated_and_kept_while_orders_are_on_their_way(
    desk: PayoutDesk, admin_client: Client, viewer: Client
) -> None:
    account = ProviderAccount.objects.get(provider="stp")
    page_url = f"/admin/payments/provideraccount/{account.public_id}/ordering/"
    good = {"clabe": "646180157000000017", "name": "Mi Empresa, S.A. de C.V. Ñandú", "tax_id": "mie010101ab1"}
    busy = admin_client.post(page_url, good)
    Payout.objects.filter(pk=desk.payout.pk).update(send_outcome="refused")

    refused = viewer.post(page_url, good)
    wrong = {
        field: errors(admin_client.post(page_url, {**good, field: value}))
        for field, value in (("clabe", "646180157000000018"), ("name", "a|b"), ("tax_id", "XX"))
    }
    elsewhere = errors(admin_client.post(page_url, {**good, "clabe": CLABE}))

    assert (busy.status_code, refused.status_code) == (200, 403)
    assert "en camino" in errors(busy)["__all__"][0]
    assert [list(found) for found in wrong.values()] == [["clabe"], ["name"], ["tax_id"]]
    assert list(elsewhere) == ["clabe"]
    account.refresh_from_db()
    assert account.ordering_name == "EMPRESA DEMO"


def test_the_ordering_account_is_changed_and_emptied(stp: Any, admin_client: Client) -> None:
    page_url = f"/admin/payments/provideraccount/{stp.account.public_id}/ordering/"
    good = {"clabe": "646180157000000017", "name": "Mi Empresa, S.A. de C.V. Ñandú", "tax_id": "mie010101ab1"}
    saved = []
    for data in (good, {}):
        assert admin_client.post(page_url, data).status_code == 302
        stp.account.refresh_from_db()
        saved.append((stp.account.ordering_clabe, stp.account.ordering_name, stp.account.ordering_tax_id))

    assert saved == [("646180157000000017", "Mi Empresa, S.A. de C.V. Nandu", "MIE010101AB1"), ("", "", "")]


def test_the_desk_says_what_is_known_and_what_may_be_decided(desk: PayoutDesk, viewer: Client) -> None:
    page = viewer.get(url(desk.payout))

    checks = {str(row[0]): (strip_tags(str(row[1])), str(row[2])) for row in page.context["trail"][0]["rows"]}
    assert str(page.context["trail"][0]["title"]) == "Lista de verificación"
    assert checks["Por qué debe verla una persona"][0] == "no se sabe si salió"
    assert checks["Llamadas que la enviaron"][0] == "1 desconocido"
    assert checks["Siguiente paso automático"] == (
        "se pregunta al proveedor",
        format_moment(desk.payout.next_attempt_at, seconds=True),
    )
    assert checks["Falla por sí sola"][1] != "-"
    assert checks["Decidir: nunca salió"][0].startswith("Puede haber salido")
    assert "posible" in checks["Decidir: se liquidó"][0]


def test_two_people_resolve_a_payout_with_evidence(desk: PayoutDesk, viewer: Client) -> None:
    _maker, first = staff("ana", "view_payout", "resolve_payout", "add_approval")
    _voter, second = staff("berta", "view_approval", "resolve_payout", "decide_approval")
    data = {
        "decision": "settled",
        "reason": "CEP 4711, confirmado por STP",
        "file": SimpleUploadedFile("cep.pdf", b"%PDF-1.7\n%%EOF", "application/pdf"),
    }
    refused = viewer.post(url(desk.payout, "resolve"), {**data, "file": ""})
    form = first.get(url(desk.payout, "resolve"))
    wrong = first.post(url(desk.payout, "resolve"), {"decision": "never_left", "reason": ""})

    answer = first.post(url(desk.payout, "resolve"), data)

    resolution = PayoutResolution.objects.get()
    page = f"/admin/payments/payoutresolution/{resolution.public_id}"
    assert (refused.status_code, form.status_code, answer["Location"]) == (403, 200, f"{page}/change/")
    assert [value for value, _text in form.context["form"].fields["decision"].choices] == ["settled", "returned"]
    assert sorted(errors(wrong)) == ["decision", "reason"]
    inbox = strip_tags(second.get("/admin/staff/approval/?status__exact=pending").content.decode())
    assert "Resolución de una dispersión" in inbox and "CEP 4711" in inbox
    assert b"".join(second.get(f"{page}/evidence/").streaming_content).startswith(b"%PDF")  # type: ignore[attr-defined]
    assert first.post(f"{page}/approve/", {"comment": ""}).status_code == 403

    assert second.post(f"{page}/approve/", {"comment": "Visto"}).status_code == 302

    desk.payout.refresh_from_db()
    shown = second.get(f"{page}/change/").content.decode()
    assert (desk.payout.status, desk.payout.delayed) == ("completed", False)
    assert "Visto" in shown and desk.payout.public_id in shown
    assert resolution.public_id in first.get(url(desk.payout)).content.decode()
