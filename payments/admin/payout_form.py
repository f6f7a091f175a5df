"""Form with which a person proposes a payout for a merchant. It validates as the API does."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from core.errors import (
    DuplicateExternalId,
    InsufficientFunds,
    InvalidRequest,
    LimitExceeded,
    PaymentsError,
)
from core.forms import MomentField, PesosField, show_refusal
from core.mx import clabe, spei_text, tax_id
from core.translation import translated
from merchants.models import Merchant
from payments.services import payout_limit
from payments.services.payout import NewPayout

_FIELD_OF: dict[type[PaymentsError], str] = {
    LimitExceeded: "amount",
    InsufficientFunds: "amount",
    DuplicateExternalId: "external_id",
}
"""Refusals of the service that say nothing of a field -> the field that the person must change."""


class SpeiTextField(forms.CharField):
    """A text of a SPEI order, folded as it is sent. ``cut``: a longer one is cut instead of refused."""

    def __init__(self, *, cut: bool = False, **options: Any) -> None:
        self.cut = cut
        super().__init__(max_length=120, widget=UnfoldAdminTextInputWidget, **options)

    def clean(self, value: Any) -> str:
        text = super().clean(value)
        try:
            return spei_text.fold(text, cut=self.cut)
        except spei_text.UnsendableText as error:
            raise forms.ValidationError(_(error.message)) from error


class ClabeField(forms.CharField):
    """A CLABE, also if it was pasted in groups."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=40, widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "numeric"}), **options)

    def clean(self, value: Any) -> str:
        text = "".join(super().clean(value).replace("-", " ").split())
        if text and not clabe.is_valid(text):
            raise forms.ValidationError(_("A CLABE has 18 digits and a valid check digit."))
        return text


class TaxIdField(forms.CharField):
    """An RFC or CURP, in capitals."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=18, widget=UnfoldAdminTextInputWidget, **options)

    def clean(self, value: Any) -> str:
        text: str = super().clean(value)
        try:
            return tax_id.fold(text) if text else text
        except ValueError as error:
            raise forms.ValidationError(_("An RFC has 12 or 13 characters, a CURP 18.")) from error


class PayoutForm(forms.Form):
    """A payout of a merchant. ``wanted`` is what the service creates."""

    merchant = forms.ModelChoiceField(
        label=_("merchant"),
        queryset=Merchant.objects.filter(status=Merchant.Status.ACTIVE),
        widget=UnfoldAdminSelectWidget,
    )
    livemode = forms.TypedChoiceField(
        label=_("mode"),
        choices=[("live", _("live")), ("test", _("test"))],
        coerce=lambda value: value == "live",
        widget=UnfoldAdminSelectWidget,
    )
    amount = PesosField(label=_("amount"), help_text=_("Pesos that the beneficiary gets. The fee comes on top."))
    clabe = ClabeField(label=_("CLABE"), help_text=_("The beneficiary's CLABE, 18 digits."))
    name = SpeiTextField(
        cut=True,
        label=_("beneficiary"),
        help_text=_("The account holder. Sent without accents, cut after 40 characters."),
    )
    tax_id = TaxIdField(label=_("beneficiary's RFC or CURP"), required=False)
    concept = SpeiTextField(
        label=_("concept"), help_text=_("What the beneficiary reads: at most 40 characters, sent without accents.")
    )
    reference_number = forms.IntegerField(
        label=_("reference number"),
        required=False,
        min_value=1,
        max_value=9_999_999,
        help_text=_("1 to 9999999; ours if empty."),
        widget=UnfoldAdminIntegerFieldWidget,
    )
    external_id = forms.CharField(
        label=_("merchant's id"), required=False, max_length=100, widget=UnfoldAdminTextInputWidget
    )
    scheduled_for = MomentField(
        label=_("scheduled for"),
        required=False,
        help_text=_("Not to be sent before, in Mexico City time. At once if empty."),
    )

    def clean_scheduled_for(self) -> Any:
        moment = self.cleaned_data["scheduled_for"]
        try:
            return moment and payout_limit.check_schedule(moment)
        except InvalidRequest as refused:
            raise forms.ValidationError(translated(refused)) from refused

    def wanted(self) -> NewPayout:
        """The service's argument, of a valid form."""
        data = self.cleaned_data
        return NewPayout(
            amount=data["amount"],
            clabe=data["clabe"],
            name=data["name"],
            concept=data["concept"],
            tax_id=data["tax_id"],
            reference_number=data["reference_number"],
            external_id=data["external_id"] or None,
            scheduled_for=data["scheduled_for"],
        )

    def show(self, refused: PaymentsError) -> None:
        """Show a refusal of the service at its field, otherwise above the form."""
        if isinstance(refused, InsufficientFunds):
            refused = InsufficientFunds()  # the ledger's own message is not translated
        field = _FIELD_OF.get(type(refused))
        for error in refused.errors:
            if error.field == "destination.clabe":
                self.add_error("clabe", translated(error))
                return
        if field is not None:
            self.add_error(field, translated(refused))
        else:
            show_refusal(self, refused)
