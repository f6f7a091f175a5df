"""The API's description: valid, complete, without guesses. What is missing is named together with what to do."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from openapi_spec_validator import validate

from core.errors import PaymentsError
from payments_site.openapi.complete import PROVIDERS, TAGS, operations
from payments_site.openapi.document import document
from payments_site.openapi.errors import ERRORS, INTERNAL, PROVIDER_ERRORS

ROOT = Path(__file__).resolve().parents[2]


def told(faults: list[str], what_to_do: str) -> None:
    assert not faults, f"{what_to_do}\n  " + "\n  ".join(faults)


def test_the_schema_needs_no_guess(tmp_path: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        call_command("spectacular", fail_on_warn=True, validate=True, file=str(tmp_path / "openapi.yaml"))

    assert (tmp_path / "openapi.yaml").stat().st_size > 10_000


def test_the_document_is_valid_openapi_3_1():
    validate(json.loads(json.dumps(document())))

    assert document()["openapi"] == "3.1.0"


def test_every_operation_is_described():
    faults = []
    names = [operation.get("operationId", "") for _, _, operation in operations(document())]
    for verb, path, operation in operations(document()):
        if not re.fullmatch(r"[a-z]+(_[a-z]+)+", operation["operationId"]):
            faults.append(f"{verb} {path}: operation_id should be a verb and a noun, like read_payment")
        if names.count(operation["operationId"]) > 1:
            faults.append(f"{verb} {path}: operation_id {operation['operationId']} is taken")
        if not operation.get("summary"):
            faults.append(f"{verb} {path}: summary is missing")
        if len(operation.get("description", "").split("\n\nNeeds the scope")[0].split()) < 4:
            faults.append(f"{verb} {path}: description is missing")
        if "``" in operation.get("description", ""):
            faults.append(f"{verb} {path}: give description= of its own, this is the docstring of its class")
        if len(operation.get("tags", ())) != 1 or operation["tags"][0] not in TAGS:
            faults.append(
                f"{verb} {path}: give tags=[one of TAGS in payments_site/openapi/complete.py], or add it there"
            )

    told(faults, "Complete @extend_schema(...) of these operations:")


def test_every_parameter_and_field_is_described():
    faults = []
    for verb, path, operation in operations(document()):
        for parameter in operation.get("parameters", ()):
            if "$ref" not in parameter and not parameter.get("description"):
                faults.append(f"{verb} {path}: parameter {parameter['name']}: OpenApiParameter(..., description=…)")
    for name, schema in document()["components"]["schemas"].items():
        for field, inner in schema.get("properties", {}).items():
            if not inner.get("description"):
                faults.append(f"{name}.{field}: help_text=…")

    told(faults, "Say what these mean (a serializer's field says it in help_text):")


def declares_default(schema: Any) -> bool:
    """Whether a field in it, at any depth, has a ``default``."""
    if isinstance(schema, list):
        return any(declares_default(each) for each in schema)
    if not isinstance(schema, dict):
        return False
    inner = [*schema.get("properties", {}).values()]
    inner += [schema[key] for key in ("items", "additionalProperties", "allOf", "anyOf", "oneOf") if key in schema]
    return "default" in schema or declares_default(inner)


def test_no_field_of_a_body_declares_a_default():
    """openapi-typescript as it is by itself makes such a field required, and a request's is the opposite of that."""
    schemas = document()["components"]["schemas"] | {
        f"{verb} {path}": media["schema"]
        for verb, path, operation in operations(document())
        for media in operation.get("requestBody", {}).get("content", {}).values()
    }

    told(
        [name for name, schema in schemas.items() if declares_default(schema)],
        "Say in the description what holds when a field is absent; complete.py does it for fields of components:",
    )


def test_an_optional_field_says_what_holds_without_it():
    pay = document()["components"]["schemas"]["SimulatedPaymentRequest"]

    assert pay.get("required", []) == []
    assert pay["properties"]["late"]["description"].endswith("; defaults to `false`")
    assert pay["properties"]["times"]["description"].endswith("; defaults to `1`")


def test_every_operation_says_how_it_refuses():
    wanted = {"401", "500", "503"}
    for _, path, operation in operations(document()):
        found = set(operation["responses"])
        assert wanted <= found, path
        if operation["tags"] != [PROVIDERS]:
            assert {"400", "403", "429"} <= found, path
            assert operation["security"], path
            assert ("404" in found) or "{" not in path, path


def test_every_error_code_is_explained():
    import_module("payments_site.urls")
    raised = {error.code: error.__name__ for error in error_classes(PaymentsError)} | dict(written_codes())
    explained = ERRORS.keys() | PROVIDER_ERRORS.keys()

    told(
        sorted(f"{code} ({where})" for code, where in raised.items() if code not in explained | INTERNAL),
        "Add these codes to payments_site/openapi/errors.py, with what they mean and what the caller does:",
    )


@pytest.mark.parametrize("error", sorted(ERRORS))
def test_a_code_has_one_status_everywhere(error):
    classes = [found for found in error_classes(PaymentsError) if found.code == error]

    assert {found.http_status for found in classes} <= set(ERRORS[error].statuses)


def error_classes(base: type[PaymentsError]) -> Iterator[type[PaymentsError]]:
    """Errors that may reach a merchant or a provider; those of the ledger and of staff's approvals do not."""
    if not base.__module__.startswith(("ledger.", "staff.")):
        yield base
    for error in base.__subclasses__():
        yield from error_classes(error)


def written_codes() -> Iterator[tuple[str, str]]:
    """Codes given to an error where it is raised: ``InvalidRequest(..., code="…")``, and codes of fields that rise."""
    for app in ("core", "merchants", "payments", "kyc", "webhooks", "payments_site", "reconciliation"):
        for path in (ROOT / app).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("InvalidRequest", "RequestRefused"):
                    for keyword in node.keywords:
                        if keyword.arg == "code" and isinstance(keyword.value, ast.Constant) and keyword.value.value:
                            yield str(keyword.value.value), f"{path.relative_to(ROOT)}:{node.lineno}"


def test_the_validator_sees_a_broken_document():
    broken: dict[str, Any] = json.loads(json.dumps(document()))
    broken["paths"]["/v1/payments"]["get"]["responses"]["200"] = {"$ref": "#/components/responses/Nowhere"}

    with pytest.raises(Exception, match="Nowhere"):
        validate(broken)
