"""Errors and their JSON: a common format for the control API; /conekta uses Conekta's own."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class Refused(Exception):
    """The request is refused. ``code`` and ``param`` are machine-readable, ``message`` is for people."""

    def __init__(self, status: int, code: str, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param


class ControlError(TypedDict):
    """Content of ``{"error": …}``."""

    code: str
    message: str
    param: NotRequired[str]


def control_body(error: Refused) -> dict[str, ControlError]:
    """The JSON of an error outside /conekta."""
    inner = ControlError(code=error.code, message=error.message)
    if error.param:
        inner["param"] = error.param
    return {"error": inner}
