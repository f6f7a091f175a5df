"""Fault injection: simulated faults of the network and of providers.

A fault is added through the control API and applies to the next ``times`` requests with a matching method and path. It
never corrupts the simulator's state: after a lost response the effect remains, as it would at the provider.
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
PRESETS = {
    "forbidden": (403, "text/html", "<html><head><title>403 Forbidden</title></head><body>nginx</body></html>"),
    "soap_fault": (
        500,
        "text/xml",
        '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body><soapenv:Fault>'
        "<faultcode>soapenv:Server</faultcode><faultstring>Error interno</faultstring></soapenv:Fault></soapenv:Body>"
        "</soapenv:Envelope>",
    ),
    "rate_limit": (400, "application/json", '{"estado":3,"mensaje":"Se excedio el limite de consultas"}'),
}
"""Answers that come from before STP's program, by name: a ``status`` fault with its status, type and body."""
MAX_DELAY = 120.0


@dataclass
class Fault:
    """One fault, by ``kind``:

    - ``delay``: wait ``seconds`` and continue.
    - ``status``: answer with ``status`` and ``body`` without processing the request; ``preset`` names one of
      ``PRESETS`` instead.
    - ``garbage``: answer 200 with ``body``, which need not be JSON, without processing the request.
    - ``lose_request``: close the connection without processing the request.
    - ``lose_answer``: process the request and close the connection without a response.
    """

    id: int
    kind: str
    method: str
    path: str
    times: int
    seconds: float
    status: int
    body: str
    content_type: str

    def applies_to(self, method: str, path: str) -> bool:
        """True if this fault applies to the request."""
        return self.method in ("*", method) and re.fullmatch(self.path, path) is not None


class Faults:
    """The remaining faults, in the order in which they were added. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._remaining: list[Fault] = []

    def add(self, body: dict[str, Any]) -> dict[str, Any]:
        """``POST /_sim/faults``: add a fault and return it with its id."""
        if "preset" in body:
            status, content_type, text = PRESETS[_one_of(body, "preset", tuple(PRESETS))]
            body = {name: value for name, value in body.items() if name != "preset"}
            body |= {"kind": "status", "status": status, "content_type": content_type, "body": text}
        unknown = sorted(set(body) - set(Fault.__dataclass_fields__) | set(body) & {"id"})
        if unknown:
            raise Refused(422, "unknown_field", f"unknown field {unknown[0]}", param=unknown[0])
        fault = Fault(
            id=next(self._ids),
            kind=_one_of(body, "kind", KINDS),
            method=_one_of(body, "method", ("*", "GET", "POST", "PUT", "DELETE"), default="*"),
            path=_pattern(body),
            times=int(_number(body, "times", 1, 10_000, default=1)),
            seconds=float(_number(body, "seconds", 0, MAX_DELAY, default=0)),
            status=int(_number(body, "status", 200, 599, default=503)),
            body=str(body.get("body", "")),
            content_type=str(body.get("content_type", "application/json")),
        )
        with self._lock:
            self._remaining.append(fault)
        return asdict(fault)

    def pending(self) -> dict[str, Any]:
        """``GET /_sim/faults``: the remaining faults."""
        with self._lock:
            return {"data": [asdict(fault) for fault in self._remaining]}

    def clear(self) -> dict[str, Any]:
        """``DELETE /_sim/faults``: remove all faults."""
        with self._lock:
            self._remaining.clear()
        return {"data": []}

    def take(self, method: str, path: str) -> list[Fault]:
        """Use and return the faults of this request: all matching delays and the first match of another kind."""
        hit: list[Fault] = []
        with self._lock:
            for fault in self._remaining:
                if fault.applies_to(method, path) and (fault.kind == "delay" or all(f.kind == "delay" for f in hit)):
                    fault.times -= 1
                    hit.append(fault)
            self._remaining = [fault for fault in self._remaining if fault.times > 0]
        return hit


def apply_delays(faults: list[Fault]) -> Fault | None:
    """Sleep for the delays and return the fault of another kind, if any."""
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
        raise Refused(422, "invalid_field", "faults do not apply to the control API", param="path")
    return str(path)
