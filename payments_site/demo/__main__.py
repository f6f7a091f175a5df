"""``python -m payments_site.demo``: start everything, take and send money over HTTP, report, serve until Ctrl-C.

Environment: ``PORT`` of the web server (default: a free one), ``DEMO_ONCE=1`` to stop after the report, ``DEMO_HOME``
for the data (default ``var/``).
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import httpx2

from core.money import format_mxn
from payments_site import env
from payments_site.demo.house import House, wait_until_unused
from payments_site.demo.receiver import describe
from payments_site.demo.story import StepFailed, Story
from payments_site.embedded.postgres import EmbeddedPostgres
from payments_site.embedded.process import EmbeddedError, die_with_parent, stop_recorded


class Stopped(BaseException):
    """The demo received a stop signal."""


def main(argv: list[str]) -> int:
    """Return the exit code: 0 if every step succeeded, 1 if one failed, 2 for a usage error."""
    if argv not in ([], ["clean"]):
        print("usage: python -m payments_site.demo [clean]", file=sys.stderr)
        return 2
    try:
        wish = env.Demo.from_env()
    except env.EnvironmentVariableError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    if argv:
        return clean(wish.home)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    signal.signal(signal.SIGALRM, _tick)
    if "MAKELEVEL" in os.environ:
        die_with_parent()
    try:
        house = House(wish.home)
    except EmbeddedError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    try:
        return run(house, wish)
    except Stopped:
        print("\nStopping …")
        return 0
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        house.stop()


def run(house: House, wish: env.Demo) -> int:
    """Start the processes, run the story, report, serve."""
    started = time.monotonic()
    try:
        print(f"Starting (data in {_short(house.var)}/, logs in {_short(house.logs)}/)")
        receiver = house.start(_step, port=wish.port)
        story = Story(
            base_url=house.base_url,
            sandbox_url=house.sandbox_url,
            api_key=house.api_key,
            conekta_api_key=house.secrets["conekta_api_key"],
            receiver=receiver,
        )
        print("\nThe main job, over HTTP only")
        story.tell(_step)
        audit = _step("manage.py audit_ledger", lambda: house.manage("audit_ledger").strip())
    except (EmbeddedError, StepFailed, httpx2.HTTPError) as error:
        print(f"\nFAILED: {error}\nLogs: {house.logs}", file=sys.stderr)
        return 1
    report(house, story, audit, time.monotonic() - started)
    if wish.once:
        return 0
    receiver.on_event = lambda event: print(f"  webhook: {describe(event)}", flush=True)
    return serve(house)


def report(house: House, story: Story, audit: str, seconds: float) -> None:
    """Print the balances, the payments and payouts, and the addresses to open."""
    before, after = story.before, story.after
    print(f"\nEvery step held, in {seconds:.1f} s.")
    print(f"  {'':22}{'before':>14}{'after':>14}")
    for name, meaning in (("available", "available (SPEI)"), ("pending", "pending (OXXO)")):
        print(f"  {meaning:22}{format_mxn(before[name]):>14}{format_mxn(after[name]):>14}")
    for payment in (story.spei, story.oxxo):
        print(
            f"  {payment['method'].upper()} {payment['id']}: received {format_mxn(payment['amount_received'])}, "
            f"fee {format_mxn(payment['fee'])} + IVA {format_mxn(payment['fee_tax'])}, net {format_mxn(payment['net'])}"
        )
    for payout in story.payouts.values():
        print(
            f"  payout {payout['id']}: {payout['status']}, {format_mxn(payout['amount'])}, "
            f"fee {format_mxn(payout['fee'])} + IVA {format_mxn(payout['fee_tax'])}"
        )
    print("  the merchant's receiver got, and verified:")
    for event in story.receiver.events.values():
        print(f"    {describe(event)}")
    print(f"  {audit}")
    print(
        f"\nLook around\n"
        f"  Admin        {house.base_url}/admin/   user {house.secrets['admin_user']}   "
        f"password {house.secrets['admin_password']}\n"
        f"  A colleague  who approves: user {house.secrets['approver_user']}   "
        f"password {house.secrets['approver_password']}\n"
        f"  API docs     {house.base_url}/v1/docs\n"
        f"  Payer's page {story.oxxo['payment_page_url']}\n"
        f"  Simulators   {house.sandbox_url}/\n"
        f"  API key      {house.api_key}\n"
        f"  All of it    {_short(house.var)}/demo.json; for manage.py: . {_short(house.var)}/demo.env"
    )


def serve(house: House) -> int:
    """Block until a stop signal; return 1 if a child process exits by itself."""
    print("\nServing. Ctrl-C stops everything; make clean removes the data.", flush=True)
    while (dead := house.dead_process()) is None:
        time.sleep(0.5)
    print(f"\nFAILED: {dead.name} ended by itself; see {dead.log}", file=sys.stderr)
    return 1


def clean(var: Path) -> int:
    """Stop processes left over from a demo or test run of this clone, and remove the servers' data."""
    for run_dir in (var / "run", *var.glob("test/*/run")):
        for name in stop_recorded(run_dir):
            print(f"stopped {name}")
        EmbeddedPostgres(run_dir.parent / "postgres", run_dir=run_dir).remove()
    if not wait_until_unused(var, seconds=15):
        print("demo: a demo of this clone does not end; its data stays", file=sys.stderr)
        return 1
    return 0


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _step(name: str, action: Callable[[], Any]) -> Any:
    """Run one step and print its name, a dot per second while it runs, and its duration."""
    print(f"  {name} ", end="", flush=True)
    started = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, 1, 1)
    try:
        result = action()
    except BaseException:
        print("✗", flush=True)
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    print(f"✓ {time.monotonic() - started:.2f} s", flush=True)
    return result


def _tick(number: int, frame: FrameType | None) -> None:
    print(".", end="", flush=True)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
