"""Evidence of proposals: an uploaded file that is kept private and downloaded from the proposal's page."""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from core.admin import EMPTY, column
from core.files import as_download

logger = logging.getLogger(__name__)


def _link(obj: Any) -> str:
    if not obj.evidence:
        return EMPTY
    url = reverse(f"admin:{obj._meta.app_label}_{obj._meta.model_name}_evidence", args=[obj.public_id])
    return format_html('<a class="text-link" href="{}">{}</a>', url, obj.evidence_name)


evidence_link = column("evidence", _("evidence"), _link)
"""A column with a link to the file."""


class EvidenceMixin:
    """Adds the download to the admin of a model with ``evidence``, ``evidence_name`` and ``evidence_type``."""

    def get_urls(self) -> list[URLPattern]:
        model = self.model._meta  # type: ignore[attr-defined]
        view = self.admin_site.admin_view(self.evidence)  # type: ignore[attr-defined]
        name = f"{model.app_label}_{model.model_name}_evidence"
        return [path("<str:public_id>/evidence/", view, name=name), *super().get_urls()]  # type: ignore[misc]

    def evidence(self, request: HttpRequest, public_id: str) -> FileResponse:
        """The evidence as a download. Each access is logged, also a refused one."""
        kind = self.model._meta.model_name  # type: ignore[attr-defined]
        who = {kind: public_id, "staff": request.user.get_username()}
        if not self.has_view_permission(request):  # type: ignore[attr-defined]
            logger.warning("evidence refused", extra=who)
            raise PermissionDenied
        found = self.model.objects.filter(public_id=public_id).first()  # type: ignore[attr-defined]
        if found is None or not found.evidence:
            raise Http404
        try:
            content = found.evidence.open("rb")
        except FileNotFoundError:
            logger.error("evidence is missing in storage", extra=who)
            raise Http404 from None
        logger.info("evidence read", extra=who)
        return as_download(content, name=found.evidence_name, content_type=found.evidence_type)
