from __future__ import annotations

import io
import logging
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image

from core.state import Origin
from kyc.models import Case, Document
from kyc.services import case as case_service
from merchants.models import Merchant

PDF = b"%PDF-1.7\n1 0 obj << /OpenAction << /S /JavaScript /JS (app.alert\\(1\\)) >> >>\n%%EOF\n"


def image(kind: str, size: tuple[int, int] = (8, 8)) -> bytes:
    buffer = io.BytesIO()
    Image.new("1" if kind == "PNG" else "RGB", size).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def case(merchant: Merchant, staff_origin: Origin) -> Case:
    return case_service.open_case(merchant, origin=staff_origin)


def upload(client: Client, case: Case, content: bytes, name: str = "archivo.pdf") -> Any:
    url = f"/admin/kyc/case/{case.public_id}/upload/"
    return client.post(url, {"document_type": "official_id", "file": SimpleUploadedFile(name, content)})


@pytest.mark.parametrize(
    ("content", "content_type"),
    [(PDF, "application/pdf"), (image("PNG"), "image/png"), (image("JPEG"), "image/jpeg")],
)
def test_a_document_is_what_its_bytes_say_and_never_runs_in_a_browser(
    content: bytes, content_type: str, case: Case, admin_client: Client
) -> None:
    assert upload(admin_client, case, content, "página.html").status_code == 302
    document = Document.objects.get()

    answer = admin_client.get(f"/admin/kyc/document/{document.public_id}/download/")

    assert b"".join(answer.streaming_content) == content  # type: ignore[arg-type]
    assert answer.headers["Content-Type"] == content_type
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "sandbox"
    assert "no-store" in answer.headers["Cache-Control"]
    assert document.file.name == f"kyc/{document.public_id}"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", id="svg"),
        pytest.param(b"<!doctype html><script>alert(1)</script>", id="html"),
        pytest.param(b"GIF89a" + b"\0" * 64, id="gif"),
        pytest.param(b"PK\x03\x04" + b"\0" * 64, id="zip"),
        pytest.param(b"MZ" + b"\0" * 64, id="program"),
        pytest.param(image("PNG")[:40], id="half an image"),
        pytest.param(b"\x89PNG\r\n\x1a\n<script>alert(1)</script>", id="polyglot"),
        pytest.param(b"<script>%PDF-1.7 %%EOF</script>", id="pdf somewhere inside"),
        pytest.param(image("PNG", (10_000, 10_000)), id="10000 x 10000 pixels"),
        pytest.param(b"%PDF-" + b"0" * (10 * 1024 * 1024) + b"%%EOF", id="over 10 MiB"),
    ],
)
def test_anything_else_is_refused_on_the_form(content: bytes, case: Case, admin_client: Client) -> None:
    answer = upload(admin_client, case, content, "identificacion.png")

    assert answer.status_code == 200
    assert list(answer.context["form"].errors) == ["file"]
    assert not Document.objects.exists()


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("factura\u202egnp.exe", "facturagnp.exe"),
        ("a" * 300, "a" * 150),
    ],
)
def test_a_hostile_name_decides_nothing(name: str, kept: str, case: Case, admin_client: Client) -> None:
    from kyc.services import document

    added = document.add(case.pk, document_type="official_id", name=name, content=io.BytesIO(PDF), uploaded_by="ana")

    assert added.original_name == kept
    assert added.file.name == f"kyc/{added.public_id}"
    answer = admin_client.get(f"/admin/kyc/document/{added.public_id}/download/")
    assert "\u202e" not in answer.headers["Content-Disposition"]
    answer.close()


def test_every_reading_is_logged_with_who_read(
    case: Case, admin_client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    upload(admin_client, case, PDF)
    document = Document.objects.get()

    with caplog.at_level(logging.INFO, "kyc.admin.document"):
        admin_client.get(f"/admin/kyc/document/{document.public_id}/download/").close()

    (record,) = [record for record in caplog.records if record.name == "kyc.admin.document"]
    assert (record.document, record.staff) == (document.public_id, "admin")  # type: ignore[attr-defined]


def test_staff_without_permission_is_refused_and_that_is_logged(
    case: Case, admin_client: Client, django_user_model: Any, caplog: pytest.LogCaptureFixture
) -> None:
    upload(admin_client, case, PDF)
    document = Document.objects.get()
    other = Client()
    other.force_login(django_user_model.objects.create_user("otro", password="x", is_staff=True))

    answer = other.get(f"/admin/kyc/document/{document.public_id}/download/")

    assert answer.status_code == 403
    assert [record.staff for record in caplog.records if record.name == "kyc.admin.document"] == ["otro"]  # type: ignore[attr-defined]


def test_nobody_reads_a_document_without_signing_in(case: Case, admin_client: Client, client: Client) -> None:
    upload(admin_client, case, PDF)
    document = Document.objects.get()

    answer = client.get(f"/admin/kyc/document/{document.public_id}/download/")

    assert answer.status_code == 302
    assert client.get(f"/media/kyc/{document.public_id}").status_code == 404


def test_a_document_that_storage_has_lost_is_not_found(case: Case, admin_client: Client) -> None:
    upload(admin_client, case, PDF)
    document = Document.objects.get()
    document.file.storage.delete(document.file.name)

    assert admin_client.get(f"/admin/kyc/document/{document.public_id}/download/").status_code == 404
    assert admin_client.get("/admin/kyc/document/doc_nada/download/").status_code == 404
