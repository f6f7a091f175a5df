"""Errors of reading what providers send."""

from __future__ import annotations

from typing import Any

from core.errors import NoticeRejected


class UnreadableNotice(NoticeRejected):
    """This notification is not readable."""

    code = "invalid_notice"
    http_status = 400

    def __init__(self, message: str | None = None, *, field: str = "") -> None:
        super().__init__(f"{field}: {message}" if field and message else message)
        self.field = field
        """Path of the invalid field (``data.object.amount``); empty if the body as a whole is invalid."""


def printable(text: Any) -> str:
    """A provider's text without control characters, to be stored and shown; "" if it is not text."""
    return "".join(c if c.isprintable() else " " for c in text) if isinstance(text, str) else ""
