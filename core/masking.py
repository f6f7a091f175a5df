"""Masking of keys, credentials, CLABEs and e-mail addresses in texts, for logs and other records."""

from __future__ import annotations

import re

_START = r"(?:\b|(?<=\\[nrt]))"
"""A word boundary, also after a line break escaped by ``repr``."""

_MASKS = [
    ("sk_", re.compile(r"(sk_(?:test|live)_[A-Za-z0-9_-]{8})[A-Za-z0-9_-]+"), r"\1…"),
    ("key_", re.compile(_START + r"(key_)[A-Za-z0-9_-]{8,}"), r"\1…"),
    ("", re.compile(_START + r"((?:Bearer|Basic) )[A-Za-z0-9+/=_.-]+", re.IGNORECASE), r"\1…"),
    ("://", re.compile(r"://[^/\s:@]*:[^/\s@]*@"), "://…@"),
    ("", re.compile(r"(?<!\d)(\d{6})\d{8}(\d{4})(?!\d)"), r"\1********\2"),
    ("@", re.compile(r"[\w.%+-]{1,64}@[\w-]{1,63}\.[\w.-]+"), "…@…"),
]
"""(substring that must be present, pattern, replacement); the substring check is cheap."""


def masked(text: str) -> str:
    """``text`` with keys, credentials, CLABEs and e-mail addresses masked."""
    for sign, pattern, replacement in _MASKS:
        if sign in text:
            text = pattern.sub(replacement, text)
    return text
