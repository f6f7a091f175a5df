"""Addresses as sockets and proxies write them, read by one function."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from core import addresses

WRITTEN = {
    "203.0.113.7": "203.0.113.7",
    "203.0.113.7:41234": "203.0.113.7",
    "203.0.113.7:0": "203.0.113.7",
    " 203.0.113.7\t": "203.0.113.7",
    "::ffff:203.0.113.7": "203.0.113.7",
    "::FFFF:203.0.113.7": "203.0.113.7",
    "::ffff:cb00:7107": "203.0.113.7",
    "0:0:0:0:0:ffff:203.0.113.7": "203.0.113.7",
    "[::ffff:203.0.113.7]": "203.0.113.7",
    "[::ffff:203.0.113.7]:41234": "203.0.113.7",
    "::ffff:127.0.0.1": "127.0.0.1",
    "2001:db8::7": "2001:db8::7",
    "2001:DB8:0:0:0:0:0:7": "2001:db8::7",
    "[2001:db8::7]": "2001:db8::7",
    "[2001:db8::7]:443": "2001:db8::7",
    "fe80::7%eth0": "fe80::7",
    "::1": "::1",
}
UNREADABLE = [
    "",
    " ",
    "unknown",
    "_hidden",
    "unix:",
    "localhost",
    "pay.example.mx",
    "203.0.113",
    "203.0.113.256",
    "203.0.113.07",
    "203.0.113.7:",
    "203.0.113.7:65536",
    "203.0.113.7:x",
    "203.0.113.7:80:80",
    "203.0.113.7/32",
    "203.0.113.7 203.0.113.8",
    "٢٠٣.0.113.7",
    "[203.0.113.7]:80",
    "[2001:db8::7",
    "2001:db8::7]",
    "[2001:db8::7]443",
    "[]:80",
    "2001:db8:0:0:0:0:0:7:443",
    '"203.0.113.7"',
    "for=203.0.113.7",
    "203.0.113.7\n",
    "203.0.113.7\0",
    "7" * 5_000,
]


@pytest.mark.parametrize(("text", "address"), [*WRITTEN.items(), *((text, "") for text in UNREADABLE)])
def test_an_address_is_one_however_it_is_written(text: str, address: str) -> None:
    assert addresses.read(text) == address
    assert addresses.client(text, "198.51.100.1", 0) == address
    if "," not in text:
        assert addresses.client("10.0.0.1", text, 1) == address
        assert addresses.client("10.0.0.1", f"198.51.100.1, {text}", 1) == address
        assert addresses.client("10.0.0.1", f"198.51.100.1,{text}, 10.0.0.2:80", 2) == address


@pytest.mark.parametrize(
    ("forwarded", "proxies", "address"),
    [
        ("203.0.113.7", 0, "10.0.0.1"),
        ("203.0.113.7", 1, "203.0.113.7"),
        ("203.0.113.7", 2, ""),
        ("", 1, ""),
        (",", 1, ""),
        ("203.0.113.7,", 1, ""),
        ("203.0.113.7, ,", 1, ""),
        (",203.0.113.7", 1, "203.0.113.7"),
        ("203.0.113.7, 198.51.100.1", 1, "198.51.100.1"),
        ("203.0.113.7, 198.51.100.1", 2, "203.0.113.7"),
        ("203.0.113.7, 198.51.100.1", 3, ""),
        ("203.0.113.7, unknown", 1, ""),
        ("unknown, 198.51.100.1", 1, "198.51.100.1"),
        ("203.0.113.7, unknown", 2, "203.0.113.7"),
        ("10.9.9.9, 203.0.113.7:41234, [::ffff:198.51.100.1]:80", 2, "203.0.113.7"),
    ],
)
def test_the_caller_is_who_the_outermost_trusted_proxy_saw(forwarded: str, proxies: int, address: str) -> None:
    assert addresses.client("10.0.0.1", forwarded, proxies) == address


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("203.0.113.7", "203.0.113.7/32"),
        ("203.0.113.0/24", "203.0.113.0/24"),
        ("::ffff:203.0.113.7", "203.0.113.7/32"),
        ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("2001:db8::/32", "2001:db8::/32"),
    ],
)
def test_a_mapped_network_is_the_ipv4_network(text: str, network: str) -> None:
    assert addresses.network(text) == ip_network(network)


@pytest.mark.parametrize(
    ("address", "networks", "inside"),
    [
        ("203.0.113.7", ["203.0.113.0/24"], True),
        ("203.0.113.7", ["::ffff:203.0.113.0/120"], True),
        ("203.0.113.7", [ip_network("198.51.100.0/24"), ip_network("203.0.113.0/24")], True),
        ("203.0.113.7", ["::/0"], False),
        ("2001:db8::7", ["0.0.0.0/0"], False),
        ("203.0.113.7", [], False),
        ("", ["0.0.0.0/0", "::/0"], False),
    ],
)
def test_an_unknown_address_is_in_no_network(address: str, networks: list[str], inside: bool) -> None:
    assert addresses.within(address, networks) is inside


@pytest.mark.parametrize(
    ("address", "customer"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2::7", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::7", "2001:db8:1:3::/64"),
    ],
)
def test_the_addresses_of_one_customer_count_as_one(address: str, customer: str) -> None:
    assert addresses.customer(address) == customer
