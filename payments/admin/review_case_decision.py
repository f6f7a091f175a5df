"""Decisions about review cases: their forms, what each does in words, and the payouts that money may return."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from core.admin import EMPTY, format_moment, in_one_line, object_link
from core.money import format_mxn
from core.search import public_id
from payments.models import Payout, ReviewCase
from payments.services import payout_return
from payments.services import review_case as service


class ReasonForm(forms.Form):
    """Form for the reason of a decision."""

    reason = forms.CharField(
        label=_("reason"),
        max_length=500,
        help_text=_("Stored permanently with the case: what you checked and who confirmed it."),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
    )


class TargetForm(ReasonForm):
    """Form for another destination."""

    target = forms.CharField(
        label=_("payment, CLABE or merchant"),
        max_length=40,
        help_text=_(
            "Its id: pay_…, clb_… or mer_…. For a CLABE or a merchant, a new payment is created; money for a funding "
            "CLABE is a top-up of the balance, without a fee."
        ),
        widget=UnfoldAdminTextInputWidget,
    )
    field_order = ["target", "reason"]

    def clean_target(self) -> str:
        target = str(self.cleaned_data["target"])
        return public_id(target) or target.strip()


class PayoutForm(ReasonForm):
    """Form for the payout that a transfer returns."""

    target = forms.CharField(
        label=_("payout"), max_length=40, help_text=_("Its id: po_…"), widget=UnfoldAdminTextInputWidget
    )
    field_order = ["target", "reason"]

    def clean_target(self) -> str:
        target = str(self.cleaned_data["target"])
        return public_id(target) or target.strip()


def credited(case: ReviewCase, to: service.Destination) -> list[tuple[Any, Any]]:
    """What crediting the money does, in words."""
    if to.payment is not None:
        payment: Any = to.payment.public_id
    elif to.clabe is not None:
        payment = f"{_('none: top-up of the balance') if to.is_topup else _('a new one')} ({to.clabe.clabe})"
    else:
        payment = _("a new one")
    return [
        (_("merchant"), f"{to.merchant.name} ({to.merchant.public_id})"),
        (_("payment"), payment),
        (_("amount"), format_mxn(case.deposit.amount)),
        (_("fee"), format_mxn(to.fee)),
        (_("IVA on the fee"), format_mxn(to.fee_tax)),
        (_("net for the merchant"), format_mxn(to.net)),
    ]


def matched(match: payout_return.Match) -> list[tuple[Any, Any]]:
    """What matching the money to a payout does, in words."""
    payout = match.payout
    status = payout.get_status_display()
    if match.to_merchant:
        status = f"{status} → {Payout.Status.RETURNED.label}"
    return [
        (_("payout"), payout.public_id),
        (_("merchant"), f"{payout.merchant.name} ({payout.merchant.public_id})"),
        (_("beneficiary"), payout.destination_name),
        (_("status"), status),
        (_("amount"), format_mxn(match.amount)),
        (_("back to the merchant's balance"), format_mxn(match.to_merchant)),
    ]


def proposals(case: ReviewCase, found: list[Payout]) -> dict[str, Any]:
    """The payouts that the money may return, as a table."""
    rows = [
        [
            object_link(payout.public_id),
            payout.merchant.name,
            in_one_line(format_mxn(payout.amount)),
            payout.destination_name,
            payout.get_status_display(),
            _why_proposed(case, payout),
            format_moment(payout.send_started_at, seconds=True),
        ]
        for payout in found
    ]
    headers = [_("payout"), _("merchant"), _("amount"), _("beneficiary"), _("status"), _("reason"), _("sent")]
    return {
        "title": _("Payouts that it may return"),
        "headers": headers,
        "rows": rows or [[_("none"), *[EMPTY] * (len(headers) - 1)]],
    }


def _why_proposed(case: ReviewCase, payout: Payout) -> Any:
    keys = (payout.tracking_key == case.return_of, payout.return_tracking_key == case.deposit.tracking_key)
    if not any(keys):
        return _("same bank and amount")
    return _("its tracking key") if payout.amount == case.deposit.amount else _("its tracking key, another amount")
