"""The texts that STP signs, against a worked example that was checked with STP's recorded traffic."""

from __future__ import annotations

import base64
from decimal import Decimal

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from payments.providers.stp import signing
from payments.providers.stp.client import StpClient
from payments.providers.stp.payout import write_order
from payments.providers.stp.signing import ORDER_FIELDS, Signer, order_text, text_of
from tests.payments.providers.stp_orders import ORDER, key_pair, order

PUBLIC_KEY = b"""\
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAiFWiB9QXsnOBXg1CRBIw
zEbmaCHY+1rsiZaBz1405/cpudZSXe0yrGrkivwULbCNagwG5W1ECQEniTx2THPw
ww2fe5C2JE3Q6ydYSoPp+hueK4J9VxuJM9p7aseI0qaxR1h//s/B6guKfPE/ThNu
pkzEWK7hvCYQrAABGMaoQL8hJvaN1x/IjbZHtUdWcnTmTdHZl51HMd6IZ82++mgO
NVEDBZve4RytuBXU2P9JBtUKm26eEtNnZFo4ncuY+T2qGKpSGfopdgjkKjdR+vg9
vysQXsuIrC4+Ay4jXZXCI4hlMYyNVV3hn6tHgHz8J/BKsqdARJXFpTSM94mEiELN
3wIDAQAB
-----END PUBLIC KEY-----
"""
ORDER_SIGNATURE = (
    "BWATWSQNNLRxQPvquFYz52csIBo7LHS+3G0zfNYQDBotMbDrPQ2UjvJiBSViwsDtbh1rLOgQqYIVohpubpxP8OS3IylnDfPC"
    "0Whxuw2Iz5yZCs19v0v1IfkVfkfFE6Wrv48fWRNkPPnh5S1ENmWmaUjATKjozG9fN8tLfq7F6PwKrbmcOqa0yOM8Rvsop8U5"
    "cwfsWfZiAP7FztKHOEpjfAVtbx9nVt2QEBk/PUrlHH6pQKbJMVmPbeCVn83u/9nOdvN5f/32fPGEi4P/m5wCKSuhZcZn4xOP"
    "wTBuYOEk43Gwsh6xf2EN9zw7h/U0ZxH3I9mpjQFMsiTLaO0m8te6Mw=="
)
ACCOUNT_SIGNATURE = (
    "FKfw1i08rKYYYjfX5rqC6IUL6OndU9KkNMCQlxGCIyZ7hDEbC4Vu9JUHz/OFx9+OlleFnd/osAjmnVQuoQXYIj6MVl+TS42g"
    "LE9Oku4Bck3GG+5MKKj0EddNFcGvxnpkvZGLeX7SDQMF4CIa3AQL6pwJocCTu2xl86J2KHQnNmS4Io6nU/nUOJPzGqGcrV1/"
    "dGXMUhxr9+dxgvSNdmcVMjJ2YhJOXqQhBxV1URPzXEYzNye/ezKEzh60xSSBM0NNUJn8lqD3rPeXYPngX2O1s2vXACwkZxX7"
    "QW3dutUc1g9i1QLND214wDLwo/NwOsgVYs4Nmp0DOoTuMLNU00FjBA=="
)
QUESTION_SIGNATURE = (
    "IcHZ8COFzPc55gWL7j+A3mtrMs7vLawDbbsO2CunRNTcXA2A5yoE61qdfd37tc0IEPj0TMgw9f/H97SnkHaeA+koE17ZmjpF"
    "+xfPwWKTBH1HWBdrYRpHrwj1E/n5fsqmgywJMdSe9djWA2vjeqd2/Mcf84z3egg+zf+LFX3pCJWWx/llcjiBB5Zx8E9UAlcm"
    "99sfavBkMAHCsZ6ouvGlEqS2e72xz+Gl6aPAhUVlPSHbJ0FCA/wAU767qWGY8wqvFCe4JjAwq4GRErH4edwb4mubh1CRXItJ"
    "rc9RJrVrcf8imOC7uhHa68InoDty/qguAoJxaE7ASlRX2iJunKcJpQ=="
)
LIST_SIGNATURE = (
    "bw0rmUmZpOMg2S9+vL6Zp/jSY1P5q6UyuwTkbpUAnmfEaheElej1KKlCrB4gOpDx2pq6Dosj5eWLM7YhFnZvpcM6cC0vKvR/"
    "+y1nNTPjQMPeGw3wIn3eDjKR4e0X7twJ8nfEf6zgtez6WxAyIIVXSsHRiSX+LOlv8hfF8IGhDt1m3iHMNN70HA2S02TrbA66"
    "U6aNszhXKoHgRFNjC5T1gPqBdgzIMf3cTY+oPrFQfZv5nTGAHb+ZvgbPyoQDQNbOCXx2CU4dCuEBlSxd2NJmGB0PcvcnkgVD"
    "vHl8DPK19Ey+IFRckrZYzeNNVon3bhMGTIc+FmDjY6nGcrDoerKeww=="
)
EXAMPLE = {
    "institucionContraparte": "40072",
    "empresa": "EMPRESA_DEMO",
    "claveRastreo": "CR20261123000001",
    "institucionOperante": "90646",
    "monto": Decimal("1250.5"),
    "tipoPago": 1,
    "tipoCuentaOrdenante": 40,
    "nombreOrdenante": "Comercializadora Pena S.A. de C.V.",
    "cuentaOrdenante": "646180110400000007",
    "rfcCurpOrdenante": "ND",
    "tipoCuentaBeneficiario": 40,
    "nombreBeneficiario": "Ricardo Sanchez",
    "cuentaBeneficiario": "072691004495711499",
    "rfcCurpBeneficiario": "ND",
    "conceptoPago": "Liquidacion 2026-11-23",
    "referenciaNumerica": 5273144,
    "topologia": "T",
    "medioEntrega": 3,
    "prioridad": 0,
}


def is_signed(text: str, signature: str, public_pem: bytes = PUBLIC_KEY) -> bool:
    try:
        load_pem_public_key(public_pem).verify(base64.b64decode(signature), text.encode(), PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


def test_the_worked_examples_of_stp_verify():
    assert is_signed(order_text(EXAMPLE), ORDER_SIGNATURE)
    assert is_signed(text_of(["EMPRESA_DEMO", "646180157000000004", "SAHE800416HDFABC01"]), ACCOUNT_SIGNATURE)
    assert is_signed(text_of(["EMPRESA_DEMO", "CR20261123000001", "E", "20261120"]), QUESTION_SIGNATURE)
    assert is_signed(text_of(["EMPRESA_DEMO", "R", "20261120"]), LIST_SIGNATURE)
    assert not is_signed(order_text({**EXAMPLE, "monto": Decimal("1250.51")}), ORDER_SIGNATURE)


def test_an_orders_text_has_34_places_whatever_is_left_out():
    assert len(ORDER_FIELDS) == len(set(ORDER_FIELDS)) == 34
    for body in ({}, EXAMPLE, write_order("EMPRESA", ORDER)):
        text = order_text(body)
        assert text.count("|") == 37
        assert text.startswith("||") and text.endswith("||")
    assert text_of(["E", None]) == "||E|||"


def test_an_order_signs_what_it_sends():
    body = write_order("EMPRESA", ORDER)

    assert order_text(body) == (
        "||40072|EMPRESA|20261127|po_01kb3x0000000000000000000a|CR20261127000001|90646|1250.50|1|40|"
        "Comercializadora Pena S.A. de C.V.|646180110400000007|ND|40|Ricardo Sanchez|072691004495711499|ND||||||"
        "Liquidacion 2026-11-27||||||5273144||T||3|0|||"
    )
    private, public = key_pair()
    assert is_signed(order_text(body), Signer(private).sign(order_text(body)), public.encode())


@pytest.mark.parametrize("value", ["a|b", "a\nb", "a\r", "a\x00b", "a\u2028b", "|", 1.5, True, b"a", Decimal("1.005")])
def test_a_value_that_would_break_the_text_is_never_signed(value):
    with pytest.raises((ValueError, TypeError)):
        text_of(["EMPRESA", value])
    with pytest.raises((ValueError, TypeError)):
        order_text({**EXAMPLE, "conceptoPago": value})


def test_a_field_that_stp_does_not_know_is_never_sent():
    with pytest.raises(ValueError, match="no field sello"):
        order_text({**EXAMPLE, "sello": "x"})


@pytest.mark.parametrize(
    "changes",
    [
        {"tracking_key": ""},
        {"tracking_key": "a" * 31},
        {"tracking_key": "CR-1"},
        {"tracking_key": "CR 1"},
        {"tracking_key": "CRñ"},
        {"amount": 0},
        {"amount": -1},
        {"amount": True},
        {"amount": 1.0},
        {"amount": 2**53},
        {"reference": ""},
        {"reference": "po|1"},
        {"reference": "x" * 41},
        {"beneficiary_clabe": "072691004495711490"},
        {"beneficiary_clabe": "4152313000000000"},
        {"beneficiary_clabe": ORDER.ordering_clabe},
        {"ordering_clabe": ""},
        {"beneficiary_bank": "banorte"},
        {"reference_number": 0},
        {"reference_number": 10_000_000},
        {"beneficiary_name": "Ricardo|Sanchez"},
        {"beneficiary_name": "Ricardo\nSanchez"},
        {"beneficiary_name": "Ricardo Sánchez"},
        {"beneficiary_name": ""},
        {"ordering_name": "x" * 41},
        {"concept": " Pago"},
        {"concept": "Pago  doble"},
        {"concept": "\U0001f3e0"},
        {"beneficiary_tax_id": "ND|"},
        {"ordering_tax_id": "x"},
    ],
)
def test_an_order_that_stp_would_read_differently_is_not_written(changes):
    with pytest.raises(ValueError):
        write_order("EMPRESA", order(**changes))


def test_a_key_is_read_once_however_many_clients_sign_with_it(monkeypatch):
    loaded = []
    monkeypatch.setattr(
        signing, "load_pem_private_key", lambda *args: loaded.append(args) or load_pem_private_key(*args)
    )
    signing.signer.cache_clear()
    private, _ = key_pair()

    for _ in range(3):
        StpClient("EMPRESA", private, "http://127.0.0.1:9")

    assert len(loaded) == 1
    with pytest.raises(ValueError, match="not STP's signing key"):
        StpClient("EMPRESA", private.replace(b"M", b"N", 9), "http://127.0.0.1:9")
