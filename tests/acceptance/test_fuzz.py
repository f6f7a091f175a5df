"""Whatever anybody sends, the running API answers what its document says, and never 5xx.

50 examples an operation; ``FULL=1`` takes 2,000: ``make prove FULL=1 ARGS=tests/acceptance/test_fuzz.py``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from tests.acceptance.story import Story
from tests.promises import pick
from tests.web_process import ROOT, basic

pytest_plugins = ["tests.sandbox_process"]

NOT_ALWAYS_GOOD = {
    "list_payments": "a made-up cursor is sealed by nobody, and an empty moment is none",
    "list_clabes": "a made-up cursor",
    "list_events": "a made-up cursor",
    "list_reports": "a made-up cursor",
    "list_api_keys": "a made-up cursor",
    "list_balance_transactions": "a made-up cursor, an empty moment",
    "read_balance": "a moment that is still to come",
    "create_payment": "an expiry that has passed or is too far off",
    "create_clabe": "a least amount above the most",
    "create_report": "days in the wrong order, or still to come",
    "roll_api_key": "an end that has passed or is too far off",
    "list_payouts": "a made-up cursor, an empty moment",
    "list_topups": "a made-up cursor, an empty moment",
    "list_destinations": "a made-up cursor, a text that is no CLABE",
    "create_payout": "a scheduled time that has passed or is too far off",
    "create_webhook_endpoint": "a URL whose host cannot be reached from everywhere",
    "update_webhook_endpoint": "a URL whose host cannot be reached from everywhere",
    "rotate_webhook_secret": "a text that is no secret",
    "replay_events": "a period that is too long ago or ends before it begins",
    "list_webhook_endpoints": "a made-up cursor",
    "list_deliveries": "a made-up cursor",
    "pay_test_payment": "an amount that the simulator of a provider does not take",
    "stp_deposit": "a transfer that cannot be booked is sent back (400)",
    "stp_order": "a notice without a body",
    "conekta_event": "a notice without a body",
}
"""Operation -> what of the data that its document allows is refused all the same: no schema can say it."""

CONFIG = """
headers = {{ Authorization = "Bearer {secret}" }}
suppress-health-check = ["all"]
[generation]
max-examples = {examples}
database = "none"
no-shrink = true
[checks]
positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "409", "422"]
[[operations]]
include-operation-id = {not_always_good}
[operations.checks]
positive_data_acceptance.enabled = false
[[operations]]
include-path = "/webhooks/stp/deposits"
headers = {{ Authorization = "{stp}" }}
[[operations]]
include-path = "/webhooks/conekta"
[operations.checks]
ignored_auth.enabled = false
missing_required_header.enabled = false
negative_data_rejection.enabled = false
"""
"""Good data is accepted but for ``NOT_ALWAYS_GOOD``, bad data refused. Whatever is sent to Conekta's address is signed
(``fuzz_hooks``), so it never lacks its credential, and is kept whatever is in it."""


@pytest.mark.promise("P27", "every operation of the API, asked what its document allows and what it does not")
@pytest.mark.timeout(pick(1_200, 14_400))
def test_whatever_is_sent_is_answered_as_documented(trials, live, conekta_private_key, tmp_path):
    told = Story(live)
    told.tell()
    config = tmp_path / "schemathesis.toml"
    config.write_text(
        CONFIG.format(
            secret=live.api.secret,
            stp=basic("stp-test", live.stp.secret),
            examples=pick(50, 2_000),
            not_always_good=json.dumps(list(NOT_ALWAYS_GOOD)),
        )
    )

    ended = fuzz(live, config, conekta_private_key, told.ids, tmp_path)

    assert ended.returncode == 0, ended.stdout[-20_000:] + ended.stderr[-2_000:]
    said = Counter(json.loads(line).get("status") for line in live.web.log.read_text().splitlines())
    assert not {status for status in said if status and status >= 500}
    assert {200, 201, 400, 401, 404} <= said.keys()
    trials.done(sum(count for status, count in said.items() if status), "requests")


def fuzz(live: Any, config: Path, key: Any, ids: dict[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    environ |= {
        "SCHEMATHESIS_HOOKS": "tests.acceptance.fuzz_hooks",
        "FUZZ_KNOWN": json.dumps({"conekta_key": pem, "ids": ids}),
    }
    command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(config), "run"]
    command += [f"http://127.0.0.1:{live.web.port}/v1/openapi.json", "--workers", "1", "--seed", "20261123"]
    command += ["--continue-on-failure", "--warnings", "off", "--phases", "examples,coverage,fuzzing"]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
