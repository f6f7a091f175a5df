"""Words of payouts for people: why one needs a person, why money came back."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from core.admin import EMPTY
from payments.models import Payout

NEEDS_STAFF: dict[str, Any] = {
    "configuration": _("the provider refuses our signature or the account's settings"),
    "compliance_rejected": _("the provider stopped it for compliance"),
    "uncatalogued": _("the provider answered with an unknown code"),
    "order_differs": _("the provider has another order under its tracking key"),
    "unknown_state": _("the provider names an unknown state"),
    "settled_unexpectedly": _("settled, although it was never sent"),
    "reported_unsent": _("the provider reports it, and this site never sent it: it is not sent"),
    "refunded_in_excess": _("more was sent back than the payer had paid: losses paid the rest"),
    "settled_after_failure": _("settled after it had failed: the money left late"),
}
"""``Payout.needs_staff`` -> what happened. A word that is missing here is shown as it is."""

RETURN_CAUSES: dict[int, Any] = {
    1: _("the account does not exist"),
    2: _("the account is blocked"),
    3: _("the account was closed"),
    5: _("the account takes no pesos"),
    6: _("the account is not at this bank"),
    13: _("the beneficiary does not recognize the payment"),
    14: _("information is missing"),
    15: _("the type of payment is wrong"),
    16: _("the type of operation is wrong"),
    17: _("the type of account is wrong"),
    18: _("the sender asked for it"),
    19: _("an invalid character"),
    20: _("above the account's balance limit"),
    21: _("above the account's monthly limit"),
    22: _("the phone number is not registered"),
    23: _("the additional account takes no payments"),
    24: _("additional information is wrong"),
    25: _("an instruction is missing"),
    26: _("fraud protection"),
    27: _("the beneficiary declined it"),
    28: _("the beneficiary could not be notified in time"),
    30: _("the tracking key was repeated"),
}
"""Causas de devolución of SPEI."""


def why_staff(payout: Payout) -> str:
    """Why a person must look at the payout; "" if none must."""
    if payout.needs_staff:
        return str(NEEDS_STAFF.get(payout.needs_staff, payout.needs_staff))
    if payout.status == Payout.Status.PROCESSING and payout.send_outcome == Payout.SendOutcome.UNKNOWN:
        return str(_("it is not known whether it left"))
    return str(_("it takes longer than usual")) if payout.delayed else ""


def return_cause(payout: Payout) -> str:
    """Number and meaning of the cause for which the money came back."""
    cause = payout.return_cause
    if cause is None:
        return EMPTY
    return f"{cause}: {RETURN_CAUSES[cause]}" if cause in RETURN_CAUSES else str(cause)
