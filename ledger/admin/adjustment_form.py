"""Forms of adjustments: exact amounts in pesos, reason and evidence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django import forms
from django.forms import BoundField
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    INPUT_CLASSES,
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from core.errors import InvalidRequest
from core.forms import MomentField, PesosField
from ledger.admin.account import PURPOSES
from ledger.services.adjustment import account_named
from ledger.services.chart import MERCHANT_PURPOSES, PLATFORM_PURPOSES
from ledger.services.errors import PostingRefused, UnknownAccount
from merchants.models import Merchant

ROWS = 6
"""Number of legs in the form."""

MERCHANTS_OFFERED = 200
"""Newest merchants whose accounts the picker lists; codes of other accounts can be typed."""


class EvidenceForm(forms.Form):
    """Reason and evidence. The service validates them."""

    reason = forms.CharField(
        label=_("reason"),
        required=False,
        help_text=_("At most 500 characters."),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
    )
    evidence = forms.FileField(
        label=_("evidence"),
        required=False,
        help_text=_("JPEG, PNG or PDF, at most 10 MiB."),
        widget=UnfoldAdminFileFieldWidget,
        allow_empty_file=True,
    )


class AdjustmentForm(EvidenceForm):
    """An adjustment: two legs or more, each an account and either a debit or a credit."""

    livemode = forms.TypedChoiceField(
        label=_("mode"),
        choices=[("live", _("live")), ("test", _("test"))],
        coerce=lambda value: value == "live",
        widget=UnfoldAdminSelectWidget,
    )
    description = forms.CharField(
        label=_("description"),
        required=False,
        help_text=_("Shown in the books, at most 200 characters."),
        widget=UnfoldAdminTextInputWidget,
    )
    effective_at = MomentField(
        label=_("effective"), help_text=_("When the money moved, in Mexico City time. It may be long ago.")
    )
    operating_date = forms.DateField(
        label=_("operating date"),
        help_text=_("The banking day it counts for."),
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date", "class": " ".join(INPUT_CLASSES)}),
    )
    field_order = ["livemode", "description", "effective_at", "operating_date", "reason", "evidence"]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for number in range(ROWS):
            picker = UnfoldAdminTextInputWidget(attrs={"list": "accounts", "autocomplete": "off"})
            self.fields[f"account_{number}"] = forms.CharField(
                label=_("account"), required=False, max_length=80, widget=picker
            )
            self.fields[f"debit_{number}"] = PesosField(label=_("debit"), required=False)
            self.fields[f"credit_{number}"] = PesosField(label=_("credit"), required=False)

    def rows(self) -> list[tuple[BoundField, BoundField, BoundField]]:
        """The fields of each leg, side by side."""
        return [(self[f"account_{n}"], self[f"debit_{n}"], self[f"credit_{n}"]) for n in range(ROWS)]

    def head(self) -> list[BoundField]:
        """The fields other than legs."""
        return [self[name] for name in self.field_order]

    def clean(self) -> dict[str, Any]:
        """The service's arguments; empty rows are ignored."""
        data = self.cleaned_data
        legs = [leg for number in range(ROWS) if (leg := self._leg(number)) is not None]
        return {**{name: data[name] for name in self.field_order if name in data}, "legs": legs}

    def _leg(self, number: int) -> tuple[str, int] | None:
        account, debit, credit = (self.cleaned_data.get(f"{part}_{number}") for part in ("account", "debit", "credit"))
        if any(f"{part}_{number}" in self.errors for part in ("account", "debit", "credit")):
            return None
        if not account and debit is None and credit is None:
            return None
        try:
            account_named(account or "")
        except UnknownAccount:
            self.add_error(f"account_{number}", _("Choose an account from the list."))
            return None
        if debit is not None and credit is None:
            return str(account), debit
        if credit is not None and debit is None:
            return str(account), -credit
        self.add_error(f"debit_{number}", _("Write either a debit or a credit."))
        return None


@contextmanager
def said_to_people() -> Iterator[None]:
    """Convert the ledger's refusals to form errors, with the translated message of their class."""
    try:
        yield
    except PostingRefused as refused:
        raise InvalidRequest(type(refused)().message) from refused


def accounts_offered() -> list[tuple[str, str]]:
    """Code and name of every account that the picker lists, opened or not."""
    platform = [(f"platform:{purpose}", f"{_('Platform')} · {PURPOSES[purpose]}") for purpose in PLATFORM_PURPOSES]
    merchants = Merchant.objects.order_by("-pk")[:MERCHANTS_OFFERED]
    return platform + [
        (f"{merchant.public_id}:{purpose}", f"{merchant.name} · {PURPOSES[purpose]}")
        for merchant in merchants
        for purpose in MERCHANT_PURPOSES
        if purpose != "reserved"  # only holds move it
    ]
