"""The catalogue of event types."""

from __future__ import annotations

import re

from merchants.services import event_type
from tests.paths import ROOT

ROOMS = ["merchants", "kyc", "payments", "webhooks", "reconciliation", "staff"]
RECORDED = re.compile(r'"((?:' + "|".join({name.partition(".")[0] for name in event_type.TYPES}) + r')\.[a-z_]+)"')


def test_every_type_that_the_code_records_is_in_the_catalogue():
    found = {
        name
        for room in ROOMS
        for path in (ROOT / room).rglob("services/**/*.py")
        for line in path.read_text().splitlines()
        if re.search(r"\b(event_)?type\b|record|_save\(|return", line)
        for name in RECORDED.findall(line)
    }

    assert {"payment.created", "payout.returned", "webhook_endpoint.paused", "report.ready"} <= found
    assert found - event_type.TYPES == set()
