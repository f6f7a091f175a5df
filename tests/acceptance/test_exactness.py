"""The published schema and the API agree about concrete requests: what the schema refuses is 400, the rest is not."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from payments_site.openapi.complete import PROVIDERS, operations
from payments_site.openapi.document import document
from tests.problems import assert_problem, rows

SPEI = {"method": "spei", "amount": 125_050, "currency": "MXN"}
PAYOUT = {
    "amount": 100_000,
    "currency": "MXN",
    "destination": {"clabe": "012180015025335996", "name": "Ricardo Pena"},
    "concept": "Liquidacion",
}
REFUND = {"payment": "pay_01kb3wdga4q9c7mx0yj65re201", "reason": "Agotado"}
ENDPOINT = {"url": "https://merchant.example/hook", "events": ["*"]}
REPORT = {"type": "payments", "start_date": "2026-01-01", "end_date": "2026-01-02"}
TARGETS = {
    "PaymentRequest": ("/v1/payments", SPEI),
    "ClabeRequest": ("/v1/clabes", {}),
    "PayoutRequest": ("/v1/payouts", PAYOUT),
    "RefundRequest": ("/v1/refunds", REFUND),
    "ReportRequest": ("/v1/reports", REPORT),
    "EndpointRequest": ("/v1/webhook-endpoints", ENDPOINT),
}
BODIES: list[tuple[str, dict[str, Any]]] = [
    *[(name, {"colour": "red"}) for name in TARGETS],
    ("PaymentRequest", {"customer": {"name": "Ana", "nick": "a"}}),
    ("PayoutRequest", {"destination": {**PAYOUT["destination"], "phone": "55"}}),
    *[("PaymentRequest", {"method": "oxxo", "amount": amount}) for amount in (999, 1_000_001)],
    *[("PaymentRequest", {"amount": amount}) for amount in (0, -1, 2**53, 1.5, "1", True, None)],
    *[("PaymentRequest", {"currency": value}) for value in ("USD", "mxn", "", None)],
    *[("PaymentRequest", {"external_id": value}) for value in ("", "  ", "\t\x1f", "\x85", "a\0", "x" * 101, 7)],
    *[("PaymentRequest", {"description": value}) for value in ("a\0", "x" * 251, None)],
    *[("PaymentRequest", {"expires_at": value}) for value in ("", "2099-02-30T00:00:00Z", "2099-01-01", "now")],
    *[
        ("PaymentRequest", {"customer": {"email": value}})
        for value in ("ana", "a b@example.mx", "@", "x" * 250 + "@a.mx")
    ],
    *[("PaymentRequest", {"metadata": value}) for value in ({"": "a"}, {"k" * 41: "a"}, {"k": "v" * 501}, {"k": "\0"})],
    ("PaymentRequest", {"metadata": {str(number): "a" for number in range(51)}}),
    *[("PayoutRequest", {"concept": value}) for value in ("", " ", "a|b", "a\nb", "\u2028", "x" * 121)],
    *[
        ("PayoutRequest", {"destination": {**PAYOUT["destination"], "clabe": value}})
        for value in ("", "01218001502533599", "0121800150253359961", " 012180015025335996", "٠١٢١٨٠٠١٥٠٢٥٣٣٥٩٩٦")
    ],
    *[
        ("PayoutRequest", {"destination": {**PAYOUT["destination"], "tax_id": value}})
        for value in ("", "ABC", "A" * 14, "ABC-680524-P76")
    ],
    *[("PayoutRequest", {"reference_number": value}) for value in (0, 10_000_000, "1", 1.5)],
    *[("RefundRequest", {"reason": value}) for value in ("", " ", "x" * 251, None, 7)],
    *[("RefundRequest", {"amount": amount}) for amount in (0, 1.5, "1")],
    ("RefundRequest", {"destination": {"clabe": "0121", "name": "Ana"}}),
    *[("EndpointRequest", {"url": value}) for value in ("", "merchant.example", "https://a b.mx", "https://a\\b", 7)],
    *[("EndpointRequest", {"secret": value}) for value in ("", "whsec_a", "x" * 40, "whsec_" + "=" * 40)],
    *[("EndpointRequest", {"ordered": value}) for value in (1, "true", None)],
    *[("ReportRequest", {"start_date": value}) for value in ("", "2026-02-30", "26-01-01", "2026-01-01T00:00:00Z")],
]
QUERIES = [
    ("/v1/payments", "cursor", ("", "x", "a" * 31, "a" * 201, "=" * 40)),
    ("/v1/payments", "created_at[gte]", ("", "2026-02-30", "today", "2026-11-26 10:00:00Z")),
    ("/v1/payments", "amount[gte]", ("", "-1", "1.5", str(2**53))),
    ("/v1/payments", "q", ("", " ", "a\tb", "x" * 101)),
    ("/v1/payments", "external_id[prefix]", ("", " ", "x" * 101)),
    ("/v1/payouts", "tracking_key", ("", "x" * 31)),
    ("/v1/refunds", "payment", ("", " ", "x" * 41)),
    ("/v1/refunds", "status", ("", "paid")),
    ("/v1/destinations", "clabe", ("", "0121", "01218001502533599 ")),
    ("/v1/destinations?clabe=012180015025335996", "limit", ("", "0", "x")),
    ("/v1/balance", "as_of", ("", "2026-11-26", "2026-02-30T00:00:00Z")),
    ("/v1/events", "after_sequence", ("", "-1", str(10**18))),
    ("/v1/reports", "status", ("", "done")),
    ("/v1/topups", "limit", ("", "0", "101")),
]


def schema_of(reference: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator(
        {**reference, "components": document()["components"]}, format_checker=FormatChecker(["date", "date-time"])
    )


@pytest.mark.django_db
def test_a_body_that_the_schema_refuses_is_400(api, stp):
    before = rows()

    for number, (name, changes) in enumerate(BODIES):
        path, valid = TARGETS[name]
        validator = schema_of({"$ref": f"#/components/schemas/{name}"})
        assert validator.is_valid(valid), name
        assert not validator.is_valid(valid | changes), (name, changes)
        answer = api.post(path, valid | changes, key=f"k-{number}")
        assert answer.status_code == 400, (name, changes, answer.content)
        assert answer.json()["errors"], answer.content

    assert rows() == before


@pytest.mark.django_db
def test_a_query_that_the_schema_refuses_is_400(api):
    found = {(verb, path): operation for verb, path, operation in operations(document())}

    for path, name, values in QUERIES:
        (parameter,) = [p for p in found["get", path.partition("?")[0]]["parameters"] if p.get("name") == name]
        for value in values:
            typed = (
                int(value) if parameter["schema"].get("type") == "integer" and value.lstrip("-").isdigit() else value
            )
            assert not schema_of(parameter["schema"]).is_valid(typed), (path, name, value)
            answer = api.get(f"{path}{'&' if '?' in path else '?'}{urlencode({name: value})}")
            assert answer.status_code == 400, (path, name, value, answer.content)
            assert [error["field"] for error in answer.json()["errors"]] == [name]


@pytest.mark.django_db
def test_a_value_that_no_schema_can_refuse_is_422_with_its_field(api, stp):
    before = rows()

    for name, changes, field in [
        ("PaymentRequest", {"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ("PaymentRequest", {"expires_at": "9999-12-31T23:59:59-23:59"}, "expires_at"),
        ("PaymentRequest", {"customer": {"email": "ana@example"}}, "customer.email"),
        ("ClabeRequest", {"min_amount": 2, "max_amount": 1}, "min_amount"),
        (
            "PayoutRequest",
            {"destination": {**PAYOUT["destination"], "clabe": "012180015025335997"}},
            "destination.clabe",
        ),
        ("PayoutRequest", {"destination": {**PAYOUT["destination"], "name": "王"}}, "destination.name"),
        ("PayoutRequest", {"concept": "x" * 41}, "concept"),
        ("PayoutRequest", {"scheduled_for": "2020-01-01T00:00:00Z"}, "scheduled_for"),
        ("RefundRequest", {"payment": None}, "payment"),
        ("RefundRequest", {"destination": {"clabe": "012180015025335997", "name": "Ana"}}, "destination.clabe"),
        ("ReportRequest", {"end_date": "2025-12-31"}, "end_date"),
        ("ReportRequest", {"start_date": "2025-12-31", "end_date": "2027-01-01"}, "end_date"),
    ]:
        path, valid = TARGETS[name]
        assert schema_of({"$ref": f"#/components/schemas/{name}"}).is_valid(valid | changes), (name, changes)
        assert_problem(api.post(path, valid | changes, key="k"), 422, "invalid_request", field)

    assert rows() == before


def test_a_schema_fault_decides_over_an_unusable_value(api, stp, db):
    answer = api.post("/v1/payments", {**SPEI, "expires_at": "2020-01-01T00:00:00Z", "colour": "red"})

    assert_problem(answer, 400, "unknown_field", "colour", "expires_at")


def test_bodies_of_merchants_are_closed_and_those_of_providers_open():
    schemas = document()["components"]["schemas"]

    for _, path, operation in operations(document()):
        for media in operation.get("requestBody", {}).get("content", {}).values():
            schema = media["schema"]
            name = schema.get("$ref", "").rpartition("/")[2]
            is_open = schemas.get(name, schema).get("additionalProperties") is not False
            assert is_open == (operation["tags"] == [PROVIDERS]), path
    assert all(schema["additionalProperties"] is False for name, schema in schemas.items() if name.endswith("Request"))
