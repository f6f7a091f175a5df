"""Which URLs and addresses webhooks may be sent to. No name server and no public address is contacted."""

from __future__ import annotations

import socket
import threading

import pytest

from webhooks.outbound import address
from webhooks.outbound.address import UrlRefused, check_url

PUBLIC = "93.184.215.14"

FORBIDDEN = """
    0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.255.255.254
    168.63.129.16 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1
    192.168.0.1 192.168.255.255 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1
    255.255.255.255
    :: ::1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:8.8.8.8 ::ffff:0:127.0.0.1 ::ffff:0:8.8.8.8
    64:ff9b::a9fe:a9fe 64:ff9b::808:808 64:ff9b:1::1 64:ff9b:1:ffff::8.8.8.8 100::1 100:0:0:1::1 1fff::1
    2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:10::1 2001:20::1 2001:1ff::1 2001:db8::1
    2002:7f00:1:: 2002:a9fe:a9fe:: 2002:808:808::1 3ffe::1 3fff::1 3fff:fff::1 4000::1 5f00::1 fc00::1 fd00:ec2::254
    fdff::1 fe80::1 fe80::1%lo febf::1 fec0::1 ff02::1 ff0e::1
""".split()
ALLOWED = """
    1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 93.184.215.14 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1
    169.253.255.255 172.15.255.255 172.32.0.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 223.255.255.255
    2001:200::1 2001:4860:4860::8888 2003::1 2400:cb00::1 2606:4700:4700::1111 2a00:1450::1
""".split()

SPELLINGS = """
    https://127.1/ https://127.0.1/ https://2130706433/ https://017700000001/ https://0x7f000001/ https://0x7f.0.0.1/
    https://0177.0.0.1/ https://127.0.0.01/ https://127.000.000.001/ https://0/ https://127.0.0.1./ https://8.8.8.8./
    https://134744072/ https://8.8.2056/ https://0x8.8.8.8/ https://010.8.8.8/ https://8.8.8.8.8/ https://256.1.1.1/
    https://1.1.1.1.in-addr.0x7f/ https://host.1/ https://a.0x1/ https://%31%32%37.0.0.1/ https://example%2ecom/
    https://exam%00ple.com/ https://①②⑦.⓪.⓪.①/ https://１２７.0.0.1/ https://127。0。0。1/ https://8。8。8。8/
    https://8．8．8．8/ https://8｡8｡8｡8/ https://example.com./ https://.example.com/ https://example..com/
    https://-a.example.com/ https://a-.example.com/ https://a_b.example.com/ https://intranet/ https:///hook
    https://[::1/ https://::1/ https://[::1]x/ https://[127.0.0.1]/ https://[v1.a]/ https://exa$mple.com/
    https://example.com:80:443/ https://example.com:x/
    https://ex­ample.com/ https://exampl\u200de.com/ https://🦜🦜.ﬁ1/ https://a.١٢٧/
""".split()

FORMS = [
    ("", "invalid_url"),
    ("merchant.example", "invalid_url"),
    ("//merchant.example/", "invalid_url"),
    ("/hook", "invalid_url"),
    ("https:merchant.example", "invalid_url"),
    ("https:/merchant.example", "invalid_url"),
    ("https://merchant.example/a b", "invalid_url"),
    (" https://merchant.example/", "invalid_url"),
    ("https://merchant.example/\n", "invalid_url"),
    ("https://merchant.example/\x00", "invalid_url"),
    ("https://merchant.example\\@10.0.0.1/", "invalid_url"),
    ("https://merchant.example/\u00a0", "invalid_url"),
    ("http://merchant.example/", "not_https"),
    ("HTTP://merchant.example/", "not_https"),
    ("ftp://merchant.example/", "not_https"),
    ("file:///etc/passwd", "not_https"),
    ("gopher://127.0.0.1:6379/_", "not_https"),
    ("https+unix://merchant.example/", "not_https"),
    ("https://user@merchant.example/", "userinfo"),
    ("https://user:secret@merchant.example/", "userinfo"),
    ("https://@merchant.example/", "userinfo"),
    ("https://merchant.example@10.0.0.1/", "userinfo"),
    ("https://merchant.example/#", "fragment"),
    ("https://merchant.example/hook#part", "fragment"),
    ("https://merchant.example#@10.0.0.1/", "fragment"),
    ("https://merchant.example:80/", "port"),
    ("https://merchant.example:22/", "port"),
    ("https://merchant.example:6379/", "port"),
    ("https://merchant.example:0/", "port"),
    ("https://merchant.example:65536/", "port"),
    ("https://merchant.example:-443/", "port"),
    ("https://merchant.example/" + "x" * 2024, "too_long"),
]


@pytest.fixture
def names(monkeypatch):
    """What each name resolves to; other names fail the test."""
    known = {}
    monkeypatch.setattr(address, "resolve", lambda host, seconds: known[host])
    return known


def refusal(url: str) -> str | None:
    try:
        check_url(url)
    except UrlRefused as refused:
        return refused.code
    return None


@pytest.mark.promise("P16", "private, reserved and translated addresses, alone and beside a public one")
def test_every_address_of_a_name_must_be_public(trials, names):
    cases = [([at], None) for at in ALLOWED] + [(ALLOWED, None)]
    for at in FORBIDDEN:
        cases += [([at], "address"), ([PUBLIC, at], "address"), ([at, PUBLIC], "address")]
    wrong = []

    for answer, expected in cases:
        names["merchant.example"] = answer
        if refusal("https://merchant.example/hook") != expected:
            wrong.append(answer)
        trials.done(unit="answers of a name server")

    assert wrong == []


@pytest.mark.promise("P16", "forbidden addresses written into the URL")
def test_an_address_in_the_url_is_judged_like_a_resolved_one(trials):
    hosts = [(f"[{at}]" if ":" in at else at, "address") for at in FORBIDDEN if "%" not in at]
    hosts += [(f"[{at}]" if ":" in at else at, None) for at in ALLOWED]

    wrong = [host for host, expected in hosts if refusal(f"https://{host}/hook") != expected]

    assert wrong == []
    trials.done(len(hosts), unit="URLs")


@pytest.mark.promise("P16", "odd spellings of addresses and hosts")
def test_other_spellings_of_hosts_are_refused_before_any_lookup(trials, names):
    accepted = [url for url in SPELLINGS if refusal(url) not in ("host", "invalid_url")]

    assert accepted == []
    trials.done(len(SPELLINGS), unit="spellings")


@pytest.mark.parametrize(("url", "code"), FORMS)
def test_a_url_of_another_form_is_refused(names, url, code):
    assert refusal(url) == code


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://merchant.example/hook?shop=7&x=%20", "merchant.example"),
        ("HTTPS://Merchant.Example", "merchant.example"),
        ("https://merchant.example:443/", "merchant.example"),
        ("https://merchant.example:8443/ñ", "merchant.example"),
        ("https://tienda-ñandú.example/", "xn--tienda-and-z9a5i.example"),
        ("https://a.b.c.d.3com.example/", "a.b.c.d.3com.example"),
        ("https://merchant.example/" + "x" * 2023, "merchant.example"),
    ],
)
def test_a_public_https_url_is_accepted_and_resolved_once(monkeypatch, url, host):
    asked = []
    monkeypatch.setattr(address, "resolve", lambda name, seconds: asked.append(name) or [PUBLIC])

    assert refusal(url) is None

    assert asked == [host]


def test_http_any_port_and_loopback_need_the_setting(settings, names):
    names |= {"localhost": ["127.0.0.1", "::1"], "merchant.example": ["10.0.0.1"]}
    names |= {host: [host] for host in ("127.0.0.1", "::1", "169.254.169.254")}
    local = ["http://127.0.0.1:9000/", "http://localhost:9000/", "https://127.0.0.1:9000/", "http://[::1]:9000/"]

    assert [refusal(url) for url in local] == ["not_https", "not_https", "port", "not_https"]
    assert refusal("https://127.0.0.1/") == "address"

    settings.WEBHOOK_ALLOW_HTTP = True
    assert [refusal(url) for url in local] == [None] * 4
    assert refusal("http://merchant.example/") == "address"
    assert refusal("http://169.254.169.254/latest/meta-data") == "address"
    assert refusal("http://2130706433/") == "host"
    assert [refusal(f"http://127.0.0.1:{port}/") for port in (0, 65536, -1)] == ["port"] * 3


def test_a_name_without_addresses_or_without_an_answer_is_refused(monkeypatch):
    go_on = threading.Event()
    monkeypatch.setattr(address, "RESOLVE_SECONDS", 0.05)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: go_on.wait(30) and [])
    assert refusal("https://silent.example/") == "unresolvable"
    go_on.set()

    assert refusal("https://empty.example/") == "unresolvable"

    def unknown(*a, **k):
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert refusal("https://unknown.example/") == "unresolvable"


def test_the_systems_resolver_gives_each_address_once(monkeypatch):
    answers = [(socket.AF_INET, 1, 6, "", (PUBLIC, 0)), (socket.AF_INET6, 1, 6, "", ("2606:4700::1", 0, 0, 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: answers * 2)

    assert address.resolve("merchant.example", 5) == [PUBLIC, "2606:4700::1"]
