from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action
from unfold.enums import ActionVariant

from core import clock, invariants
from core.admin import ModeFilter, ReadOnlyAdmin, column, format_moment, label, moment, object_link, related
from ledger.models import Breach
from ledger.services import invariant

_state = column(
    "state",
    _("state"),
    lambda b: label(_("cleared"), "success") if b.cleared_at else label(_("still broken"), "danger"),
)


def _mode_of(breach: Breach) -> str:
    if breach.livemode is None:
        return label(_("live and test"))
    return label(_("live"), "info") if breach.livemode else label(_("test"), "warning")


_mode = column("mode", _("mode"), _mode_of, order="livemode")
_account = column(
    "account",
    _("provider account"),
    lambda breach: object_link(breach.provider_account) if breach.provider_account else "",
)
_meaning = column("meaning", _("what must hold"), lambda breach: meaning_of(breach.invariant))


def meaning_of(name: str) -> str:
    """What the invariant of this name says, or its name if it is not checked any more."""
    known = {found.name: found.meaning for found in invariants.all_invariants()}
    return gettext(known[name]) if name in known else name


@admin.register(Breach)
class BreachAdmin(ReadOnlyAdmin):
    list_display = [
        "invariant",
        _state,
        _mode,
        "merchant",
        _account,
        "message",
        moment("found_at", _("found")),
        moment("cleared_at", _("cleared")),
    ]
    list_filter = ["invariant", ModeFilter]
    search_fields = ["invariant", "message", "merchant__public_id__exact", "provider_account__exact"]
    list_select_related = ["merchant"]
    actions_list = ["verify"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    ("invariant", _state),
                    _meaning,
                    "message",
                    (_mode, related("merchant", _("merchant")), _account),
                    (
                        moment("found_at", _("found"), seconds=True),
                        moment("cleared_at", _("cleared"), seconds=True),
                    ),
                ]
            },
        )
    ]

    @action(
        description=_("Verify now"),
        permissions=["ledger.change_breach"],
        url_path="verify",
        icon="fact_check",
        variant=ActionVariant.PRIMARY,
    )
    def verify(self, request: HttpRequest) -> HttpResponse:
        """GET asks for confirmation; POST runs every check, opens and clears breaches, and shows the results."""
        context = {
            **self.admin_site.each_context(request),
            "title": _("Verify now"),
            "opts": Breach._meta,
            "back": reverse("admin:ledger_breach_changelist"),
        }
        if request.method == "POST":
            broken = invariant.check()
            context |= {
                "table": _results(broken),
                "broken": len(broken),
                "moment": format_moment(clock.now(), seconds=True),
            }
        return TemplateResponse(request, "ledger/verify.html", context)


def _results(broken: list[str]) -> dict[str, Any]:
    faults: dict[str, list[str]] = {}
    for breach in Breach.objects.filter(cleared_at=None, invariant__in=broken).order_by("pk"):
        faults.setdefault(breach.invariant, []).append(breach.message)
    rows = [
        [
            label(_("broken"), "danger") if found.name in broken else label(_("passed"), "success"),
            gettext(found.meaning),
            "; ".join(faults.get(found.name, [])),
        ]
        for found in invariants.all_invariants()
    ]
    return {"headers": [_("result"), _("what must hold"), _("what was found")], "rows": rows}
