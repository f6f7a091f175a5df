"""``make demo`` does the main job over HTTP, says so truthfully, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import httpx2

from tests.acceptance.demo import CHILDREN, Demo, alive
from tests.cluster import ROOT


def test_the_demo_serves_what_it_reports_beside_one_whose_step_fails(start):
    demo = start()
    broken = start("broken", DEMO_ONCE="1")
    broken.wait_for(lambda: "web" in broken.children())
    os.kill(broken.children()["sandbox"][0], signal.SIGKILL)

    assert broken.process.wait(300) == 1, broken.output()
    assert "FAILED: " in broken.output()
    assert "Every step held" not in broken.output()
    assert alive(broken.children()) == []
    demo.serving()

    facts = json.loads((demo.home / "demo.json").read_text())
    balance = httpx2.get(
        f"{facts['base_url']}/v1/balance", headers={"Authorization": f"Bearer {facts['api_key']}"}, trust_env=False
    ).json()
    httpx2.post(
        f"{facts['base_url']}/v1/payments",
        headers={"Authorization": f"Bearer {facts['api_key']}", "Idempotency-Key": "while-serving"},
        json={"method": "spei", "amount": 100, "currency": "MXN"},
        trust_env=False,
    ).raise_for_status()
    demo.wait_for(lambda: re.search(r"^  webhook: payment\.created +pay_", demo.output(), re.M))
    second = Demo(demo.home)
    children, keys = demo.children(), demo.home / "stp-keys"
    environments = {name: Path(f"/proc/{pid}/environ").read_text() for name, (pid, _) in children.items()}

    assert stat.S_IMODE((demo.home / "demo.json").stat().st_mode) == 0o600
    assert set(facts) == {
        "base_url",
        "sandbox_url",
        "api_key",
        "admin_url",
        "admin_user",
        "admin_password",
        "approver_user",
        "approver_password",
        "database_url",
        "owner_database_url",
    }
    came, went = 98_840 + 19_768, 20_000 + 15_010 + 3 * 580
    assert (balance["available"], balance["pending"], balance["reserved"]) == (came - went, 48_144, 0)
    assert "Every step held" in demo.output()
    assert demo.output().count("✓") == 26
    told = demo.output().partition("the merchant's receiver got, and verified:\n")[2]
    assert re.findall(r"^    (payment|payout)\.(\w+) ", told, re.M).count(("payment", "completed")) == 3
    assert re.findall(r"payout po_\w+: (\w+)", demo.output()) == ["completed", "completed", "returned"]
    assert "10 transactions, 32 entries" in demo.output()
    assert [name for name, environ in environments.items() if f"STP_SIGNING_KEYS={keys}\0" in environ] == ["worker"]
    assert [(key.stem[:4], stat.S_IMODE(key.stat().st_mode)) for key in keys.iterdir()] == [("pac_", 0o600)]
    assert httpx2.get(facts["admin_url"], trust_env=False, follow_redirects=True).status_code == 200
    assert httpx2.get(f"{facts['base_url']}/v1/docs", trust_env=False).status_code == 200
    assert (second.process.wait(300), "already running" in demo.output()) == (1, True)
    assert sorted(children) == CHILDREN
    assert sorted(alive(children)) == CHILDREN

    os.killpg(demo.process.pid, signal.SIGINT)

    assert demo.process.wait(300) == 0
    assert alive(children) == []
    assert demo.children() == {}


def test_killing_the_demo_takes_all_its_processes_along_and_clean_stops_the_next(start):
    demo = start()
    demo.wait_for(lambda: sorted(demo.children()) == CHILDREN)
    children = demo.children()

    demo.process.kill()
    demo.process.wait()

    demo.wait_for(lambda: alive(children) == [], seconds=15)

    again = start()
    again.wait_for(lambda: sorted(alive(again.children())) == CHILDREN)
    children = again.children()
    cleaned = subprocess.run(
        [sys.executable, "-m", "payments_site.demo", "clean"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "DEMO_HOME": str(again.home)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (cleaned.returncode, sorted(cleaned.stdout.split())) == (0, sorted(["stopped"] * 5 + CHILDREN))
    assert alive(children) == []
    assert again.process.wait(60) != 0
