from __future__ import annotations

import io
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from core.state import Origin, legal_changes
from kyc.models import Case, CaseTransition
from kyc.services import case as case_service
from kyc.services import document
from merchants.models import Merchant

PDF = b"%PDF-1.7\n%%EOF\n"


@pytest.fixture
def case(merchant: Merchant, staff_origin: Origin) -> Case:
    return case_service.open_case(merchant, origin=staff_origin)


def step(case: Case, name: str) -> str:
    return f"/admin/kyc/case/{case.public_id}/{name}/"


def upload(client: Client, case: Case, content: bytes = PDF, name: str = "constancia.pdf") -> Any:
    file = SimpleUploadedFile(name, content)
    return client.post(step(case, "upload"), {"document_type": "tax_certificate", "file": file})


def buttons(client: Client, case: Case) -> list[str]:
    page = client.get(f"/admin/kyc/case/{case.public_id}/change/")
    assert page.status_code == 200
    return [action["path"].rstrip("/").rsplit("/", 1)[1] for action in page.context["actions_detail"]]


def test_a_case_is_opened_filled_submitted_rejected_reopened_and_approved(
    merchant: Merchant, admin_client: Client
) -> None:
    opened = admin_client.post("/admin/kyc/case/add/", {"merchant": merchant.pk})
    case = Case.objects.get()
    assert opened.headers["Location"] == f"/admin/kyc/case/{case.public_id}/change/"
    assert buttons(admin_client, case) == ["upload", "submit"]

    assert upload(admin_client, case).status_code == 302
    assert admin_client.post(step(case, "submit")).status_code == 302
    assert buttons(admin_client, case) == ["approve", "reject"]
    assert admin_client.post(step(case, "reject"), {"reason": "La constancia está vencida."}).status_code == 302
    assert buttons(admin_client, case) == ["reopen"]
    assert admin_client.post(step(case, "reopen")).status_code == 302
    assert admin_client.post(step(case, "submit")).status_code == 302
    assert admin_client.post(step(case, "approve"), {"reason": "Identidad verificada."}).status_code == 302

    case.refresh_from_db()
    assert (case.status, case.decided_by, case.decision_reason) == ("approved", "admin", "Identidad verificada.")
    assert buttons(admin_client, case) == []
    steps = CaseTransition.objects.values_list("to_status", "cause", "actor")
    assert list(steps) == [
        (status, "staff", "admin") for status in ("draft", "submitted", "rejected", "draft", "submitted", "approved")
    ]


@pytest.mark.parametrize("name", ["approve", "reject"])
def test_a_decision_needs_a_reason(name: str, case: Case, admin_client: Client) -> None:
    upload(admin_client, case)
    admin_client.post(step(case, "submit"))

    for reason in ("", "   ", None):
        answer = admin_client.post(step(case, name), {"reason": reason} if reason is not None else {})
        assert answer.status_code == 200
        assert answer.context["form"].errors

    case.refresh_from_db()
    assert case.status == "submitted"


@pytest.mark.parametrize("name", ["submit", "approve", "reject", "reopen"])
def test_looking_at_a_step_does_not_take_it(name: str, case: Case, admin_client: Client) -> None:
    assert admin_client.get(step(case, name)).status_code == 200

    case.refresh_from_db()
    assert case.status == "draft"


def test_a_step_that_the_state_does_not_allow_is_refused_on_the_page(case: Case, admin_client: Client) -> None:
    answer = admin_client.post(step(case, "approve"), {"reason": "Sí."})

    assert answer.status_code == 200
    assert answer.context["form"].non_field_errors()
    case.refresh_from_db()
    assert case.status == "draft"


def test_a_case_without_documents_is_not_submitted(case: Case, admin_client: Client) -> None:
    answer = admin_client.post(step(case, "submit"))

    assert answer.context["form"].non_field_errors() == ["Primero sube al menos un documento."]


@pytest.mark.parametrize("name", ["upload", "submit", "approve", "reject", "reopen"])
def test_whoever_may_only_look_takes_no_step(name: str, case: Case, client: Client, django_user_model: Any) -> None:
    user = django_user_model.objects.create_user("vera", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(user)

    assert client.post(step(case, name), {"reason": "Sí."}).status_code == 403
    assert client.post("/admin/kyc/case/add/", {"merchant": case.merchant_id}).status_code == 403
    assert buttons(client, case) == []
    case.refresh_from_db()
    assert case.status == "draft"


@pytest.mark.parametrize("name", ["submit", "approve"])
def test_a_step_needs_a_csrf_token(name: str, case: Case, admin_user: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)

    assert client.post(step(case, name), {"reason": "Sí."}).status_code == 403


def test_no_form_changes_a_case(case: Case, admin_client: Client) -> None:
    fields = {"status": "approved", "decided_by": "yo", "_save": "1"}

    assert admin_client.post(f"/admin/kyc/case/{case.public_id}/change/", fields).status_code == 403
    assert admin_client.post(f"/admin/kyc/case/{case.public_id}/delete/", {"post": "yes"}).status_code == 403
    case.refresh_from_db()
    assert case.status == "draft"


def test_a_merchant_has_one_case(case: Case, admin_client: Client) -> None:
    answer = admin_client.post("/admin/kyc/case/add/", {"merchant": case.merchant_id})

    assert answer.status_code == 200
    assert Case.objects.count() == 1


def test_there_is_no_step_for_a_case_that_does_not_exist(admin_client: Client) -> None:
    assert admin_client.post("/admin/kyc/case/kyc_00000000000000000000000000/submit/").status_code == 404


def test_nothing_leads_out_of_an_approval() -> None:
    """Whoever changes that must change ``is_approved`` too, which never asks again."""
    assert [source for source, _ in legal_changes(Case) if source == Case.Status.APPROVED] == []


def test_an_approval_is_asked_for_once_and_its_lack_each_time(
    merchant: Merchant, staff_origin: Origin, django_assert_num_queries: Any
) -> None:
    case = case_service.open_case(merchant, origin=staff_origin)
    with django_assert_num_queries(2):
        assert not case_service.is_approved(merchant)
        assert not case_service.is_approved(merchant)
    document.add(case.pk, document_type="official_id", name="a.pdf", content=io.BytesIO(PDF), uploaded_by="ana")
    case_service.submit(case.pk, origin=staff_origin)
    case_service.approve(case.pk, reason="It is them.", origin=staff_origin)

    with django_assert_num_queries(1):
        assert case_service.is_approved(merchant)
        assert case_service.is_approved(merchant)
