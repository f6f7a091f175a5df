"""Model of KYC documents."""

from __future__ import annotations

from functools import partial

from django.db import models
from django.utils.translation import gettext_lazy as _

from core import clock, ids
from core.db import AppendOnly
from core.fields import IdentifierField


def stored_path(document: Document, filename: str) -> str:
    """Storage path of the file, independent of the uploaded file's name."""
    return f"kyc/{document.public_id}"


class Document(models.Model):
    """One file of a case: an image or PDF, detected by its content; private and immutable."""

    class Type(models.TextChoices):
        OFFICIAL_ID = "official_id", _("official identification (INE, passport)")
        TAX_CERTIFICATE = "tax_certificate", _("tax certificate (constancia de situación fiscal)")
        PROOF_OF_ADDRESS = "proof_of_address", _("proof of address")
        INCORPORATION_DEED = "incorporation_deed", _("deed of incorporation (acta constitutiva)")
        POWER_OF_ATTORNEY = "power_of_attorney", _("power of attorney")
        BANK_STATEMENT = "bank_statement", _("bank statement cover with CLABE")

    public_id = IdentifierField(
        _("id"), max_length=40, unique=True, editable=False, default=partial(ids.new_id, "document")
    )
    case = models.ForeignKey("kyc.Case", models.PROTECT, related_name="documents", verbose_name=_("KYC case"))
    document_type = models.CharField(_("type"), max_length=32, choices=Type.choices)
    file = models.FileField(_("file"), upload_to=stored_path)
    original_name = models.CharField(_("file name"), max_length=150)
    content_type = models.CharField(_("content"), max_length=32)
    size = models.PositiveIntegerField(_("size"), help_text=_("Bytes."))
    sha256 = models.CharField("SHA-256", max_length=64)
    uploaded_by = models.CharField(_("uploaded by"), max_length=150)
    created_at = models.DateTimeField(_("uploaded"), default=clock.now, editable=False)

    class Meta:
        verbose_name = _("document")
        verbose_name_plural = _("documents")
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(content_type__in=["image/jpeg", "image/png", "application/pdf"]),
                name="document_content_allowed",
            ),
        ]
        triggers = [AppendOnly()]

    def __str__(self) -> str:
        return f"{self.get_document_type_display()} {self.original_name}"
