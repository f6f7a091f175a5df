from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.paginator import InfinitePaginator

from core.admin import ReadOnlyAdmin, breakable, column, moment, object_link
from ledger.models import Seal

_transaction = column("transaction", _("transaction"), lambda seal: object_link(seal.transaction.public_id))


@admin.register(Seal)
class SealAdmin(ReadOnlyAdmin):
    paginator = InfinitePaginator
    list_display = ["seq", _transaction, "hash", moment("sealed_at", _("sealed"))]
    search_fields = ["transaction__public_id__exact", "hash__exact"]
    list_select_related = ["transaction"]
    ordering = ["-seq"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("seq", _transaction),
                    column("hash", "SHA-256", lambda s: breakable(s.hash)),
                    moment("sealed_at", _("sealed"), seconds=True),
                ]
            },
        ),
    ]
