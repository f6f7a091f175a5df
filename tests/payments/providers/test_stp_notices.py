"""STP abono notices: what identifies money is strict, everything else may be messy."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.clock import MEXICO_CITY
from payments.providers.base import MoneyReceived, Payer
from payments.providers.errors import UnreadableNotice
from payments.providers.stp import notices
from tests.factories.bodies import HOSTILE_BODIES

RECEIVED_AT = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)

ABONO = {
    "id": 3191365,
    "fechaOperacion": 20261120,
    "institucionOrdenante": 40012,
    "institucionBeneficiaria": 90646,
    "claveRastreo": "058-25/08/2026/25-300CPWF924",
    "monto": 1250.50,
    "nombreOrdenante": "JUAN PEREZ",
    "tipoCuentaOrdenante": 40,
    "cuentaOrdenante": "012180015025335996",
    "rfcCurpOrdenante": "ND",
    "nombreBeneficiario": "MI COMERCIO",
    "tipoCuentaBeneficiario": 40,
    "cuentaBeneficiario": "646180157000000004",
    "nombreBeneficiario2": "",
    "tipoCuentaBeneficiario2": 40,
    "cuentaBeneficiario2": "",
    "rfcCurpBeneficiario": "ND",
    "conceptoPago": "PAGO",
    "referenciaNumerica": 1234567,
    "empresa": "EMPRESA_DEMO",
    "tipoPago": 1,
    "tsLiquidacion": "1763661600123",
    "folioCodi": "",
}


def parse(**changes: object) -> MoneyReceived:
    body = {**ABONO, **changes}
    raw = json.dumps({name: value for name, value in body.items() if value is not ...}).encode()
    return notices.parse_deposit(raw, received_at=RECEIVED_AT)


def parse_with_amount(written: str) -> MoneyReceived:
    raw = json.dumps({**ABONO, "monto": "@"}).replace('"@"', written).encode()
    return notices.parse_deposit(raw, received_at=RECEIVED_AT)


def test_an_ordinary_abono_is_read_completely():
    assert parse() == MoneyReceived(
        event_id="20261120:40012:058-25/08/2026/25-300CPWF924",
        event_type="stp.deposit",
        deposit_key="20261120:40012:058-25/08/2026/25-300CPWF924",
        amount=125050,
        currency="MXN",
        paid_at=datetime(2025, 11, 20, 18, 0, 0, 123000, tzinfo=UTC),
        operating_date=date(2026, 11, 20),
        clabe="646180157000000004",
        tracking_key="058-25/08/2026/25-300CPWF924",
        concept="PAGO",
        reference_number="1234567",
        payer=Payer(name="JUAN PEREZ", account="012180015025335996", institution_code="40012", tax_id=""),
    )


def test_only_what_identifies_the_money_is_required():
    needed = {"fechaOperacion", "institucionOrdenante", "claveRastreo", "monto", "cuentaBeneficiario"}

    money = parse(**dict.fromkeys(ABONO.keys() - needed, ...))

    assert (money.amount, money.paid_at, money.concept) == (125050, RECEIVED_AT, "")
    assert (money.reference_number, money.event_type) == ("", "stp.deposit")
    assert money.payer == Payer(institution_code="40012")


@pytest.mark.parametrize("absent", [..., None, "", "  ", "null", " NULL "])
@pytest.mark.parametrize(
    "field", ["fechaOperacion", "institucionOrdenante", "claveRastreo", "monto", "cuentaBeneficiario"]
)
def test_a_missing_identifying_field_is_named(field, absent):
    with pytest.raises(UnreadableNotice, match=field) as rejection:
        parse(**{field: absent})

    assert rejection.value.field == field


@pytest.mark.parametrize("field", ["claveRastreo", "cuentaBeneficiario", "fechaOperacion", "institucionOrdenante"])
@pytest.mark.parametrize("damaged", ["A\x00B", "A\nB", [], {}, True, 1.5, "x" * 65])
def test_a_damaged_identifying_field_is_refused(field, damaged):
    with pytest.raises(UnreadableNotice) as rejection:
        parse(**{field: damaged})

    assert rejection.value.field == field


def test_messy_texts_are_cleaned_and_never_refuse_money():
    money = parse(
        conceptoPago="PAGO\x00 DE\n  RENTA ",
        nombreOrdenante="null",
        rfcCurpOrdenante=["ND"],
        cuentaOrdenante=5512345678,
        referenciaNumerica="0001234",
        tipoCuentaOrdenante=0,
    )

    assert money.concept == "PAGO DE RENTA"
    assert money.payer == Payer(account="5512345678", institution_code="40012")
    assert money.reference_number == "0001234"
    assert len(parse(conceptoPago="ñ" * 1000).concept) == 120
    assert len(parse(cuentaOrdenante="1" * 99).payer.account) == 20


@pytest.mark.parametrize("key", ["A B  C", "2026/11/20-1", "ñandú", "x" * 30])
def test_a_tracking_key_is_kept_as_the_bank_wrote_it(key):
    assert parse(claveRastreo=f" {key} ").tracking_key == key
    assert parse(claveRastreo=key).deposit_key == f"20261120:40012:{key}"


@pytest.mark.parametrize("institution", [846, 2001, 99999, "40012", "040012"])
def test_an_institution_no_catalogue_knows_is_accepted(institution):
    assert parse(institucionOrdenante=institution).payer.institution_code == str(int(institution))


@pytest.mark.parametrize("institution", [0, -1, "-40012", "BBVA", 123456])
def test_an_institution_that_is_no_number_is_refused(institution):
    with pytest.raises(UnreadableNotice, match="institucionOrdenante"):
        parse(institucionOrdenante=institution)


def test_one_transfer_has_one_key_however_its_numbers_are_written():
    assert parse(fechaOperacion="20261120", institucionOrdenante="40012").deposit_key == parse().deposit_key
    assert parse(fechaOperacion=20261121).deposit_key != parse().deposit_key
    assert parse(institucionOrdenante=40014).deposit_key != parse().deposit_key


@pytest.mark.parametrize(
    "day", [20261301, 20260230, 2026, "2026-11-20", 19991231, 21000101, "20261120x", "２０２６１１２０"]
)
def test_an_impossible_operating_date_is_refused(day):
    with pytest.raises(UnreadableNotice, match="fechaOperacion"):
        parse(fechaOperacion=day)


@pytest.mark.parametrize(
    ("written", "centavos"),
    [
        ("1250.50", 125050),
        ('"1250.50"', 125050),
        ("1250.5", 125050),
        ("1250.500", 125050),
        ("1250", 125000),
        ("1.25E3", 125000),
        ("0.01", 1),
        ("0.1", 10),
        ("4.35", 435),  # as a float, 434.99…
        ("1.1e0", 110),
        ('" 10 "', 1000),
        ("90071992547409.91", 2**53 - 1),
    ],
)
def test_an_amount_is_exact_however_it_is_written(written, centavos):
    assert parse_with_amount(written).amount == centavos


@pytest.mark.parametrize(
    "written",
    ["0", "0.00", "-1", '"-1"', "0.001", "10.005", "1e400", "1" + "0" * 400, "90071992547409.92", "true", "[]", "{}"]
    + [
        "NaN",
        '"NaN"',
        '"Infinity"',
        '"1e3"',
        '"1_000"',
        '"1,250.50"',
        '"$10"',
        '"٣"',
        "1.0000000000000000000000000001",
    ],
)
def test_what_is_no_positive_amount_of_centavos_is_refused(written):
    with pytest.raises(UnreadableNotice):
        parse_with_amount(written)


@pytest.mark.parametrize("written", ["1763661600123", 1763661600123, " 1763661600123 "])
def test_the_settlement_time_counts_as_milliseconds(written):
    assert parse(tsLiquidacion=written).paid_at == datetime(2025, 11, 20, 18, 0, 0, 123000, tzinfo=UTC)


@pytest.mark.parametrize("odd", [..., None, "null", "", 0, 312, -5, 1e15, 10**14, 10**39, "soon", True, [1], "9" * 60])
def test_without_a_credible_settlement_time_the_arrival_counts(odd):
    assert parse(tsLiquidacion=odd).paid_at == RECEIVED_AT


def test_paid_at_is_in_utc_wherever_received_at_was():
    raw = json.dumps({**ABONO, "tsLiquidacion": ""}).encode()
    local = RECEIVED_AT.astimezone(MEXICO_CITY)

    assert notices.parse_deposit(raw, received_at=local).paid_at.utcoffset() == timedelta(0)
    with pytest.raises(ValueError, match="time zone"):
        notices.parse_deposit(raw, received_at=RECEIVED_AT.replace(tzinfo=None))


@pytest.mark.parametrize("payment_type", [0, 16, 17, 18, 23, 24, "0", "17"])
def test_money_of_our_own_that_comes_back_is_told_from_a_deposit(payment_type):
    returned = parse(tipoPago=payment_type, cuentaBeneficiario=...)

    assert (returned.event_type, returned.amount, returned.clabe) == ("stp.return", 125050, "")
    assert parse(tipoPago=payment_type).clabe == "646180157000000004"


@pytest.mark.parametrize("payment_type", [1, 4, 5, 12, 19, 30, 36, 99, "1", ..., None, "null"])
def test_every_other_type_of_payment_is_a_deposit(payment_type):
    assert parse(tipoPago=payment_type).event_type == "stp.deposit"


@pytest.mark.parametrize("payment_type", ["x", [], True, 1.5, "1e0"])
def test_a_damaged_type_of_payment_is_refused(payment_type):
    with pytest.raises(UnreadableNotice, match="tipoPago"):
        parse(tipoPago=payment_type)


@pytest.mark.parametrize("raw", HOSTILE_BODIES.values(), ids=HOSTILE_BODIES.keys())
def test_a_hostile_body_is_unreadable_and_nothing_worse(raw):
    with pytest.raises(UnreadableNotice):
        notices.parse_deposit(raw, received_at=RECEIVED_AT)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.text(st.characters(categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from(sorted(ABONO)), JSON_VALUES, max_size=5))
def test_any_change_to_an_abono_gives_sound_money_or_is_unreadable(changes):
    try:
        money = parse(**changes)
    except UnreadableNotice:
        return

    assert type(money.amount) is int
    assert money.amount > 0
    assert money.paid_at.utcoffset() == timedelta(0)
    assert money.event_id == money.deposit_key
    assert 1 <= len(money.deposit_key) <= 55
    for text in (money.deposit_key, money.clabe, money.concept, money.reference_number, *vars_of(money.payer)):
        assert "\x00" not in text
        assert len(text) <= 120


def vars_of(payer: Payer) -> list[str]:
    return [payer.name, payer.account, payer.institution_code, payer.tax_id]


@settings(max_examples=300)
@given(st.integers(0, 800), st.integers(0, 5), st.binary(max_size=5))
def test_any_bytes_are_a_notice_or_unreadable(start, length, patch):
    raw = json.dumps(ABONO).encode()
    changed = raw[:start] + patch + raw[start + length :]

    for body in (changed, patch, changed[:start]):
        try:
            assert notices.parse_deposit(body, received_at=RECEIVED_AT).amount > 0
        except UnreadableNotice:
            pass


def test_the_answers_are_those_stp_expects():
    assert notices.CONFIRM == {"mensaje": "confirmar"}
    assert notices.refuse(notices.UNKNOWN_ACCOUNT) == {"mensaje": "devolver", "id": 1}
    assert notices.refuse(notices.BLOCKED) == {"mensaje": "devolver", "id": 2}
    for wrong in (0, -1, True, "1"):
        with pytest.raises(ValueError, match="cause"):
            notices.refuse(wrong)
