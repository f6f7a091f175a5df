"""An account's entries with the balance after each, in pages, in the order of booking.

The first page starts from the account's balance; each further page from the balance at the end of the previous one,
carried in a signed cursor. No page reads more rows than it shows.
"""

from __future__ import annotations

from typing import Any

from django.core import signing
from django.db.models import BigIntegerField, Q
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext as _

from core.admin import format_moment, object_link, short_id
from core.money import format_mxn
from ledger.admin.kinds import KINDS
from ledger.models import Account, Entry
from ledger.services.balance import on_side

PER_PAGE = 50


def page_of(account: Account, cursor: str) -> tuple[dict[str, Any], str]:
    """A table of entries from ``cursor`` on (newest first page if empty or invalid), and the next page's cursor."""
    salt = f"ledger.entries:{account.pk}"
    # A subquery: computed once, and consistent with the rows.
    now = RawSQL("(SELECT ledger_total(%s))", [account.pk], output_field=BigIntegerField())
    rows = Entry.objects.filter(account=account).select_related("transaction").annotate(now=now)
    total: int | None = None
    try:
        position, pk, total = signing.loads(cursor, salt=salt)
        rows = rows.filter(~Q(position=position, pk__gte=pk), position__lte=position)
    except signing.BadSignature:
        pass
    found = list(rows.order_by("-position", "-pk")[: PER_PAGE + 1])
    shown: list[list[Any]] = []
    for entry in found[:PER_PAGE]:
        after = entry.now if total is None else total
        shown.append(_row(account, entry, after))
        total = after - entry.amount
    last = found[PER_PAGE - 1] if len(found) > PER_PAGE else None
    older = signing.dumps([last.position, last.pk, total], salt=salt) if last else ""
    headers = [_("recorded"), _("effective"), _("transaction"), _("kind"), _("debit"), _("credit"), _("balance")]
    return {"headers": headers, "rows": shown}, older


def _row(account: Account, entry: Any, after: int) -> list[Any]:
    posted = entry.transaction
    return [
        format_moment(posted.recorded_at, seconds=True),
        format_moment(posted.effective_at),
        object_link(posted.public_id, short_id(posted.public_id)),
        KINDS.get(posted.kind, posted.kind),
        format_mxn(entry.amount) if entry.amount > 0 else "",
        format_mxn(-entry.amount) if entry.amount < 0 else "",
        format_mxn(on_side(after, account.normal_side)),
    ]
