"""Renders ``/v1/docs``: one HTML page with every operation, field, example and error code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.text import slugify

from payments_site.openapi.complete import PROBLEM, PROVIDERS, operations
from payments_site.openapi.document import document
from payments_site.openapi.errors import ERRORS, PROVIDER_ERRORS
from payments_site.openapi.markup import inline, to_html

MAX_DEPTH = 4


@dataclass(frozen=True, slots=True)
class Row:
    """One field or parameter."""

    name: str
    type: str
    is_required: bool
    text: SafeString


@dataclass(frozen=True, slots=True)
class Example:
    """One example: summary, request and response."""

    summary: str
    request: str
    answer: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as the page shows it."""

    id: str
    verb: str
    path: str
    summary: str
    text: SafeString
    parameters: list[Row]
    body: list[Row]
    answers: list[tuple[str, SafeString]]
    fields: list[Row]
    examples: list[Example]


@dataclass(frozen=True, slots=True)
class Group:
    """Operations under one heading."""

    name: str
    anchor: str
    text: SafeString
    operations: list[Operation] = field(default_factory=list)


@lru_cache
def html() -> str:
    """The whole page."""
    api = document()
    groups = {
        tag["name"]: Group(tag["name"].capitalize(), f"api-{slugify(tag['name'])}", to_html(tag["description"]))
        for tag in api["tags"]
    }
    for verb, path, operation in operations(api):
        groups[operation["tags"][0]].operations.append(_operation(api, verb, path, operation))
    errors = [
        (code, " and ".join(map(str, error.statuses)), inline(error.meaning), inline(error.remedy))
        for code, error in (ERRORS | PROVIDER_ERRORS).items()
    ]
    return render_to_string(
        "openapi/docs.html",
        {
            "title": api["info"]["title"],
            "version": api["info"]["version"],
            "introduction": to_html(api["info"]["description"]),
            "sections": re.findall(r"^## (.+)$", api["info"]["description"], re.MULTILINE),
            "groups": [group for group in groups.values() if group.operations],
            "errors": sorted(errors, key=lambda error: error[1]),
        },
    )


def _operation(api: dict[str, Any], verb: str, path: str, operation: dict[str, Any]) -> Operation:
    parameters = [_resolved(api, given) for given in operation.get("parameters", ())]
    common = {name["name"] for name in api["components"]["parameters"].values()}
    answers, body, fields = [], _schema_of(operation.get("requestBody", {})), {}
    asked = {e["summary"]: e["value"] for e in _examples(operation.get("requestBody", {}))}
    answered: dict[str, Any] = {}
    for status, answer in operation["responses"].items():
        found = _resolved(api, answer)
        answers.append((status, inline(found["description"])))
        if status < "300":
            fields = _schema_of(found)
            answered |= {e["summary"]: e["value"] for e in _examples(found)}
    return Operation(
        id=operation["operationId"],
        verb=verb.upper(),
        path=path,
        summary=operation["summary"],
        text=to_html(operation.get("description", "")),
        parameters=[
            Row(p["name"], _type(api, p["schema"]), p.get("required", False), inline(p.get("description", "")))
            for p in parameters
            if p["name"] not in common
        ],
        body=list(_rows(api, body)),
        answers=answers,
        fields=list(_rows(api, fields)),
        examples=[
            Example(
                summary,
                _curl(api, verb, path, operation, asked.get(summary)),
                _pretty(answered[summary]) if summary in answered else "",
            )
            for summary in dict.fromkeys([*asked, *answered]) or [""]
        ],
    )


def _rows(api: dict[str, Any], schema: dict[str, Any], path: str = "", depth: int = 0) -> Iterator[Row]:
    """Yield every field with its path, nested ones after their parent."""
    schema = _resolved(api, schema)
    for name, inner in schema.get("properties", {}).items():
        required = name in schema.get("required", ())
        yield Row(f"{path}{name}", _type(api, inner), required, inline(_described(api, inner)))
        target, suffix = _inside(api, inner)
        if target.get("properties") and depth < MAX_DEPTH:
            yield from _rows(api, target, f"{path}{name}{suffix}", depth + 1)


def _inside(api: dict[str, Any], schema: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The object inside a field, through references, lists and "or null", and the separator for its path."""
    for way in ("allOf", "oneOf", "anyOf"):
        for option in schema.get(way, ()):
            if option.get("type") != "null":
                return _inside(api, option)
    found = _resolved(api, schema)
    if found is not schema:
        return _inside(api, found)
    if "items" in schema:
        return _inside(api, schema["items"])[0], "[]."
    return schema, "."


def _described(api: dict[str, Any], schema: dict[str, Any]) -> str:
    text = schema.get("description", "")
    return text if text or "$ref" not in schema else _resolved(api, schema).get("description", "")


def _type(api: dict[str, Any], schema: dict[str, Any]) -> str:
    for way in ("allOf", "oneOf", "anyOf"):
        if way in schema:
            return " or ".join(dict.fromkeys(_type(api, option) for option in schema[way]))
    schema = _resolved(api, schema)
    if "enum" in schema:
        return " | ".join("null" if value is None else str(value) for value in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    types = schema.get("type", "object")
    found = [types] if isinstance(types, str) else list(types)
    names = [f"list of {_type(api, schema.get('items', {}))}" if one == "array" else one for one in found]
    return " or ".join(names) + (f" ({schema['format']})" if "format" in schema else "")


def _resolved(api: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    found = api
    for step in node["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return found


def _schema_of(holder: dict[str, Any]) -> dict[str, Any]:
    media: dict[str, Any] = next(iter(holder.get("content", {}).values()), {})
    schema: dict[str, Any] = media.get("schema", {})
    return schema


def _examples(holder: dict[str, Any]) -> list[dict[str, Any]]:
    content = holder.get("content", {})
    return [e for name, media in content.items() if name != PROBLEM for e in media.get("examples", {}).values()]


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _curl(api: dict[str, Any], verb: str, path: str, operation: dict[str, Any], body: Any) -> str:
    """The request as a curl command; provider webhooks as plain HTTP."""
    if PROVIDERS in operation["tags"]:
        return f"{verb.upper()} {path}" if body is None else f"{verb.upper()} {path}\n\n{_pretty(body)}"
    lines = [f"curl {settings.SITE.base_url}{path}", "-u sk_test_…:"]
    if verb != "get":
        lines.insert(1, f"-X {verb.upper()}")
    if any(_resolved(api, p)["name"] == "Idempotency-Key" for p in operation.get("parameters", ())):
        lines.append("-H 'Idempotency-Key: order-1001'")
    if body is not None:
        lines += ["-H 'Content-Type: application/json'", f"-d '{_pretty(body)}'"]
    return " \\\n  ".join(lines)
