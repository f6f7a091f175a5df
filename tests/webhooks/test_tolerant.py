"""Readable notices are booked in any encoding and spelling; their bodies are stored unchanged."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest

from core import clock
from payments.models import Deposit, Payment
from payments.providers.stp.notices import parse_deposit
from tests.factories.notice import DEVOLVER, told
from tests.factories.oxxo import RECEIVED, attach, make_payment, sweep_all
from tests.factories.payment import make_payment as spei_payment
from tests.payments.providers.conftest import server as server  # noqa: PLC0414 - a fixture
from tests.payments.providers.http_server import replies
from tests.problems import rows
from webhooks.inbound.admin import readable_body
from webhooks.inbound.services import applying, poll
from webhooks.models import ProviderEvent

pytest_plugins = ["tests.sandbox_process"]

CONFIRM = (200, {"mensaje": "confirmar"})
CONCEPT = "Colegiatura de José Muñoz"
ENCODINGS = ["utf-8", "latin-1", "cp1252", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]


@pytest.fixture
def payment(merchant, stp) -> Payment:
    return spei_payment(merchant)


def spelled(raw: bytes, encoding: str = "utf-8") -> bytes:
    """The notice with its letters as they are, in another encoding."""
    return json.dumps(json.loads(raw), ensure_ascii=False).encode(encoding)


def said(raw: bytes, concept: bytes) -> bytes:
    """The notice with these bytes as its concept."""
    return raw.replace(b'"PAGO"', b'"' + concept + b'"')


@pytest.mark.django_db
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_deposit_in_any_encoding_is_booked_and_kept_as_it_came(payment, stp, encoding):
    raw = spelled(stp.deposit(payment.clabe, 100_000, conceptoPago=CONCEPT), encoding)

    assert told(stp.post(raw)) == CONFIRM

    event, deposit = ProviderEvent.objects.get(), Deposit.objects.get()
    assert (event.status, event.body) == ("processed", raw)
    assert (deposit.status, deposit.amount, deposit.concept) == ("credited", 100_000, CONCEPT)
    assert CONCEPT in readable_body(event.body)


@pytest.mark.django_db
@pytest.mark.parametrize("charset", ["", "; charset=iso-8859-1", "; charset=utf-8", "; charset=UTF-16", "; charset=x"])
def test_what_charset_a_header_names_changes_nothing(payment, stp, charset):
    raw = spelled(stp.deposit(payment.clabe, 100_000, conceptoPago=CONCEPT), "latin-1")

    answer = stp.post(raw, content_type=f"application/json{charset}")

    assert told(answer) == CONFIRM
    assert Deposit.objects.get().concept == CONCEPT


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("concept", "read"),
    [
        (b"a\nb\tc\r\nd", "a b c d"),
        (b"a\\u0000b\x00c\x07d", "a b c d"),
        (b"a\\ud800b\\udfffc", "a b c"),
        (b"50 \x80 \x93ni\xf1o\x94", "50 € “niño”"),
        (b"a\x81b\x8dc", "a b c"),
        ("Jos\xe9".encode()[:-1], "JosÃ"),
    ],
)
def test_odd_characters_in_a_concept_send_no_money_back(payment, stp, concept, read):
    assert told(stp.post(said(stp.deposit(payment.clabe, 100_000), concept))) == CONFIRM

    deposit = Deposit.objects.get()
    assert (deposit.status, deposit.concept) == ("credited", read)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "rest",
    [
        b'"folioCodi": NaN',
        b'"folioCodi": 1e99999999999999999999',
        b'"folioCodi": 1' + b"0" * 5_000,
        b'"nombreBeneficiario2": "a", "nombreBeneficiario2": "b"',
        b'"conceptoPago": "a", "conceptoPago": "b"',
        b'"monto": 1000.00',
    ],
)
def test_what_is_damaged_beside_amount_account_and_key_sends_no_money_back(payment, stp, rest):
    assert told(stp.post(stp.deposit(payment.clabe, 100_000)[:-1] + b", " + rest + b"}")) == CONFIRM

    assert Deposit.objects.get().amount == 100_000


@pytest.mark.django_db
@pytest.mark.parametrize(
    "rest",
    [
        b'"monto": 1000.01',
        b'"Monto": 1000.01',
        b'"monto": NaN',
        b'"cuentaBeneficiario": "646180157099999997"',
        b'"claveRastreo": "a\x81"',
        b'"claveRastreo": "a\\ud800"',
        b'"clave_rastreo": "a"',
    ],
)
def test_a_deposit_whose_amount_account_or_key_is_not_certain_is_sent_back(payment, stp, rest):
    raw = stp.deposit(payment.clabe, 100_000)[:-1] + b", " + rest + b"}"

    assert told(stp.post(raw)) == DEVOLVER

    assert Deposit.objects.count() == 0
    assert ProviderEvent.objects.get().body == raw


@pytest.mark.django_db
def test_the_same_deposit_in_every_encoding_and_spelling_is_one_deposit(payment, stp):
    raw = stp.deposit(payment.clabe, 100_000, conceptoPago=CONCEPT)
    first = stp.post(raw)
    before = rows()

    for again in [*[spelled(raw, encoding) for encoding in ENCODINGS], legacy(raw), snake(raw), wrapped(raw)]:
        answer = stp.post(again)
        assert (answer.status_code, answer.content) == (200, first.content)

    assert rows() == before


def test_what_is_applied_later_is_read_from_the_kept_bytes(committed_db, payment, stp, monkeypatch):
    raw = said(stp.deposit(payment.clabe, 100_000), "Jos\xe9\nMu\xf1oz".encode("latin-1"))
    with monkeypatch.context() as patched:
        patched.setattr(applying.notice_service, "apply", lambda *_, **__: 1 / 0)
        assert stp.post(raw).status_code == 500

    assert sweep_all() == 1

    assert Deposit.objects.get().concept == "José Muñoz"


def event_of(conekta, payment: Payment, encoding: str, name: str = "José\nMuñoz") -> bytes:
    body = json.loads(conekta.event(payment))
    body["data"]["object"]["customer_info"] = {"name": name}
    return json.dumps(body, ensure_ascii=False).replace("\\n", "\n").encode(encoding)


@pytest.mark.django_db
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_event_in_any_encoding_is_booked_once_its_signature_holds(merchant, conekta, encoding):
    payment = attach(make_payment(merchant))
    raw, plain = event_of(conekta, payment, encoding), conekta.event(payment)
    forged = conekta.post(raw, digest=base64.b64encode(conekta.sign(plain)).decode())

    answers = [told(conekta.post(raw)), told(conekta.post(plain))]

    assert forged.status_code == 401
    assert answers == [RECEIVED] * 2
    payment.refresh_from_db()
    event = ProviderEvent.objects.get()
    assert (event.status, event.body, payment.status) == ("processed", raw, "completed")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-8-sig"])
def test_a_list_of_stp_in_another_encoding_brings_its_deposits(
    committed_db, payment, stp, server, signing_key, settings, encoding
):
    settings.INBOX_POLL_GRACE = timedelta(seconds=-5)
    listed = json.loads(stp.deposit(payment.clabe, 100_000, conceptoPago="José\tMuñoz"))
    listed |= {"estado": "LQ", "institucionContraparte": 40012}
    text = json.dumps({"estado": 0, "datos": [listed], "total": 1}, ensure_ascii=False).replace("\\t", "\t")
    server.answer = replies(200, text.encode(encoding), Connection="close")
    stp.account.base_url = server.address
    stp.account.save(update_fields=["base_url"])

    assert poll.poll(stp.account) == 1

    deposit = Deposit.objects.get()
    assert (deposit.status, deposit.concept) == ("credited", "José Muñoz")
    assert told(stp.post(stp.deposit(payment.clabe, 100_000))) == CONFIRM
    assert ProviderEvent.objects.count() == 1


def test_a_list_of_conekta_in_another_encoding_brings_its_events(committed_db, merchant, conekta, server, settings):
    settings.INBOX_POLL_GRACE = timedelta(seconds=-5)
    payment = attach(make_payment(merchant))
    event = json.loads(event_of(conekta, payment, "utf-8", name="José Muñoz")) | {
        "created_at": int(clock.now().timestamp())
    }
    listed = json.dumps({"object": "list", "has_more": False, "data": [event]}, ensure_ascii=False)
    server.answer = replies(200, listed.encode("latin-1"), Connection="close")
    conekta.account.base_url = server.address
    conekta.account.credentials = {"api_key": "key_x"}
    conekta.account.save(update_fields=["base_url", "credentials"])

    assert poll.poll(conekta.account) == 1

    payment.refresh_from_db()
    assert payment.status == "completed"


def legacy(raw: bytes) -> bytes:
    """The notice with the keys of STP's older dialect."""
    names = {"id": "Clave", "rfcCurpOrdenante": "RFCCurpOrdenante", "rfcCurpBeneficiario": "RFCCurpBeneficiario"}
    body = json.loads(raw)
    text = json.dumps({names.get(name, name[0].upper() + name[1:]): value for name, value in body.items()})
    return text.encode()


def snake(raw: bytes) -> bytes:
    def lowered(name: str) -> str:
        return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)

    return json.dumps({lowered(name): value for name, value in json.loads(raw).items()}).encode()


def wrapped(raw: bytes) -> bytes:
    return b'{"abono": ' + raw + b"}"


def shouted(raw: bytes) -> bytes:
    return json.dumps({name.upper(): value for name, value in json.loads(raw).items()}).encode()


@pytest.mark.django_db
@pytest.mark.parametrize("respell", [legacy, snake, wrapped, shouted, lambda raw: wrapped(legacy(raw))])
def test_older_spellings_of_a_deposit_are_read_like_the_present_one(payment, stp, respell):
    present = stp.deposit(payment.clabe, 100_000, rfcCurpOrdenante="PEJJ800101AAA")
    old = respell(present)

    assert told(stp.post(old)) == CONFIRM

    now = clock.now()
    assert parse_deposit(old, received_at=now) == parse_deposit(present, received_at=now)
    payment.refresh_from_db()
    deposit = Deposit.objects.get()
    assert (payment.status, deposit.deposit_key) == ("completed", "20261120:40012:MBAN01002611200012345678")
    assert (deposit.amount, deposit.concept, deposit.payer_name) == (100_000, "PAGO", "JUAN PEREZ")


@pytest.mark.django_db
@pytest.mark.parametrize("kind", [0, "17"])
def test_money_of_our_own_that_comes_back_is_known_in_the_older_spelling(stp, kind):
    raw = stp.deposit("646180157099999997", 100_000, tipoPago=kind)

    assert told(stp.post(legacy(raw))) == CONFIRM

    assert ProviderEvent.objects.get().event_type == "stp.return"
