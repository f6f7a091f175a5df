"""Command line of the simulators: ``python -m sandbox --port 9100 --data DIR [--host 127.0.0.1] [--seed N]``.

Environment: ``SANDBOX_PORT``, ``SANDBOX_DATA`` and ``SANDBOX_SEED`` are defaults of the options;
``SANDBOX_RETRY_DELAY`` sets the seconds before the first retry of a notice.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import signal
import sqlite3
import sys
import threading
from pathlib import Path

from .app import App
from .conekta import Conekta
from .delivery import Delivery
from .server import listen
from .storage import AlreadyOpen, Storage
from .stp import Stp
from .world import World


def options(arguments: list[str]) -> argparse.Namespace:
    """Options from the command line, by default from the environment; exits with a message if one is invalid."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="Simulators of STP and Conekta.")
    parser.add_argument("--port", type=int, default=os.environ.get("SANDBOX_PORT"), help="or SANDBOX_PORT")
    parser.add_argument("--data", type=Path, default=os.environ.get("SANDBOX_DATA"), help="folder; or SANDBOX_DATA")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    seed = "seed of random values, for reproducible ids; needs an empty folder"
    parser.add_argument("--seed", type=int, default=os.environ.get("SANDBOX_SEED"), help=f"{seed}; or SANDBOX_SEED")
    chosen = parser.parse_args(arguments)
    if chosen.port is None or not 0 < chosen.port < 65536:
        parser.error("give a port from 1 to 65535 with --port or SANDBOX_PORT")
    if chosen.data is None:
        parser.error("give a folder with --data or SANDBOX_DATA")
    chosen.retry_delay = None
    if text := os.environ.get("SANDBOX_RETRY_DELAY"):
        try:
            chosen.retry_delay = float(text)
        except ValueError:
            chosen.retry_delay = math.nan
        if not 0 <= chosen.retry_delay < math.inf:
            parser.error("SANDBOX_RETRY_DELAY must be a number of seconds")
    return chosen


def main(arguments: list[str]) -> int:
    """Run until SIGTERM or SIGINT. Returns 0 after a clean shutdown, 1 if it could not start."""
    chosen = options(arguments)
    os.umask(0o077)  # the folder holds private keys and the secrets of webhook URLs
    try:
        storage = Storage(chosen.data)
    except (AlreadyOpen, OSError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    world = World(chosen.seed)
    delivery = Delivery(storage, world)
    stp = Stp(storage, delivery, world, retry_delay=chosen.retry_delay)
    conekta = Conekta(storage, delivery, world, retry_delay=chosen.retry_delay)
    try:
        server = listen(chosen.host, chosen.port)
    except OSError as error:
        print(f"sandbox: cannot listen on {chosen.host}:{chosen.port}: {error}", file=sys.stderr)
        return 1
    server.set_app(App(stp, conekta, world))

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    delivery.start()
    stp.lives.start()
    threading.Thread(target=server.serve_forever, args=(0.2,), name="server", daemon=True).start()
    print(f"sandbox: listening on http://{chosen.host}:{chosen.port}/", file=sys.stderr, flush=True)
    while not stop.wait(1.0):
        with contextlib.suppress(sqlite3.Error):  # a full disk must not stop the loop for good
            conekta.expire_due()
    server.shutdown()
    server.server_close()
    storage.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
