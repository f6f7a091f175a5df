"""Body of a notice as staff reads it: formatted, with masked account numbers."""

from __future__ import annotations

import json
import re

from core.mx import clabe
from payments.providers.reading import text_of

_ACCOUNT_FIELD = re.compile(r'("cuenta\w*"\s*:\s*"?)(\d+)', re.IGNORECASE)
_ACCOUNT_NUMBER = re.compile(r"(?<!\d)(?:\d{18}|\d{16})(?!\d)")

_HALF_A_PAIR = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair, which no page can contain."""

_AS_WRITTEN = "\ue000"
"""Marks decimals, which ``json`` would otherwise convert to float."""


def readable_body(body: bytes) -> str:
    """The body as indented JSON, with masked account numbers; other content as it is."""
    try:
        text = text_of(body)
    except UnicodeDecodeError:  # damaged UTF-16
        text = body.decode("utf-8", "replace")
    try:
        value = json.loads(text, strict=False, parse_float=_AS_WRITTEN.__add__)
        text = json.dumps(value, indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        pass  # not JSON
    text = _HALF_A_PAIR.sub("\ufffd", text)
    text = re.sub(f'"{_AS_WRITTEN}([^"]*)"', r"\1", text)
    text = _ACCOUNT_FIELD.sub(lambda found: found[1] + clabe.mask(found[2]), text)
    return _ACCOUNT_NUMBER.sub(lambda found: clabe.mask(found[0]), text)
