"""Conekta's DIGEST header: forged and damaged signatures are refused without an exception."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.providers.conekta.signature import is_authentic, load_public_key
from tests.factories.conekta import PUBLIC_KEY

BODY = (
    b'{"data":{"object":{"id":"ord_2xayxSvfWzQ2TLz7r","object":"order","amount":15000,"currency":"MXN",'
    b'"payment_status":"paid","livemode":false}},"livemode":false,"webhook_status":"pending",'
    b'"id":"6307a60c41de27127515a575","object":"event","type":"order.paid","created_at":1741103999}'
)
DIGEST = (
    "J+4Ofvs4qflu9cuKcphclYto9Iqc7dc2g5ShGSwhoWz1xdEnpuXVRVMRaVBRDEK0eiH9xNlWMwEhbrHGn65tVHp3di4PelgoKzwrzV6/80Eh2Ng8"
    "2FvnLML///3qGdqyqbv8qEMF5KgnSne88UI7GW0In+rdSO87PwpQaLRtSePIxxUzW3Sjlyj6XYG7eLXcfTj8vgUvyFQcJlt8o3QuWPaB10fv9h4t"
    "UJY7MuMXDOfxmn9b4phVBvrSeAh4pVKzeGXa1sinPJweJMnLblim9sR/gmLdMMWbTN67vaqoEx/+sHcwPcLyrTQn+HyJ56sbzwuVhLTJ7wEe8ezc"
    "NRlmYw=="
)
KEY = load_public_key(PUBLIC_KEY)
OTHER_PRIVATE_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = OTHER_PRIVATE_KEY.public_key()


def pem(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> str:
    subject = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.PEM, subject).decode()


def signed_by_other(raw: bytes, scheme: padding.AsymmetricPadding, digest: hashes.HashAlgorithm) -> str:
    return base64.b64encode(OTHER_PRIVATE_KEY.sign(raw, scheme, digest)).decode()


def test_the_worked_example_is_authentic():
    assert is_authentic(BODY, DIGEST, [KEY])


def test_while_keys_rotate_any_active_key_will_do():
    assert is_authentic(BODY, DIGEST, [OTHER_KEY, KEY])
    assert is_authentic(BODY, signed_by_other(BODY, padding.PKCS1v15(), hashes.SHA256()), iter([KEY, OTHER_KEY]))


def test_another_key_or_none_is_not_enough():
    assert not is_authentic(BODY, DIGEST, [OTHER_KEY])
    assert not is_authentic(BODY, DIGEST, [])


@settings(max_examples=60)
@given(st.integers(0, len(BODY) * 8 - 1))
def test_one_altered_bit_of_the_body_is_noticed(bit):
    altered = bytearray(BODY)
    altered[bit // 8] ^= 1 << bit % 8

    assert not is_authentic(bytes(altered), DIGEST, [KEY])


@settings(max_examples=60)
@given(st.integers(0, 256 * 8 - 1))
def test_one_altered_bit_of_the_signature_is_noticed(bit):
    altered = bytearray(base64.b64decode(DIGEST))
    altered[bit // 8] ^= 1 << bit % 8

    assert not is_authentic(BODY, base64.b64encode(altered).decode(), [KEY])


def test_the_same_json_written_again_is_not_what_was_signed():
    assert json.loads(json.dumps(json.loads(BODY))) == json.loads(BODY)
    assert not is_authentic(json.dumps(json.loads(BODY)).encode(), DIGEST, [KEY])
    assert not is_authentic(BODY + b"\n", DIGEST, [KEY])
    assert not is_authentic(b"", DIGEST, [KEY])


def test_another_padding_or_hash_is_refused():
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.MAX_LENGTH)

    assert not is_authentic(BODY, signed_by_other(BODY, pss, hashes.SHA256()), [OTHER_KEY])
    assert not is_authentic(BODY, signed_by_other(BODY, padding.PKCS1v15(), hashes.SHA512()), [OTHER_KEY])


@pytest.mark.parametrize(
    "header",
    ["", " ", "=", "====", "x", "none", DIGEST[:-2], DIGEST[:-4], DIGEST + "=", DIGEST + "AAAA", DIGEST * 20]
    + [DIGEST + "\n", " " + DIGEST, DIGEST.replace("+", " "), DIGEST[:50] + "\r\n" + DIGEST[50:], f'"{DIGEST}"']
    + [DIGEST.replace("+", "-").replace("/", "_"), DIGEST[:-3] + "x==", "sha256=" + DIGEST, "ñ" + DIGEST, "\ud800"],
)
def test_a_malformed_header_is_just_not_authentic(header):
    assert not is_authentic(BODY, header, [KEY])


@given(st.text() | st.binary().map(lambda raw: base64.b64encode(raw).decode()) | st.none())
def test_no_header_ever_raises(header):
    assert is_authentic(BODY, header, [KEY]) is False


def test_a_key_is_parsed_once():
    assert load_public_key(PUBLIC_KEY) is KEY


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ñ",
        "\x00",
        PUBLIC_KEY[:100],
        PUBLIC_KEY.replace("PUBLIC", "PRIVATE"),
        pem(ec.generate_private_key(ec.SECP256R1()).public_key()),
        pem(rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()),  # noqa: S505
    ],
    ids=["empty", "not ASCII", "NUL", "cut", "mislabelled", "elliptic curve", "1024 bits"],
)
def test_what_is_no_strong_public_rsa_key_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011
        load_public_key(text)
