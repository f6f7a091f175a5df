"""What providers send that cannot be read."""

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
        """Path of the field at fault (``data.object.amount``); empty when the body as a whole is."""


def printable(text: Any) -> str:
    """A provider's words as they may be stored and shown: no control characters, no NUL; "" for what is no text."""
    return "".join(c if c.isprintable() else " " for c in text) if isinstance(text, str) else ""
