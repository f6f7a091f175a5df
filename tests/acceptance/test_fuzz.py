"""Whatever anybody sends, the running API answers what its document says, and never 5xx.

10 examples an operation. ``make prove FULL=1 ARGS=tests/acceptance/test_fuzz.py`` takes 2,000 and chains operations.
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

CONFIG = """
headers = {{ Authorization = "Bearer {secret}" }}
suppress-health-check = ["all"]
[generation]
max-examples = {examples}
database = "none"
no-shrink = true
[checks]
positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "409", "422", "429"]
"""
"""The default checks. 422: the schema allows it, but it cannot be done; 429: too fast."""

PROVIDERS = """
[[operations]]
include-path = "/webhooks/stp/deposits"
headers = {{ Authorization = "{stp}" }}
[operations.checks]
positive_data_acceptance.enabled = false
[[operations]]
include-path = "/webhooks/conekta"
[operations.checks]
ignored_auth.enabled = false
missing_required_header.enabled = false
negative_data_rejection.enabled = false
"""
"""With the credentials of the providers: a transfer that cannot be booked is sent back (400). Notices to Conekta's
address are signed (``fuzz_hooks``), so they never lack their credential, and are stored with any content."""


@pytest.mark.promise("P27", "every operation of the API, asked what its document allows and what it does not")
@pytest.mark.timeout(pick(1_200, 14_400))
def test_whatever_is_sent_is_answered_as_documented(trials, live, conekta_private_key, tmp_path):
    told = Story(live)
    told.tell()
    config = tmp_path / "schemathesis.toml"
    config.write_text(
        (CONFIG + PROVIDERS).format(
            secret=live.api.secret, stp=basic("stp-test", live.stp.secret), examples=pick(10, 2_000)
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
    command += ["--continue-on-failure", "--warnings", "off"]
    command += pick(["--phases", "examples,coverage,fuzzing"], [])  # full counts also chain operations by their links
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
