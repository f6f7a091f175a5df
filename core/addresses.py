"""Parsing of network addresses as sockets and proxies write them, for allow lists, rate limits and logs.

Pure functions without Django.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

_WITH_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::([0-9]{1,5}))?\Z")
"""203.0.113.7:41234, [2001:db8::7]:41234, and either without a port."""

_MAPPED_BITS = 96
_PER_CUSTOMER = 64
"""Prefix length of the IPv6 network that an internet provider assigns to one customer."""


def client(peer: str, forwarded_for: str, proxies: int) -> str:
    """The client's address in canonical form; "" if it cannot be parsed.

    ``peer`` is the other end of the connection and ``forwarded_for`` the value of X-Forwarded-For, to which
    ``proxies`` trusted proxies appended one entry each. The client is the entry that the outermost of them appended;
    entries further left are claims of the client. A missing or malformed entry gives "", never the proxy's address,
    which may be on an allow list and is shared by all clients.
    """
    if not proxies:
        return read(peer)
    entries = forwarded_for.split(",")
    return read(entries[-proxies]) if len(entries) >= proxies else ""


@lru_cache(maxsize=256)
def read(text: str) -> str:
    """One address in canonical form, without port, brackets and zone, IPv4-mapped IPv6 as IPv4; "" if invalid."""
    text = text.strip(" \t")
    parts = _WITH_PORT.match(text)
    if parts:
        bracketed, plain, port = parts.groups()
        if port and int(port) > 65535 or bracketed and ":" not in bracketed:
            return ""
        text = bracketed or plain
    try:
        address = ip_address(text)
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or IPv6Address(int(address)))
    return str(address)


def network(text: str, *, strict: bool = True) -> Network:
    """A network in CIDR notation, or a single address as a network; IPv4-mapped IPv6 as IPv4.

    Raises ``ValueError``, if ``strict`` also for host bits that are set.
    """
    found = ip_network(text, strict=strict)
    mapped = found.network_address.ipv4_mapped if isinstance(found, IPv6Network) else None
    if mapped is not None and found.prefixlen >= _MAPPED_BITS:
        return IPv4Network((mapped, found.prefixlen - _MAPPED_BITS))
    return found


def within(address: str, networks: Iterable[Network | str]) -> bool:
    """True if ``address`` (canonical) is in one of ``networks``; "" is in none."""
    if not address:
        return False
    known = ip_address(address)
    return any(known in (network(given) if isinstance(given, str) else given) for given in networks)


def customer(address: str) -> str:
    """The unit to count one customer of an internet provider by: an IPv4 address, or an IPv6 /64 network."""
    known = ip_address(address)
    return str(ip_network((known, _PER_CUSTOMER), strict=False)) if isinstance(known, IPv6Address) else address
