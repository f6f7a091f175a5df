"""Public ids such as ``pay_01kb3x…``: a prefix for the kind of object and an unguessable ULID.

The ULID is 26 characters of lower-case Crockford base 32: 48 bits of milliseconds, so that new rows are appended at the
end of their index, and 80 random bits. Database ids are never exposed.
"""

from __future__ import annotations

import re
import secrets
import time

PREFIXES = {
    "merchant": "mer",
    "api_key": "key",
    "idempotency_key": "idk",
    "event": "evt",
    "payment": "pay",
    "payout": "po",
    "payout_resolution": "prs",
    "refund": "re",
    "deposit": "dep",
    "clabe": "clb",
    "review_case": "rev",
    "report": "rep",
    "webhook_endpoint": "we",
    "delivery": "dlv",
    "delivery_attempt": "att",
    "provider_account": "pac",
    "provider_event": "pev",
    "transaction": "txn",
    "hold": "hld",
    "adjustment": "adj",
    "approval": "apr",
    "account_proposal": "acp",
    "kyc_case": "kyc",
    "document": "doc",
}
"""Kind of object -> prefix. One prefix, one kind."""

_KINDS = {prefix: kind for kind, prefix in PREFIXES.items()}
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_SHAPE = re.compile(r"[a-z]{2,4}_[0-9a-hjkmnp-tv-z]{26}\Z")


def new_id(kind: str) -> str:
    """A new public id for an object of ``kind`` (a key of ``PREFIXES``; ``KeyError`` otherwise)."""
    number = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    characters = [_ALPHABET[number >> shift & 31] for shift in range(125, -5, -5)]
    return f"{PREFIXES[kind]}_{''.join(characters)}"


def kind(text: str) -> str | None:
    """The kind of object that the public id ``text`` names; None if it is not a public id."""
    if not _SHAPE.match(text):
        return None
    return _KINDS.get(text.partition("_")[0])


def is_id(text: str, kind: str | None = None) -> bool:
    """True if ``text`` is a well-formed public id (of ``kind``, if given)."""
    return bool(_SHAPE.match(text)) and (kind is None or text.startswith(PREFIXES[kind] + "_"))
