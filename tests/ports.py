"""Ports that stay ours while their server is away."""

from __future__ import annotations

import socket


def hold_port() -> int:
    """A port of 127.0.0.1 that the kernel gives to nobody else until this process ends (Linux, tcp(7)).

    It is bound and not listened on: a server that sets SO_REUSEADDR, as all of ours do, may listen there, stop and
    listen again, and meanwhile whoever connects is refused.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    port = int(holder.getsockname()[1])
    holder.detach()  # from here on only the end of the process closes it
    return port
