"""Admin pages of KYC documents, including the download."""

from __future__ import annotations

import logging

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from core.admin import ReadOnlyAdmin, ReadOnlyInline, column, id_column, moment
from core.files import as_download
from kyc.models import Document

logger = logging.getLogger(__name__)

_size = column("size", _("size"), lambda document: filesizeformat(document.size))
_download = column(
    "download",
    _("file"),
    lambda document: format_html(
        '<a class="text-link" href="{}">{}</a>',
        reverse("admin:kyc_document_download", args=[document.public_id]),
        _("download"),
    ),
)


class DocumentInline(ReadOnlyInline):
    model = Document
    fields = [
        "document_type",
        "original_name",
        "content_type",
        _size,
        "uploaded_by",
        moment("created_at", _("uploaded")),
        _download,
    ]


@admin.register(Document)
class DocumentAdmin(ReadOnlyAdmin):
    list_display = [id_column(), "case", "document_type", "original_name", moment("created_at", _("uploaded"))]
    list_filter = ["document_type"]
    search_fields = ["public_id__exact", "original_name", "case__merchant__name"]
    list_select_related = ["case__merchant"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("public_id", "case"),
                    ("document_type", "original_name"),
                    ("content_type", _size),
                    ("uploaded_by", moment("created_at", _("uploaded"))),
                    ("sha256", _download),
                ]
            },
        )
    ]

    def get_urls(self) -> list[URLPattern]:
        download = self.admin_site.admin_view(self.download)
        return [
            path("<str:public_id>/download/", download, name="kyc_document_download"),
            *super().get_urls(),
        ]

    def download(self, request: HttpRequest, public_id: str) -> FileResponse:
        """Serve the file as a download that browsers do not execute. The staff user is logged, also if refused."""
        who = {"document": public_id, "staff": request.user.get_username()}
        if not self.has_view_permission(request):
            logger.warning("KYC document refused", extra=who)
            raise PermissionDenied
        document = Document.objects.filter(public_id=public_id).first()
        if document is None:
            raise Http404
        try:
            content = document.file.open("rb")
        except FileNotFoundError:
            logger.error("KYC document is missing in storage", extra=who)
            raise Http404 from None
        logger.info("KYC document read", extra=who)
        return as_download(content, name=document.original_name, content_type=document.content_type)
