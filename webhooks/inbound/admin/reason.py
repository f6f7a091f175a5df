"""Why a notice ended as it did, in the reader's language. The inbox keeps a word or a short sentence of its own."""

from __future__ import annotations

import re
from typing import Any

from django.utils.translation import gettext_lazy as _

from payments.models import Deposit

_SAID = {
    "credited": _("credited"),
    "duplicate": _("the same money again: booked before"),
    "stale": _("too late: the payment has gone on"),
    "expired": _("expired"),
    "cancelled": _("cancelled"),
    "another_order": _("an order that the payment has replaced"),
    "ping": _("a test of the connection"),
    "this type of event changes nothing": _("this type of event changes nothing"),
    "another notice with this id said something else": _("another notice with this id said something else"),
    "unmatched: nothing was sent": _("nothing here: nothing was sent"),
    "unmatched: no payment has this order": _("nothing here: no payment has this order"),
    "conflict: the deposit it reports is booked otherwise": _("the deposit it reports is booked otherwise"),
    "conflict: it says live, the account is not": _("it says live, the account is not"),
    "conflict: it says test, the account is not": _("it says test, the account is not"),
    "its bytes were dropped": _("its bytes were dropped"),
    "sent again": _("sent again"),
}
_WITH_A_NAME = {
    r"unreadable: (.+)": _("it cannot be read: %s"),
    r"conflict: it reports (\w+), the books hold (\w+) only": _("it reports %s, the books hold %s only"),
    r"conflict: ([\w.]+), which nobody here asked for": _("%s, which nobody here asked for"),
}


def reason_text(reason: str) -> Any:
    """``reason`` as staff reads it; what is no word of the inbox (a person's reason, an error's name) stays."""
    if reason in _SAID:
        return _SAID[reason]
    why, arrow, before = reason.partition(" ← ")
    if arrow:  # opened again: why, and what it was before
        return f"{reason_text(why)} ← {reason_text(before)}"
    if reason.startswith("suspended:"):
        kept = dict(Deposit.SuspenseReason.choices).get(reason.removeprefix("suspended:"), reason)
        return _("in suspense: %(why)s") % {"why": kept}
    for form, text in _WITH_A_NAME.items():
        if found := re.fullmatch(form, reason):
            return text % found.groups()
    return reason
