"""One exchange with a merchant's endpoint: addresses, TLS, and receivers that are slow, endless or broken."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.ports import hold_port
from tests.webhooks.outbound.receiver import Receiver, repeats, resets, says, stays_silent
from webhooks.outbound import address, exchange
from webhooks.outbound.exchange import MAX_ANSWER_BYTES, post

PUBLIC = ["93.184.215.14", "2606:4700::1"]
DEADLINE = 0.6
"""Seconds; what a test grants to a receiver that never ends its answer."""
HEADERS = {"Content-Type": "application/json", "webhook-id": "evt_1"}


@pytest.fixture
def receiver():
    running = Receiver()
    yield running
    running.close()


@pytest.fixture
def local(settings):
    settings.WEBHOOK_ALLOW_HTTP = True


@pytest.fixture
def internet(monkeypatch, receiver):
    """Names resolve to public addresses, and a connection to one of these goes to ``receiver``; others fail."""

    class Internet:
        names: dict[str, list[list[str]]] = {}
        connected: list[tuple[str, int]] = []

    world = Internet()
    world.names, world.connected = {"merchant.example": [PUBLIC] * 99}, []
    real_connect = exchange.connect

    def resolve(host: str, seconds: float) -> list[str]:
        return world.names[host].pop(0) if host in world.names else [host]

    def connect(at: str, port: int, seconds: float) -> socket.socket:
        world.connected.append((at, port))
        assert at in PUBLIC, f"connected to {at}"
        return real_connect("127.0.0.1", receiver.port, seconds)

    monkeypatch.setattr(address, "resolve", resolve)
    monkeypatch.setattr(exchange, "connect", connect)
    return world


def certificate(folder, *, name: str, authority=None, is_authority: bool = False):
    """A certificate for ``name``, signed by ``authority`` or itself: (certificate, key)."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer, signer = authority or (None, key)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return made, key


@pytest.fixture
def tls(monkeypatch, receiver, tmp_path):
    """The receiver speaks TLS as merchant.example, and its authority is trusted; ``tls.names`` are those asked for."""

    class Tls:
        names: list[str | None] = []

        def serve_as(self, name: str, authority=None) -> None:
            certificate(tmp_path, name=name, authority=authority)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tmp_path / f"{name}.pem")
            context.sni_callback = lambda sock, asked, ctx: self.names.append(asked)
            receiver.tls = context

    made = Tls()
    made.names = []
    made.authority = certificate(tmp_path, name="authority", is_authority=True)
    trusting = ssl.create_default_context(cadata=made.authority[0].public_bytes(serialization.Encoding.PEM).decode())
    monkeypatch.setattr(exchange, "_tls_context", lambda: trusting)
    made.serve_as("merchant.example", made.authority)
    return made


def test_a_delivery_is_one_plain_request_and_its_answer_is_kept(receiver, local):
    receiver.answer = says(b"HTTP/1.1 201 Created\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 3000\r\n\r\n", b"y" * 3000)

    answer = post(receiver.url, HEADERS, b'{"id":"evt_1"}')

    assert (answer.status, answer.error, answer.excerpt) == (201, None, b"y" * 1024)
    assert answer.headers == {"x-a": "1, 2", "content-length": "3000"}
    assert 0 <= answer.latency_ms < 15_000
    assert receiver.requests == [
        b"POST /hook?shop=7 HTTP/1.1\r\nhost: 127.0.0.1:%d\r\ncontent-type: application/json\r\n"
        b"webhook-id: evt_1\r\naccept-encoding: identity\r\nconnection: close\r\ncontent-length: 14\r\n\r\n"
        b'{"id":"evt_1"}' % receiver.port
    ]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_not_followed(receiver, local, status):
    receiver.answer = says(
        b"HTTP/1.1 %d X\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % (status, receiver.url.encode())
    )

    answer = post(receiver.url, HEADERS, b"{}")

    assert (answer.status, answer.error, receiver.connections) == (status, None, 1)


def test_nothing_is_taken_from_the_environment_and_no_cookie_is_kept(receiver, local, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    receiver.answer = says(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nContent-Length: 0\r\n\r\n")

    assert [post(receiver.url, HEADERS, b"{}").status for _ in range(2)] == [200, 200]

    assert not any(b"cookie" in request.lower() for request in receiver.requests)


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        (says(b"HTTP/1.1 204 No Content\r\n\r\n"), 204, None),
        (says(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 X\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\nall"), 200, None),
        (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"), 200, None),
        (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nok\r\n"), 200, "protocol"),
        (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok"), 200, "protocol"),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok"), 200, "protocol"),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nok"), None, "protocol"),
        (says(b"HTTP/1.1 200 OK\r\nBroken header\r\n\r\n"), None, "protocol"),
        (says(b"HTTP/1.1 OK\r\n\r\n"), None, "protocol"),
        (says(b"SSH-2.0-OpenSSH_9.2\r\n"), None, "protocol"),
        (says(b"\x15\x03\x01\x00\x02\x02\x16"), None, "protocol"),
        (says(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), None, "protocol"),
        (says(), None, "protocol"),
        (resets, None, "connection"),
    ],
)  # fmt: skip
def test_every_kind_of_answer_has_a_defined_result(receiver, local, answer, status, error):
    receiver.answer = answer

    got = post(receiver.url, HEADERS, b"{}", deadline=10)

    assert (got.status, got.error) == (status, error)


@pytest.mark.promise("P17", "receivers that never end their answer, by slowness or by length")
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (stays_silent, "timeout"),
        (repeats(b"H", b"", 0.02), "timeout"),
        (repeats(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x", 0.02), "timeout"),
        (repeats(b"HTTP/1.1 200 OK\r\n", b"X-Slow: x\r\n", 0.02), "timeout"),
        (repeats(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.02), "timeout"),
        (repeats(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n", b"x", 0.02), "timeout"),
        (repeats(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n", 0.02), "timeout"),
        (repeats(b"HTTP/1.1 200 OK\r\nX-Long: ", b"x" * 4096), "too_large"),
        (repeats(b"HTTP/1.1 200 OK\r\n", b"X-Many: x\r\n" * 400), "too_large"),
        (repeats(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100), "too_large"),
        (repeats(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n", b"x" * 65536), "too_large"),
        (repeats(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536), "too_large"),
        (repeats(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"extension" * 99), "too_large"),
        (repeats(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 999), "too_large"),
    ],
)  # fmt: skip
def test_an_endless_answer_ends_at_the_deadline_or_the_limit(trials, receiver, local, answer, error):
    receiver.answer = answer
    fastest = float("inf")

    for _ in range(3):  # the fastest, as the machine may be busy
        got = post(receiver.url, HEADERS, b"{}", deadline=DEADLINE if error == "timeout" else 30)
        assert got.error == error
        assert len(got.excerpt) <= 1024
        fastest = min(fastest, got.latency_ms / 1000)
        if fastest < 3 * DEADLINE:
            break

    assert fastest < 3 * DEADLINE
    trials.done(unit="receivers")


def test_a_receiver_that_does_not_read_cannot_outlast_the_deadline(receiver, local, monkeypatch):
    blocked = threading.Event()
    monkeypatch.setattr("tests.webhooks.outbound.receiver.read_request", lambda c: blocked.wait(30) and b"")

    got = post(receiver.url, HEADERS, b"x" * 64_000_000, deadline=DEADLINE)

    blocked.set()
    assert (got.status, got.error) == (None, "timeout")
    assert got.latency_ms < 10_000


def test_the_answer_of_a_receiver_that_stopped_reading_is_kept(receiver, local, monkeypatch):
    monkeypatch.setattr("tests.webhooks.outbound.receiver.read_request", lambda c: c.recv(10))
    receiver.answer = says(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")

    got = post(receiver.url, HEADERS, b"{}")

    assert got.status == 413


def test_an_answer_of_just_under_the_limit_is_accepted(receiver, local):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 65000\r\n\r\n"
    receiver.answer = says(head, b"x" * 65000)
    assert post(receiver.url, HEADERS, b"{}").error is None

    receiver.answer = says(head.replace(b"65000", b"%d" % MAX_ANSWER_BYTES), b"x" * MAX_ANSWER_BYTES)
    assert post(receiver.url, HEADERS, b"{}").error == "too_large"


def test_a_slow_name_server_is_inside_the_deadline(local, monkeypatch):
    go_on = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: go_on.wait(30) and [])

    got = post("http://merchant.example/", HEADERS, b"{}", deadline=0.2)

    go_on.set()
    assert (got.status, got.error) == (None, "timeout")
    assert got.latency_ms < 10_000


def test_a_closed_port_and_an_unknown_name_have_codes(local, monkeypatch):
    assert post(f"http://127.0.0.1:{hold_port()}/", HEADERS, b"{}").error == "connection"

    def unknown(*a, **k):
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert post("https://unknown.example/", HEADERS, b"{}").error == "unresolvable"


def test_https_names_the_host_and_verifies_its_certificate(receiver, internet, tls):
    assert post("https://merchant.example/hook", HEADERS, b"{}").status == 200
    assert post("https://Merchant.Example:8443/hook", HEADERS, b"{}").status == 200

    assert tls.names == ["merchant.example"] * 2
    assert internet.connected == [(PUBLIC[0], 443), (PUBLIC[0], 8443)]
    assert [b"\r\nhost: merchant.example" in request for request in receiver.requests] == [True, True]
    assert b"host: merchant.example:8443\r\n" in receiver.requests[1]


def test_a_certificate_of_another_name_or_authority_ends_the_exchange(receiver, internet, tls):
    tls.serve_as("other.example", tls.authority)
    assert post("https://merchant.example/", HEADERS, b"{}").error == "tls"

    tls.serve_as("merchant.example")
    assert post("https://merchant.example/", HEADERS, b"{}").error == "tls"

    assert receiver.requests == []


def test_a_receiver_without_tls_gets_nothing(receiver, internet):
    assert post("https://merchant.example/", HEADERS, b"{}", deadline=DEADLINE).error in ("tls", "timeout")


@pytest.mark.promise("P16", "a resolver that answers public first and loopback afterwards", unit="rebinding names")
def test_rebinding_never_reaches_loopback(receiver, internet, tls):
    internet.names["merchant.example"] = [PUBLIC, ["127.0.0.1"], [PUBLIC[0], "127.0.0.1"], ["::1"], PUBLIC]

    address.check_url("https://merchant.example/hook")
    got = [post("https://merchant.example/hook", HEADERS, b"{}") for _ in range(4)]

    assert [answer.error for answer in got] == ["refused_address"] * 3 + [None]
    assert internet.connected == [(PUBLIC[0], 443)]
    assert receiver.connections == 1


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://merchant.example/", "refused_url"),
        ("https://user@merchant.example/", "refused_url"),
        ("https://merchant.example:6379/", "refused_url"),
        ("https://2130706433/", "refused_url"),
        ("not a url", "refused_url"),
        ("https://127.0.0.1/", "refused_address"),
        ("https://169.254.169.254/", "refused_address"),
        ("https://[::ffff:127.0.0.1]/", "refused_address"),
        ("https://[64:ff9b::7f00:1]/", "refused_address"),
    ],
)
def test_a_stored_url_is_judged_again_at_every_delivery(internet, url, error):
    got = post(url, HEADERS, b"{}")

    assert (got.status, got.error, internet.connected) == (None, error, [])


def test_the_next_address_is_tried_if_one_does_not_answer(receiver, internet, tls, monkeypatch):
    through = exchange.connect

    def connect(at, port, seconds):
        if at == PUBLIC[0]:
            raise ConnectionRefusedError
        return through(at, port, seconds)

    monkeypatch.setattr(exchange, "connect", connect)

    assert post("https://merchant.example/", HEADERS, b"{}").status == 200
    assert internet.connected == [(PUBLIC[1], 443)]


def test_exchanges_run_in_parallel_without_mixing_answers(receiver, local):
    def echo(connection: socket.socket) -> None:
        body = receiver.current[threading.get_ident()][-4:]
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + body)

    receiver.answer = echo
    bodies = [b"%04d" % n for n in range(200)]
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda body: post(receiver.url, HEADERS, body), bodies))

    assert [answer.excerpt for answer in answers] == bodies


def test_a_test_address_is_public():
    """The addresses above would be allowed, so that a test which connects to them has been let through."""
    assert address.allowed(PUBLIC) == PUBLIC
    assert all(not ipaddress.ip_address(each).is_private for each in PUBLIC)
