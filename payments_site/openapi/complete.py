"""drf-spectacular post-processing: adds what all operations share, e.g. error responses, headers and examples."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from django.conf import settings

from payments_site.openapi.errors import ERRORS, PROVIDER_ERRORS, ErrorCode

PROBLEM = "application/problem+json"
TITLES = {422: "Unprocessable Entity"}
"""Status names that differ between Python versions; the document must not."""
HERE = Path(__file__).parent
PROVIDERS = "provider webhooks"

TAGS = {
    "payments": "Pay-ins: a SPEI transfer to a CLABE made for the payment, or cash at an OXXO till.",
    "clabes": "Reusable CLABEs: each accepted transfer becomes a completed payment.",
    "payouts": "Money out: SPEI transfers to any CLABE, and where you send them.",
    "refunds": "Money of a payment that goes back to the payer, in whole or in parts.",
    "topups": "Money that you add to your own balance: transfers to your funding CLABE.",
    "balance": "Your money with us, now or at any past moment.",
    "reports": "Files for programs (CSV) and people (Excel), written in the background.",
    "events": "Everything that happened to your objects, in order: pull what you missed.",
    "webhooks": "Events posted to your own URLs, signed as Standard Webhooks describe.",
    "idempotency": "Look up the result of a request whose response was lost.",
    "account": "Your merchant account and its API keys.",
    "banks": "Institutions that take part in SPEI.",
    "test helpers": "Simulated payers, for test keys only.",
    PROVIDERS: "Called by payment providers, not by you. Each notice is stored and applied once; repetitions get the "
    "same answer.",
}
"""Groups of operations, in page order. Every tag used by a view must be listed."""

HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-Id": {
        "description": "Identifies this request in our logs: your value if it was well formed, else ours",
        "schema": {"type": "string"},
    },
    "API-Version": {"description": "The version that answered", "schema": {"type": "string"}},
    "RateLimit-Limit": {"description": "Requests allowed in the window", "schema": {"type": "integer"}},
    "RateLimit-Remaining": {"description": "Requests left in the window", "schema": {"type": "integer"}},
    "RateLimit-Reset": {"description": "Seconds until the window ends", "schema": {"type": "integer"}},
    "Idempotent-Replayed": {
        "description": "`true` if this is the stored answer of an earlier request with the same Idempotency-Key",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Retry-After": {
        "description": "Seconds to wait before retrying",
        "schema": {"type": "integer", "minimum": 1},
    },
    "WWW-Authenticate": {"description": "The required authentication scheme", "schema": {"type": "string"}},
}
RATE_LIMITS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")

PARAMETERS: dict[str, dict[str, Any]] = {
    "Request-Id": {
        "name": "X-Request-Id",
        "in": "header",
        "description": "Your own id for this request, 8 to 64 characters of `A-Z a-z 0-9 _ -`; any other value is "
        "replaced by ours",
        "schema": {"type": "string"},
    },
    "API-Version": {
        "name": "API-Version",
        "in": "header",
        "description": "Pins the version that your program was written for; defaults to the newest",
        "schema": {"type": "string", "enum": [settings.API_VERSION]},
    },
    "Accept-Language": {
        "name": "Accept-Language",
        "in": "header",
        "description": "`es` or `en`: the language of `title`, `detail` and `message` in errors",
        "schema": {"type": "string", "examples": ["es", "en"]},
    },
}

RESPONSES = {
    400: ("BadRequest", "The request is not valid; nothing was done"),
    401: ("Unauthorized", "The credential is missing or wrong"),
    403: ("Forbidden", "The credential does not allow this"),
    404: ("NotFound", "There is no such object for this key"),
    408: ("RequestTimeout", "The body did not arrive in time; nothing was done"),
    409: ("Conflict", "Not allowed in the current state, or the first request is still in flight"),
    415: ("UnsupportedMediaType", "The notice's content type is not JSON"),
    422: ("Unprocessable", "Well formed, but it cannot be done"),
    429: ("TooManyRequests", "Too many requests with this key"),
    500: ("InternalError", "Internal error; nothing was partially done"),
    503: ("Unavailable", "Temporarily unavailable; retry later"),
}


def complete(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Post-processing hook of drf-spectacular: adds responses, headers, examples and the introduction."""
    result["info"]["description"] = (HERE / "introduction.md").read_text()
    result["servers"] = [{"url": "/", "description": "This installation"}]
    used = [tag for _, _, operation in operations(result) for tag in operation.get("tags", [])]
    result["tags"] = [{"name": tag, "description": text} for tag, text in TAGS.items() if tag in used]
    for verb, path, operation in operations(result):
        _complete_operation(verb, path, operation)
    components = result["components"]
    for schema in components["schemas"].values():
        for field in schema.get("properties", {}).values():
            _describe_default(field)
    components["headers"] = HEADERS
    components["parameters"] = PARAMETERS
    components["responses"] = {name: _response(status) for status, (name, _) in RESPONSES.items()}
    return result


def _describe_default(field: dict[str, Any]) -> None:
    """Move a field's default into its description: TypeScript generators make fields with ``default`` required."""
    if "default" in field:
        text = f"{field.get('description', '')}; defaults to `{json.dumps(field.pop('default'))}`"
        field["description"] = text.removeprefix("; ")


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (verb, path, operation) for every operation of the document."""
    for path, item in document["paths"].items():
        for verb, operation in item.items():
            if verb in ("get", "post", "put", "patch", "delete"):
                yield verb, path, operation


@lru_cache
def examples() -> dict[str, list[dict[str, Any]]]:
    """Recorded requests and responses by operation id; ``make openapi`` writes them."""
    found: dict[str, list[dict[str, Any]]] = json.loads((HERE / "examples.json").read_text())
    return found


def _complete_operation(verb: str, path: str, operation: dict[str, Any]) -> None:
    merchants = operation.pop("x-merchant-api", False)
    is_once = any(p.get("name") == "Idempotency-Key" for p in operation.get("parameters", ()))
    responses = operation["responses"]
    statuses = {401, 500, 503}
    if merchants:
        statuses |= {400, 403, 429}
        operation.setdefault("parameters", []).extend({"$ref": f"#/components/parameters/{p}"} for p in PARAMETERS)
    if "{" in path:
        statuses.add(404)
        if verb == "post":  # an action that the object's state may not allow
            statuses.add(409)
    if is_once:
        statuses |= {409, 422}
    if "requestBody" in operation:
        statuses.add(408)
        if not merchants:
            operation["requestBody"]["required"] = True
    if merchants and ("requestBody" in operation or any(p.get("in") == "query" for p in operation["parameters"])):
        statuses.add(422)  # a value that the schema allows may still be refused
    scopes = sorted({scope for way in operation.get("security", ()) for names in way.values() for scope in names})
    if scopes:
        needed = " or ".join(f"`{scope}`" for scope in scopes)
        operation["description"] = f"{operation.get('description', '').rstrip()}\n\nNeeds the scope {needed}.".strip()
    for status, response in responses.items():
        if set(response.get("content", ())) == {PROBLEM}:
            statuses.add(int(status))
            continue
        shown = ["X-Request-Id", *(["API-Version", *RATE_LIMITS] if merchants else [])]
        shown += ["Idempotent-Replayed"] if is_once else []
        response.setdefault("headers", {}).update({name: {"$ref": f"#/components/headers/{name}"} for name in shown})
        response["description"] = response.get("description") or "Done"
    for status in statuses:
        given = responses.get(str(status))
        if given is None or set(given.get("content", ())) == {PROBLEM}:
            responses[str(status)] = {"$ref": f"#/components/responses/{RESPONSES[status][0]}"}
    operation["responses"] = dict(sorted(responses.items()))
    for number, example in enumerate(examples().get(operation["operationId"], ())):
        _add_example(operation, example, f"example{number + 1}")


def _add_example(operation: dict[str, Any], example: dict[str, Any], name: str) -> None:
    """Add one recorded exchange to the operation's request body and response."""
    for part, holder in (
        ("request", operation.get("requestBody", {})),
        ("response", operation["responses"].get(str(example["status"]), {})),
    ):
        for content_type, media in holder.get("content", {}).items():
            if part in example and content_type.split(";")[0] in ("application/json", PROBLEM):
                media.setdefault("examples", {})[name] = {"summary": example["summary"], "value": example[part]}


def _response(status: int) -> dict[str, Any]:
    """An error response with an example of each code."""
    codes = {code: error for code, error in (ERRORS | PROVIDER_ERRORS).items() if status in error.statuses}
    shown = ["X-Request-Id"]
    if status in (409, 429, 503):
        shown.append("Retry-After")
    if status == 401:
        shown.append("WWW-Authenticate")
    if status == 429:
        shown += RATE_LIMITS
    return {
        "description": f"{RESPONSES[status][1]}. Codes: {', '.join(f'`{code}`' for code in codes)}",
        "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in shown},
        "content": {
            PROBLEM: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {code: _problem(code, error, status) for code, error in codes.items()},
            }
        },
    }


def _problem(code: str, error: ErrorCode, status: int) -> dict[str, Any]:
    return {
        "summary": error.meaning,
        "value": {
            "type": f"/v1/docs#error-{code}",
            "title": TITLES.get(status) or HTTPStatus(status).phrase,
            "status": status,
            "detail": error.meaning,
            "instance": "/v1/payments",
            "code": code,
            "request_id": "req_4f0c7a1e92b35d6880aa17c3",
        },
    }
