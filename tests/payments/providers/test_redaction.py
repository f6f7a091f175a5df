"""Stored requests and responses contain no secrets or personal data."""

from __future__ import annotations

import json

import pytest

from payments.providers.redaction import MAX_LENGTH, redacted, redacted_answer

STP_ORDER = {
    "empresa": "EMPRESA",
    "claveRastreo": "MBAN01002611200012345678",
    "institucionOrdenante": 40012,
    "tipoCuentaOrdenante": 40,
    "monto": 1250.5,
    "nombreOrdenante": "JUAN PEREZ",
    "cuentaOrdenante": "012180015025335996",
    "rfcCurpOrdenante": "PEPJ800101ABC",
    "cuentaBeneficiario": 5512345678,
    "conceptoPago": "RENTA DE JUAN",
    "firma": "c2lnbmF0dXJl",
}


def test_stp_orders_keep_what_identifies_them_and_no_person():
    kept = json.loads(redacted(STP_ORDER))

    assert kept == {
        **STP_ORDER,
        "nombreOrdenante": "J…",
        "cuentaOrdenante": "012180********5996",
        "rfcCurpOrdenante": "P…",
        "cuentaBeneficiario": "5…",
        "conceptoPago": "R…",
        "firma": "***",
    }


def test_a_registered_holder_keeps_no_name_and_no_birthday():
    holder = {"apellidoPaterno": "SANCHEZ", "apellidoMaterno": "RUIZ", "nombre": "ANA", "fechaNacimiento": "19800416"}

    kept = json.loads(redacted({**holder, "fechaOperacion": "20261127", "folioOrigen": "po_1"}))

    assert kept == {
        "apellidoPaterno": "S…",
        "apellidoMaterno": "R…",
        "nombre": "A…",
        "fechaNacimiento": "1…",
        "fechaOperacion": "20261127",
        "folioOrigen": "po_1",
    }


def test_conekta_orders_keep_their_ids_and_no_customer():
    order = {
        "id": "ord_1",
        "customer_info": {"name": "Ana", "email": "ana@example.mx", "phone": "+525555555555"},
        "metadata": {"payment_id": "pay_1"},
        "charges": {"data": [{"id": "chr_1", "payment_method": {"type": "oxxo", "reference": "93000262280678"}}]},
    }

    kept = json.loads(redacted_answer(json.dumps(order).encode()))

    assert kept["customer_info"] == {"name": "A…", "email": "a…", "phone": "+…"}
    assert kept["metadata"] == {"payment_id": "pay_1"}
    assert kept["charges"]["data"][0]["id"] == "chr_1"


def test_lists_keep_their_first_entries_and_say_how_many_there_were():
    kept = json.loads(redacted({"datos": [{"id": n} for n in range(100)], "total": 100}))

    assert kept == {"datos": [{"id": 0}, {"id": 1}, {"id": 2}, "… 97 more"], "total": 100}


def test_long_texts_and_bytes_that_are_no_text_are_cut():
    assert len(redacted({"x": "a" * 10_000})) == MAX_LENGTH
    assert len(redacted_answer(b"\xff\x00" * 10_000)) == MAX_LENGTH
    assert redacted_answer(b"") == ""


@pytest.mark.parametrize(
    "raw", [rb'{"id": "\ud800"}', rb'{"\udfff": {"x": "\ud83d\u0000"}}', rb'{"x": "\ud83d\ude00"}']
)
def test_an_answer_with_unpaired_surrogates_can_be_stored(raw):
    assert redacted_answer(raw).encode()
    assert "\0" not in redacted_answer(raw)
