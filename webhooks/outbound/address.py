"""Which URLs a merchant's webhooks may have, and which network addresses a delivery may connect to.

Names are judged by what they resolve to, at every connection. The text of a URL is checked as well, so that a URL
means the same to every program that reads it.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import httpx2
from django.conf import settings

MAX_LENGTH = 2048
PATTERN = r"^[A-Za-z][A-Za-z0-9+.\-]*://[^\s\x00-\x20\x7f-\x9f\\]+$"
"""What a schema can say about a URL."""
PORTS = (443, 8443)
RESOLVE_SECONDS = 5.0
"""How long the check of a new URL waits for its name to be resolved."""

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>.*)")
_UNSAFE = re.compile(r"[\x00-\x20\x7f-\x9f\\]|\s")
_LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)+(?=[a-z]){_LABEL}")
"""A domain name with at least two labels; the last begins with a letter, so that it is no number in any spelling."""

_LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1/128")]

# Explicit, because the flags of Python's ipaddress vary by version and overlook translated addresses.
_DENIED_V4 = [
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's host agent, which serves credentials
        "169.254.0.0/16",  # link-local, with the clouds' metadata services
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
]
_GLOBAL_V6 = ip_network("2000::/3")
"""All that is assigned as global unicast. Outside of it: loopback, link-local, unique local, multicast, IPv4-mapped and
IPv4-compatible addresses, NAT64 (64:ff9b::/96, 64:ff9b:1::/48), segment routing, discard."""
_DENIED_V6 = [
    ip_network(text)
    for text in (
        "2001::/23",  # Teredo, ORCHID, benchmarking
        "2001:db8::/32",
        "2002::/16",  # 6to4: contains any IPv4 address
        "3ffe::/16",
        "3fff::/20",
    )
]


class UrlRefused(Exception):
    """This URL may not receive webhooks. ``code`` is stable; ``message`` says why and is meant for the merchant."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def check_url(url: str) -> None:
    """Check a URL before it is stored: its form, and every address that its name resolves to now.

    Raises ``UrlRefused``. Waits up to ``RESOLVE_SECONDS`` for the name server.
    """
    host = parse(url).raw_host.decode("ascii")
    try:
        allowed(resolve(host, RESOLVE_SECONDS))
    except TimeoutError:
        raise UrlRefused("unresolvable", "The URL's host name was not resolved in time. Try again.") from None


def parse(url: str) -> httpx2.URL:
    """The URL, if its form is allowed; its ``raw_host`` is ASCII. Raises ``UrlRefused``."""
    if len(url) > MAX_LENGTH:
        raise UrlRefused("too_long", "The URL has more than 2,048 characters.")
    parts = _URL.fullmatch(url)
    if parts is None or _UNSAFE.search(url):
        raise UrlRefused(
            "invalid_url", "This is not an absolute URL, or it contains spaces, control characters or a backslash."
        )
    scheme, authority, rest = parts["scheme"].lower(), parts["authority"], parts["rest"]
    if scheme != "https" and not (scheme == "http" and settings.WEBHOOK_ALLOW_HTTP):
        raise UrlRefused("not_https", "The URL must begin with https://.")
    if "@" in authority:
        raise UrlRefused("userinfo", "The URL must not contain a user name or password.")
    if "#" in rest:
        raise UrlRefused("fragment", "The URL must not contain a fragment (#).")
    try:
        target = httpx2.URL(url)
    except httpx2.InvalidURL:
        raise UrlRefused("invalid_url", "The URL's host or port is not valid.") from None
    _check_host(authority, target.raw_host.decode("ascii"))
    port = (443 if scheme == "https" else 80) if target.port is None else target.port
    if port not in (range(1, 65536) if settings.WEBHOOK_ALLOW_HTTP else PORTS):
        raise UrlRefused("port", "The URL's port must be 443 or 8443.")
    return target


def _check_host(authority: str, host: str) -> None:
    """Refuse other spellings of addresses: decimal, octal, hexadecimal, short, percent-encoded, in other scripts."""
    if authority.startswith("["):
        written = authority[1:].partition("]")[0]
    else:
        written = authority.partition(":")[0]
    if _DOMAIN.fullmatch(host) or host == "localhost":
        return
    try:
        address = ip_address(host)
    except ValueError:
        address = None
    if address is None or isinstance(address, IPv4Address) and written != str(address):
        raise UrlRefused("host", "The URL's host must be a full domain name, or an IP address in its usual spelling.")


def resolve(host: str, seconds: float) -> list[str]:
    """All addresses of ``host`` (ASCII), each once. Tests replace this function.

    Raises ``UrlRefused`` if there are none and ``TimeoutError`` after ``seconds``: the system's resolver has no limit
    of its own, so it runs in a thread, which ends when the resolver gives up.
    """
    try:
        return [str(ip_address(host))]
    except ValueError:
        pass
    found: list[str] = []

    def look_up() -> None:
        try:
            answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        found.extend(dict.fromkeys(str(answer[4][0]) for answer in answers))

    thread = threading.Thread(target=look_up, name="resolve", daemon=True)
    thread.start()
    thread.join(max(seconds, 0))
    if thread.is_alive():
        raise TimeoutError(f"{host} was not resolved within {seconds:.1f} s")
    if not found:
        raise UrlRefused("unresolvable", "The URL's host name cannot be resolved.")
    return found


def allowed(addresses: Sequence[str]) -> Sequence[str]:
    """``addresses``, if every one may be connected to. Raises ``UrlRefused`` otherwise.

    One forbidden address is enough: the owner of the name chooses which of them is used.
    """
    for text in addresses:
        if not _is_public(ip_address(text)):
            raise UrlRefused("address", "The URL's host must have public addresses only.")
    return addresses


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if any(address in network for network in _LOOPBACK):
        return bool(settings.WEBHOOK_ALLOW_HTTP)
    if isinstance(address, IPv4Address):
        return address.is_global and not any(address in network for network in _DENIED_V4)
    return (
        address.is_global
        and address in _GLOBAL_V6
        and not any(address in network for network in _DENIED_V6)
        and not address.scope_id
    )
