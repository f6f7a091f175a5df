"""Translated texts of the stored reasons of notices."""

from __future__ import annotations

import re
from typing import Any

from django.utils.translation import gettext_lazy as _

from payments.models import Deposit

_SAID = {
    "credited": _("credited"),
    "duplicate": _("the same money again: already booked"),
    "stale": _("outdated: the payment has another state"),
    "expired": _("expired"),
    "cancelled": _("cancelled"),
    "another_order": _("an order that the payment no longer uses"),
    "ping": _("a test of the connection"),
    "this type of event changes nothing": _("this type of event changes nothing"),
    "another notice with this id said something else": _("another notice with this id said something else"),
    "unmatched: nothing was sent": _("no target: no order was sent"),
    "unmatched: no payment has this order": _("no target: no payment has this order"),
    "conflict: the deposit it reports is booked otherwise": _("its deposit is booked with other data"),
    "conflict: it says live, the account is not": _("it says live, the account is not"),
    "conflict: it says test, the account is not": _("it says test, the account is not"),
    "its bytes were dropped": _("its body was deleted after its retention"),
    "sent again": _("sent again"),
}
_WITH_A_NAME = {
    r"unreadable: (.+)": _("it cannot be read: %s"),
    r"conflict: it reports (\w+), the books hold (\w+) only": _("it reports %s, the books hold %s only"),
    r"conflict: ([\w.]+), which nobody here asked for": _("%s without our request"),
}


def reason_text(reason: str) -> Any:
    """The text of a stored reason. Other reasons (entered by staff, or names of errors) are returned unchanged."""
    if reason in _SAID:
        return _SAID[reason]
    why, arrow, before = reason.partition(" ← ")
    if arrow:  # reopened: the reason, and the reason before
        return f"{reason_text(why)} ← {reason_text(before)}"
    if reason.startswith("suspended:"):
        kept = dict(Deposit.SuspenseReason.choices).get(reason.removeprefix("suspended:"), reason)
        return _("in suspense: %(why)s") % {"why": kept}
    for form, text in _WITH_A_NAME.items():
        if found := re.fullmatch(form, reason):
            return text % found.groups()
    return reason
