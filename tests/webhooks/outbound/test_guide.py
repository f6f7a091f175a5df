"""The receivers of docs/guides/webhooks.md do what the guide says of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.concurrency.threads import soon
from tests.paths import ROOT
from tests.ports import hold_port
from tests.webhooks.outbound import npm
from webhooks.outbound import signing
from webhooks.outbound.exchange import post

Run = Callable[[list[str], Path], int]


def block(language: str) -> str:
    """The guide's only code in that language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / "docs/guides/webhooks.md").read_text(), re.M | re.S)
    return found


def in_python(folder: Path) -> list[str]:
    (folder / "receiver.py").write_text(block("python"))
    return [sys.executable, "receiver.py"]


def in_node(folder: Path) -> list[str]:
    npm.install(folder)
    (folder / "receiver.mjs").write_text(block("js"))
    return ["node", "receiver.mjs"]


@pytest.mark.parametrize("written", [in_python, in_node])
def test_the_guides_receiver_verifies_and_handles_each_event_once(settings, tmp_path, written):
    settings.WEBHOOK_ALLOW_HTTP = True
    command, port, secret, printed = written(tmp_path), hold_port(), signing.new_secret(), tmp_path / "printed"
    url, now = f"http://127.0.0.1:{port}/webhooks", int(time.time())
    body = json.dumps(
        {"id": "evt_1", "type": "payment.completed", "data": {"object": {"id": "pay_ñ"}}}, ensure_ascii=False
    ).encode()
    genuine = signing.headers([signing.new_secret(), secret], "evt_1", now, body)
    environ = {"PATH": os.environ["PATH"], "WEBHOOK_SECRET": secret, "PORT": str(port), "PYTHONIOENCODING": "utf-8"}

    with printed.open("wb") as out, subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=out) as receiver:
        try:
            assert soon(lambda: post(url, genuine, body).status == 204)
            statuses = [
                post(url, headers, sent).status
                for headers, sent in (
                    (genuine, body),
                    (genuine, body.replace(b"pay_", b"po_")),
                    (signing.headers([signing.new_secret()], "evt_1", now, body), body),
                    (signing.headers([secret], "evt_1", now - 3600, body), body),
                    (genuine | {"webhook-signature": "v1"}, body),
                    ({}, body),
                )
            ]
        finally:
            receiver.terminate()

    assert statuses == [204, 401, 401, 401, 401, 401]
    assert printed.read_text() == "payment.completed pay_ñ\n"
