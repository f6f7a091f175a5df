"""Faults on demand: what a network and a provider do to their callers on a bad day.

A fault is ordered through the control plane and hits the next requests whose method and path match. It stays for
``times`` requests. Whatever it does, the simulator's own memory stays whole: after a lost answer the effect is there,
as it would be at the provider.
"""

from __future__ import annotations

import itertools
import re
import threading
import time
from dataclasses import asdict, dataclass
from typing import Any

from .errors import Refused

KINDS = ("delay", "status", "garbage", "lose_request", "lose_answer")
LONGEST = 120.0


@dataclass
class Fault:
    """``delay``: wait ``seconds``, then go on. ``status``: answer with it and ``body``, and do nothing. ``garbage``: do
    nothing and answer 200 with ``body``, which need not be JSON. ``lose_request``: close the connection and do nothing.
    ``lose_answer``: do what was asked, then close the connection without an answer.
    """

    id: int
    kind: str
    method: str
    path: str
    times: int
    seconds: float
    status: int
    body: str

    def hits(self, method: str, path: str) -> bool:
        """True if a request for ``path`` suffers from this fault."""
        return self.method in ("*", method) and re.fullmatch(self.path, path) is not None


class Faults:
    """The faults that are ordered and not used up yet, in their order. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._ordered: list[Fault] = []

    def order(self, body: dict[str, Any]) -> dict[str, Any]:
        """``POST /_sim/faults``: keep a fault; the answer shows it with its id."""
        unknown = sorted(set(body) - set(Fault.__dataclass_fields__) | set(body) & {"id"})
        if unknown:
            raise Refused(422, "unknown_field", f"unknown field {unknown[0]}", param=unknown[0])
        fault = Fault(
            id=next(self._ids),
            kind=_one_of(body, "kind", KINDS),
            method=_one_of(body, "method", ("*", "GET", "POST", "PUT", "DELETE"), default="*"),
            path=_pattern(body),
            times=int(_number(body, "times", 1, 10_000, default=1)),
            seconds=float(_number(body, "seconds", 0, LONGEST, default=0)),
            status=int(_number(body, "status", 200, 599, default=503)),
            body=str(body.get("body", "")),
        )
        with self._lock:
            self._ordered.append(fault)
        return asdict(fault)

    def pending(self) -> dict[str, Any]:
        """``GET /_sim/faults``: what is still to hit."""
        with self._lock:
            return {"data": [asdict(fault) for fault in self._ordered]}

    def clear(self) -> dict[str, Any]:
        """``DELETE /_sim/faults``: be kind again."""
        with self._lock:
            self._ordered.clear()
        return {"data": []}

    def take(self, method: str, path: str) -> list[Fault]:
        """The faults that hit this request, each used up by one: all delays, and the first of another kind."""
        hit: list[Fault] = []
        with self._lock:
            for fault in self._ordered:
                if fault.hits(method, path) and (fault.kind == "delay" or all(f.kind == "delay" for f in hit)):
                    fault.times -= 1
                    hit.append(fault)
            self._ordered = [fault for fault in self._ordered if fault.times > 0]
        return hit


def suffer(faults: list[Fault]) -> Fault | None:
    """Wait out the delays; the fault of another kind, if there is one."""
    time.sleep(sum(fault.seconds for fault in faults if fault.kind == "delay"))
    return next((fault for fault in faults if fault.kind != "delay"), None)


def _one_of(body: dict[str, Any], name: str, known: tuple[str, ...], *, default: str | None = None) -> str:
    value = body.get(name, default)
    if value not in known:
        raise Refused(422, "invalid_field", f"{name} must be one of {', '.join(known)}", param=name)
    return str(value)


def _number(body: dict[str, Any], name: str, least: float, most: float, *, default: float) -> float:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise Refused(422, "invalid_field", f"{name} must be a number from {least:g} to {most:g}", param=name)
    return float(value)


def _pattern(body: dict[str, Any]) -> str:
    path = body.get("path")
    try:
        re.compile(path if isinstance(path, str) else "(")
    except re.error:
        message = "path must be a regular expression for the whole path"
        raise Refused(422, "invalid_field", message, param="path") from None
    if str(path).startswith("/_sim"):
        raise Refused(422, "invalid_field", "the control plane itself has no faults", param="path")
    return str(path)
