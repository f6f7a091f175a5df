from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from core.admin import ModeFilter, ReadOnlyAdmin, column, mode, moment
from payments.models import ProviderAccount

_has_credentials = column("has_credentials", _("our credentials are set"), lambda a: bool(a.credentials))
_has_webhook = column(
    "has_webhook", _("notices can be verified"), lambda a: bool(a.webhook_secret_sha256 or a.webhook_public_keys)
)
for _flag in (_has_credentials, _has_webhook):
    _flag.boolean = True  # type: ignore[attr-defined]


@admin.register(ProviderAccount)
class ProviderAccountAdmin(ReadOnlyAdmin):
    """Never a secret, not even a part of one."""

    list_display = [
        "public_id",
        "provider",
        mode(),
        "name",
        "is_active",
        "clabe_prefix",
        _has_credentials,
        _has_webhook,
    ]
    list_filter = ["provider", ModeFilter, "is_active"]
    search_fields = ["public_id__exact", "name"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("public_id", mode()),
                    ("provider", "name"),
                    ("is_active", "base_url"),
                    ("clabe_prefix", moment("created_at", _("created"))),
                    (_has_credentials, _has_webhook),
                ]
            },
        )
    ]
