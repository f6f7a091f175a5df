"""Network addresses as sockets and proxies write them.

Pure functions without Django: what decides by address (allow lists, limits, records) reads it here.
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
"""Bits of an IPv6 address that a provider assigns: the rest is for its customer to choose."""


def client(peer: str, forwarded_for: str, proxies: int) -> str:
    """The caller's address in canonical form; "" if it cannot be read.

    ``peer`` is the other end of the connection and ``forwarded_for`` the value of X-Forwarded-For, to which
    ``proxies`` trusted proxies appended one entry each. The caller is the entry of the outermost of them; entries
    further left are the caller's own claims. A missing or unreadable entry gives "", never the proxy's own address:
    one that is allowed, or shared by all callers, must not stand in for an unknown one.
    """
    if not proxies:
        return read(peer)
    entries = forwarded_for.split(",")
    return read(entries[-proxies]) if len(entries) >= proxies else ""


@lru_cache(maxsize=256)
def read(text: str) -> str:
    """One address in canonical form, without port, brackets and zone, IPv4-mapped IPv6 as IPv4; "" if it is none."""
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
    """A network in CIDR notation, or one address as a network of its own; IPv4-mapped IPv6 as IPv4.

    Raises ``ValueError``; if ``strict`` also for bits to the right of the mask.
    """
    found = ip_network(text, strict=strict)
    mapped = found.network_address.ipv4_mapped if isinstance(found, IPv6Network) else None
    if mapped is not None and found.prefixlen >= _MAPPED_BITS:
        return IPv4Network((mapped, found.prefixlen - _MAPPED_BITS))
    return found


def within(address: str, networks: Iterable[Network | str]) -> bool:
    """True if ``address``, in canonical form, is in one of ``networks``; "" is in none."""
    if not address:
        return False
    known = ip_address(address)
    return any(known in (network(given) if isinstance(given, str) else given) for given in networks)


def customer(address: str) -> str:
    """What one customer of an internet provider has, for counting: an IPv4 address, or an IPv6 network (/64)."""
    known = ip_address(address)
    return str(ip_network((known, _PER_CUSTOMER), strict=False)) if isinstance(known, IPv6Address) else address
