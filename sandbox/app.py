"""The simulators' WSGI application: routing, JSON and errors.

``/conekta`` uses Conekta's media type and error format (API 2.3.0); ``/_sim``, the control API, uses plain JSON and
simulates what happens outside the wire protocols (a bank customer, a till, STP's configuration). Conekta also answers
creations with 200: its official clients accept no other status.
"""

from __future__ import annotations

import http.client
import json
import re
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from wsgiref.types import StartResponse, WSGIEnvironment

from . import barcode, page
from .conekta import Account, Conekta, error_body
from .errors import Refused, control_body
from .faults import Fault, Faults, apply_delays
from .stp import Stp
from .world import MAX_SHIFT, World

MAX_BODY = 1024 * 1024
MAX_DRAINED = 16 * MAX_BODY
PAGE_ROWS = 25
CONEKTA_HEADERS = (
    ("Content-Type", "application/vnd.conekta-v2.3.0+json; charset=utf-8"),
    ("Conekta-Media-Type", "conekta-v2.3.0; format=application/json"),
)
JSON_HEADERS = (("Content-Type", "application/json; charset=utf-8"),)
HTML_HEADERS = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'"),
)
REASONS = {
    200: "OK",
    202: "Accepted",
    303: "See Other",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    411: "Length Required",
    413: "Content Too Large",
    422: "Unprocessable Content",
    500: "Internal Server Error",
}


@dataclass(frozen=True)
class Reply:
    """A status with either an object for JSON or text with its headers."""

    status: int
    content: Any
    headers: tuple[tuple[str, str], ...] = ()


@dataclass
class Call:
    """One request: its environ, the groups of the matched path, and its parsed contents."""

    environ: WSGIEnvironment
    args: tuple[str, ...] = ()
    query: dict[str, str] = field(default_factory=dict)

    @property
    def base_url(self) -> str:
        """Scheme and host as the client sent them, so that links work for the client."""
        host = self.environ.get("HTTP_HOST", "")
        if not re.fullmatch(r"[A-Za-z0-9.\-]+(:[0-9]+)?|\[[0-9a-fA-F:]+\](:[0-9]+)?", host):
            host = f"{self.environ['SERVER_NAME']}:{self.environ['SERVER_PORT']}"
        return f"http://{host}"

    @property
    def url(self) -> str:
        """The URL of this request without its query."""
        return self.base_url + str(self.environ["PATH_INFO"])

    def json(self, *, exact: bool = False) -> dict[str, Any]:
        """The body as a JSON object; an empty body is an empty object. ``exact``: numbers keep their digits."""
        raw = read_body(self.environ)
        try:
            value = json.loads(raw) if raw.strip() else {}
            # Refuse values that can neither be stored nor sent back: NaN, infinities, lone surrogates.
            json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
            if exact and raw.strip():
                value = json.loads(raw, parse_float=Decimal)
        except (ValueError, RecursionError):
            raise Refused(400, "invalid_json", "the body is not valid JSON") from None
        if not isinstance(value, dict):
            raise Refused(400, "invalid_json", "the body must be a JSON object")
        return value

    def form(self) -> dict[str, str]:
        """The body as an HTML form; empty fields are left out."""
        return dict(parse_qsl(read_body(self.environ).decode("utf-8", "replace"), max_num_fields=50))


def read_body(environ: WSGIEnvironment) -> bytes:
    """The raw body, at most 1 MiB."""
    length = environ.get("CONTENT_LENGTH") or "0"
    if environ.get("HTTP_TRANSFER_ENCODING"):
        raise Refused(411, "length_required", "send the body with a Content-Length")
    if not (length.isascii() and length.isdecimal()):
        raise Refused(400, "invalid_length", "Content-Length is not a number")
    size, stream = int(length), environ["wsgi.input"]
    try:
        if size > MAX_BODY:
            # Drain it up to a limit: a client that is cut off while writing never reads the response.
            left = min(size, MAX_DRAINED)
            while left > 0 and (chunk := stream.read(min(left, 65536))):
                left -= len(chunk)
            raise Refused(413, "body_too_large", f"a body has at most {MAX_BODY} bytes")
        raw: bytes = stream.read(size)
    except OSError:
        raise Refused(408, "request_timeout", "the body did not arrive in time") from None
    if len(raw) != size:
        raise Refused(400, "incomplete_body", "the body is shorter than its Content-Length")
    return raw


class App:
    """The WSGI callable."""

    def __init__(self, stp: Stp, conekta: Conekta, world: World) -> None:
        self.stp = stp
        self.conekta = conekta
        self.world = world
        self.faults = Faults()
        self._routes = [(method, re.compile(path), handler) for method, path, handler in self._table()]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request; every error is JSON."""
        path = str(environ["PATH_INFO"])
        in_conekta = path.startswith("/conekta")
        fault = apply_delays(self.faults.take(str(environ["REQUEST_METHOD"]), path))
        if fault is not None and fault.kind in ("status", "garbage"):
            return _break(environ, start_response, fault)
        if fault is not None and fault.kind == "lose_request":
            raise ConnectionAbortedError
        try:
            reply = self._answer(environ)
        except Refused as error:
            reply = Reply(error.status, error_body(error, self.world) if in_conekta else control_body(error))
        except ConnectionAbortedError:
            raise
        except Exception:
            traceback.print_exc(file=sys.stderr)
            failure = Refused(500, "internal_error", "the simulator failed; its log says why")
            reply = Reply(500, error_body(failure, self.world) if in_conekta else control_body(failure))
        if fault is not None:  # lose_answer
            raise ConnectionAbortedError
        content = reply.content
        body = content.encode() if isinstance(content, str) else json.dumps(content, ensure_ascii=False).encode()
        headers = [*(reply.headers or (CONEKTA_HEADERS if in_conekta else JSON_HEADERS))]
        headers += [("Content-Length", str(len(body))), ("X-Content-Type-Options", "nosniff")]
        start_response(f"{reply.status} {REASONS[reply.status]}", headers)
        return [body]

    def _answer(self, environ: WSGIEnvironment) -> Reply:
        method, path = str(environ["REQUEST_METHOD"]), str(environ["PATH_INFO"])
        # CSRF protection: pages of another site must not submit these forms through a visitor's browser.
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and urlsplit(origin).netloc != environ.get("HTTP_HOST"):
            raise Refused(403, "foreign_origin", "requests from another site's pages are refused")
        allowed = set()
        for known_method, pattern, handler in self._routes:
            if match := pattern.fullmatch(path):
                if known_method == method:
                    query = dict(parse_qsl(environ.get("QUERY_STRING", ""), max_num_fields=50))
                    return handler(Call(environ, match.groups(), query))
                allowed.add(known_method)
        if allowed:
            raise Refused(405, "method_not_allowed", f"use {' or '.join(sorted(allowed))} here")
        raise Refused(404, "not_found", "there is nothing at this path")

    def _table(self) -> list[tuple[str, str, Callable[[Call], Reply]]]:
        stp, conekta = self.stp, self.conekta

        def owner(call: Call) -> Account:
            return conekta.account(call.environ.get("HTTP_AUTHORIZATION", ""))

        def listing(table: str) -> Callable[[Call], Reply]:
            return lambda c: Reply(200, conekta.listing(table, owner(c), c.query, c.url))

        return [
            ("GET", "/", self._page),
            ("POST", "/spei", self._spei),
            ("POST", "/pagar", self._pagar),
            ("GET", "/_sim/health", lambda c: Reply(200, {"status": "ok"})),
            ("GET", "/_sim/clock", lambda c: Reply(200, self._clock())),
            ("PUT", "/_sim/clock", lambda c: Reply(200, self._move_clock(c.json()))),
            ("GET", "/_sim/faults", lambda c: Reply(200, self.faults.pending())),
            ("POST", "/_sim/faults", lambda c: Reply(200, self.faults.add(c.json()))),
            ("DELETE", "/_sim/faults", lambda c: Reply(200, self.faults.clear())),
            ("POST", "/stp/efws/API/V2/conciliacion", lambda c: Reply(*stp.conciliation(c.json()))),
            ("POST", "/stp/efws/API/consultaOrden", lambda c: Reply(*stp.orders.question(c.json()))),
            ("POST", "/stp/efws/API/consultaSaldoCuenta", lambda c: Reply(*stp.companies.account_balance(c.json()))),
            (
                "PUT",
                "/stp/speiws/rest/ordenPago/registra",
                lambda c: Reply(200, stp.orders.register(c.json(exact=True))),
            ),
            ("PUT", "/stp/speiws/rest/cuentaModule/(fisica|moral)", self._account),
            ("DELETE", "/stp/speiws/rest/cuentaModule/(fisica|moral)", self._account),
            ("GET", "/_sim/stp/accounts", lambda c: Reply(200, stp.accounts.registered(c.query.get("empresa", "")))),
            ("GET", "/_sim/stp/balance", lambda c: Reply(200, stp.companies.balance(c.query.get("empresa", "")))),
            ("PUT", "/_sim/stp/scripts/([^/]+)", lambda c: Reply(200, stp.orders.write_script(c.args[0], c.json()))),
            ("GET", "/_sim/stp/orders", lambda c: Reply(200, stp.orders.search(c.query))),
            ("GET", "/_sim/stp/orders/([^/]+)", lambda c: Reply(200, stp.orders.show(c.args[0]))),
            ("PUT", "/_sim/stp/orders/([^/]+)", lambda c: Reply(200, stp.orders.finish(c.args[0], c.json()))),
            ("POST", "/_sim/stp/orders/([^/]+)/notices", lambda c: Reply(202, stp.orders.notify(c.args[0], c.json()))),
            ("POST", "/_sim/stp/phantoms", lambda c: Reply(200, stp.orders.add_phantom(c.json()))),
            ("PUT", "/_sim/stp/config", lambda c: Reply(200, stp.configure(c.json()))),
            ("POST", "/_sim/stp/deposits", lambda c: Reply(202, stp.send(c.json()))),
            ("GET", "/_sim/stp/deposits/([^/]+)", lambda c: Reply(200, stp.show(c.args[0]))),
            ("POST", "/_sim/stp/deposits/([^/]+)/resend", lambda c: Reply(200, stp.resend(c.args[0]))),
            ("POST", "/_sim/conekta/pay", self._pay),
            ("POST", "/_sim/conekta/expire", lambda c: Reply(202, conekta.expire(_reference(c.json())))),
            ("GET", "/_sim/conekta/orders/([^/]+)", lambda c: Reply(200, conekta.show(c.args[0]))),
            ("GET", r"/conekta/barcodes/([^/]+)\.svg", self._barcode),
            ("POST", "/conekta/orders", lambda c: Reply(200, conekta.create_order(owner(c), c.json(), c.base_url))),
            ("GET", "/conekta/orders", lambda c: Reply(200, conekta.orders(owner(c), c.query, c.url))),
            ("GET", "/conekta/orders/([^/]+)", lambda c: Reply(200, conekta.order(owner(c), c.args[0]))),
            ("POST", "/conekta/orders/([^/]+)/cancel", self._cancel),
            ("POST", "/conekta/webhook_keys", lambda c: Reply(200, conekta.create_webhook_key(owner(c), c.json()))),
            ("GET", "/conekta/webhook_keys", listing("conekta_webhook_key")),
            ("POST", "/conekta/webhooks", lambda c: Reply(200, conekta.create_webhook(owner(c), c.json()))),
            ("GET", "/conekta/webhooks", listing("conekta_webhook")),
            (
                "PUT",
                "/conekta/webhooks/([^/]+)",
                lambda c: Reply(200, conekta.update_webhook(owner(c), c.args[0], c.json())),
            ),
            ("GET", "/conekta/events", listing("conekta_event")),
            ("GET", "/conekta/events/([^/]+)", lambda c: Reply(200, conekta.event(owner(c), c.args[0]))),
            (
                "POST",
                "/conekta/events/([^/]+)/resend",
                lambda c: Reply(200, conekta.resend(owner(c), c.args[0], c.json())),
            ),
        ]

    def _clock(self) -> dict[str, Any]:
        return {"now": self.world.moment().isoformat(timespec="milliseconds"), "shift": self.world.shift}

    def _move_clock(self, body: dict[str, Any]) -> dict[str, Any]:
        """``{"shift": seconds}``: set how far this clock is ahead of the system clock; 0 resets it."""
        shift = body.get("shift")
        if isinstance(shift, bool) or not isinstance(shift, int | float) or not -MAX_SHIFT <= shift <= MAX_SHIFT:
            message = f"shift must be a number of seconds, at most {MAX_SHIFT:.0f} either way"
            raise Refused(422, "invalid_field", message, param="shift")
        self.world.shift = float(shift)
        return self._clock()

    def _register(self, call: Call) -> Reply:
        return Reply(200, self.stp.orders.register(call.json(exact=True)))

    def _account(self, call: Call) -> Reply:
        removing = call.environ["REQUEST_METHOD"] == "DELETE"
        return Reply(200, self.stp.accounts.change(call.args[0], call.json(), removing=removing))

    def _pay(self, call: Call) -> Reply:
        body = call.json()
        paid = self.conekta.pay(
            _reference(body),
            late=body.get("late") is True,
            amount=_count(body, "amount", 10**14),
            paid_at=_count(body, "paid_at", 4_000_000_000),
            times=_count(body, "times", 20) or 1,
        )
        return Reply(202, paid)

    def _cancel(self, call: Call) -> Reply:
        account = self.conekta.account(call.environ.get("HTTP_AUTHORIZATION", ""))
        read_body(call.environ)
        return Reply(200, self.conekta.cancel_order(account, call.args[0]))

    def _barcode(self, call: Call) -> Reply:
        self.conekta.show(call.args[0])
        return Reply(200, barcode.svg(call.args[0]), (("Content-Type", "image/svg+xml"),))

    def _page(self, call: Call, error: Refused | None = None) -> Reply:
        sent = self.stp.orders.search({"limit": str(PAGE_ROWS)})["data"]
        message = error.message if error else ""
        html = page.render(self.stp.recent(PAGE_ROWS), sent, self.conekta.recent(PAGE_ROWS), message)
        return Reply(error.status if error else 200, html, HTML_HEADERS)

    def _spei(self, call: Call) -> Reply:
        try:
            form = call.form()
            fields: dict[str, Any] = {k: form[k] for k in ("clabe", "payer_name", "concept") if k in form}
            self.stp.send({**fields, "amount": page.centavos(form.get("amount", ""))})
        except Refused as error:
            return self._page(call, error)
        return Reply(303, "", (("Location", "/"),))

    def _pagar(self, call: Call) -> Reply:
        try:
            self.conekta.pay(call.form().get("reference", ""))
        except Refused as error:
            return self._page(call, error)
        return Reply(303, "", (("Location", "/"),))


def _break(environ: WSGIEnvironment, start_response: StartResponse, fault: Fault) -> Iterable[bytes]:
    """Answer with the fault's response, without processing the request."""
    read_body(environ)
    status = 200 if fault.kind == "garbage" else fault.status
    body = fault.body.encode()
    headers = [("Content-Type", f"{fault.content_type}; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response(f"{status} {http.client.responses.get(status, 'Unknown')}", headers)
    return [body]


def _count(body: dict[str, Any], name: str, most: int) -> int | None:
    """An integer from 1 to ``most``, or None if the body has no such field."""
    value = body.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most):
        raise Refused(422, "invalid_field", f"{name} must be an integer from 1 to {most}", param=name)
    return value


def _reference(body: dict[str, Any]) -> str:
    reference = body.get("reference")
    if not isinstance(reference, str):
        raise Refused(422, "invalid_field", "reference must be text", param="reference")
    return reference
