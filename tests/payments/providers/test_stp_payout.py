"""What STP's answers about an order mean, told by its catalogue and by nothing else."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import OutcomeUnknown, ProviderNotContacted, ProviderRefused
from payments.providers import registry
from payments.providers.calls import Outcome
from payments.providers.errors import UnreadableNotice
from payments.providers.payout import Balance, OrderStatus, SendReason
from payments.providers.stp.catalogue import ORDER_ERRORS
from payments.providers.stp.client import StpClient
from payments.providers.stp.payout import STATES, read_sent, read_state
from payments.providers.stp.registration import read_registered, write_registration
from tests.payments.providers.http_server import replies
from tests.payments.providers.stp_orders import COMPANY, ORDER, PERSON, key_pair

TODAY = date(2026, 11, 27)
REFUSED, NOT_SENT, UNKNOWN = "refused", "not_sent", "unknown"
CATALOGUE = [
    (0, "No se recibió respuesta del servicio", UNKNOWN, "answer_lost"),
    (0, "Error validando la firma", NOT_SENT, "configuration"),
    (0, "Firma invalida Firma Invalida", NOT_SENT, "configuration"),
    (0, "El campo <CONCEPTO PAGO> es obligatorio", REFUSED, "provider_rejected"),
    (0, "No entity found for query", UNKNOWN, "uncatalogued"),
    (1, "Dato obligatorio", REFUSED, "provider_rejected"),
    (2, "Dato no catalogado", REFUSED, "provider_rejected"),
    (3, "La cuenta no pertenece a la empresa", REFUSED, "provider_rejected"),
    (4, "Cuenta inválida", REFUSED, "destination_invalid"),
    (5, "Dato duplicado", UNKNOWN, "already_used"),
    (6, "Cuenta no asociada", REFUSED, "provider_rejected"),
    (7, "Cuenta no habilitada", REFUSED, "provider_rejected"),
    (8, "rfc_curp invalido", REFUSED, "provider_rejected"),
    (
        -1,
        "La clave de rastreo X para la fecha 20261127 ya fue utilizada",
        UNKNOWN,
        "already_used",
    ),
    (-2, "Orden duplicada. Rastreo {X} Fecha Oper. {20261127}", UNKNOWN, "already_used"),
    (-3, "La clave no existe en el catalogo de usuario", REFUSED, "provider_rejected"),
    (-5, "Dato obligatorio institucion contraparte", REFUSED, "provider_rejected"),
    (-6, "Empresa o institucion operante invalida", REFUSED, "provider_rejected"),
    (-7, "La cuenta 072691004495711499 no existe ", REFUSED, "destination_invalid"),
    (-9, "La Institucion 90679 no es valida", REFUSED, "bank_unavailable"),
    (-10, "Medio de entrega invalido", REFUSED, "provider_rejected"),
    (-11, "El tipo de cuenta 3 es invalido", REFUSED, "destination_invalid"),
    (-12, "Tipo de operacion invalido", REFUSED, "provider_rejected"),
    (-13, "Tipo de pago invalido", REFUSED, "provider_rejected"),
    (-14, "Usuario invalido", REFUSED, "provider_rejected"),
    (-16, "Fecha de operacion invalida", NOT_SENT, "wrong_operating_date"),
    (-17, "No se pudo determinar el usuario", NOT_SENT, "configuration"),
    (-18, "La institucion operante no esta asociada al usuario", NOT_SENT, "configuration"),
    (-20, "El monto {500.0} no es válido", REFUSED, "amount_not_allowed"),
    (-21, "Digito verificador invalido", REFUSED, "destination_invalid"),
    (-22, "La cuenta CLABE {072} no coincide para la institucion operante {40012}", REFUSED, "destination_invalid"),
    (-23, "Longitud de CLABE incorrecta", REFUSED, "destination_invalid"),
    (-24, "Cuenta {072} - {MISMA_CUENTA}", REFUSED, "destination_invalid"),
    (-26, "Clave de rastreo invalida", REFUSED, "provider_rejected"),
    (-30, "Enlace Financiero en modo consultas", NOT_SENT, "closed"),
    (-34, "Clave rastreo invalida : ABC-123", REFUSED, "provider_rejected"),
    (-100, "No se encontraron ordenes", UNKNOWN, "uncatalogued"),
    (-200, "Orden sin cuenta ordenante. Se rechaza por PLD", REFUSED, "compliance_rejected"),
]


ANYTHING = st.dictionaries(
    st.sampled_from(["resultado", "id", "descripcionError", "estado"]),
    st.recursive(
        st.none() | st.booleans() | st.integers(max_value=999) | st.floats(allow_nan=False) | st.text(max_size=9),
        lambda inner: st.dictionaries(st.sampled_from(["id", "descripcionError"]), inner, max_size=2) | st.lists(inner),
        max_leaves=4,
    ),
)


def sent(status: int, body: Any) -> tuple[str, str, str]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    result = read_sent(status, raw)
    return result.outcome, result.reason, result.order_id


def refusal(code: Any, text: Any) -> dict[str, Any]:
    return {"resultado": {"descripcionError": text, "id": code}}


@pytest.mark.parametrize(("code", "text", "outcome", "reason"), CATALOGUE)
def test_every_error_of_the_catalogue_is_in_its_class(code, text, outcome, reason):
    assert sent(200, refusal(code, text)) == (outcome, reason, "")
    assert sent(400, refusal(code, text)) == (outcome, reason, "")

    result = read_sent(200, json.dumps(refusal(code, text)).encode())
    assert (result.code, result.detail) == (str(code), text.replace("072691004495711499", "072691********1499"))
    spoken = [registry.provider("stp").explain(result.code, result.detail, language) for language in ("es", "en")]
    assert all(spoken) and (spoken[0] != spoken[1] or reason == "uncatalogued")


def test_the_table_of_this_test_names_every_code_of_the_catalogue():
    assert {entry.code for entry in ORDER_ERRORS} <= {code for code, *_ in CATALOGUE}


@given(st.integers(-(10**6), 999), st.text(max_size=30))
def test_a_code_outside_the_catalogue_is_unknown_and_never_an_order(code, text):
    if code in {entry.code for entry in ORDER_ERRORS}:
        return

    result = read_sent(200, json.dumps(refusal(code, text)).encode())

    assert (result.outcome, result.reason, result.order_id) == ("unknown", "uncatalogued", "")
    assert result.needs_staff


def test_an_order_is_accepted_only_by_a_number_without_an_error():
    accepted = [{"id": 1000}, {"id": 9_349_827}, {"id": 9_349_827, "descripcionError": None}]
    accepted += [{"id": 9_349_827, "descripcionError": " "}]
    for answer in accepted:
        assert sent(200, {"resultado": answer}) == ("accepted", "", str(answer["id"]))

    unclear = [
        (200, {"id": 9_349_827, "descripcionError": "Error"}),
        (200, {"id": 9_349_827, "descripcionError": 1}),
        (200, {"id": "9349827"}),
        (200, {"id": True}),
        (200, {"id": 9349827.0}),
        (200, {"id": None}),
        (200, {}),
        (400, {"id": 9_349_827}),
        (403, {"id": 9_349_827}),
        (302, {"id": 9_349_827}),
        (408, {"id": 9_349_827}),
        (500, {"id": 9_349_827}),
        (200, {"id": 999}),
        (200, {"id": 3}),
        (200, {"id": 0}),
        (200, {"id": 10**18}),
        (200, {"id": 10**30}),
    ]
    for status, answer in unclear:
        assert sent(status, {"resultado": answer})[::2] == ("unknown", ""), (status, answer)


@given(st.integers(100, 599), st.binary(max_size=40) | st.builds(lambda x: json.dumps(x).encode(), ANYTHING))
def test_no_other_answer_is_ever_taken_for_an_order(status, raw):
    result = read_sent(status, raw)

    assert result.outcome is not Outcome.ACCEPTED
    assert result.reason != "" and result.order_id == ""


def test_a_refusal_by_a_failing_server_refuses_nothing():
    for status in (301, 408, 500, 502, 503, 504):
        for code in (-7, -30, -200):
            assert sent(status, refusal(code, "no"))[0] == "unknown"


def test_each_http_status_without_stps_words_means_what_the_table_says():
    away = dict.fromkeys((401, 403, 404, 405, 410, 429), ("not_sent", "turned_away", ""))
    lost = dict.fromkeys(
        (200, 204, 301, 302, 400, 402, 406, 408, 409, 422, 500, 502, 503), ("unknown", "unreadable", "")
    )
    for body in (b"<html>403 Forbidden</html>", b"", b"[]", {"mensaje": "no"}, {"resultado": []}, b"\xff\xfe"):
        assert {status: sent(status, body) for status in away | lost} == away | lost


def listed(**fields: Any) -> dict[str, Any]:
    return {
        "idEF": 21_784_922,
        "claveRastreo": ORDER.tracking_key,
        "cuentaBeneficiario": ORDER.beneficiary_clabe,
        "cuentaOrdenante": ORDER.ordering_clabe,
        "estado": "LQ",
        "fechaOperacion": 20261127,
        "monto": Decimal("1250.50"),
        "tsLiquidacion": 1_795_800_000_000,
        "causaDevolucion": None,
        "urlCEP": "https://www.banxico.org.mx/cep/go?i=90646",
        **fields,
    }


def test_a_listed_order_is_read_with_all_that_identifies_it():
    state = read_state(listed(causaDevolucion="14", claveRastreoDevolucion=" DEV1 ", folioOrigen="null"))

    assert (state.order_id, state.amount, state.operating_date) == ("21784922", 125_050, TODAY)
    assert (state.status, state.provider_status, state.cause) == (OrderStatus.SETTLED, "LQ", 14)
    assert (state.return_tracking_key, state.reference) == ("DEV1", "")
    assert state.settled_at == datetime(2026, 11, 27, 17, 20, tzinfo=UTC)
    assert state.is_of(ORDER)


@pytest.mark.parametrize(
    "other",
    [
        {"claveRastreo": "CR2"},
        {"monto": Decimal("1250.51")},
        {"monto": None},
        {"monto": "NaN"},
        {"cuentaBeneficiario": "012180015025335996"},
        {"cuentaBeneficiario": None},
        {"cuentaOrdenante": ""},
        {"fechaOperacion": 20261126},
        {"folioOrigen": "po_another"},
    ],
)
def test_an_order_that_differs_in_anything_that_is_said_is_not_ours(other):
    assert not read_state(listed(**other)).is_of(ORDER)


def test_every_state_of_stp_has_one_meaning_and_the_rest_decides_nothing():
    words = {
        "in_progress": "C PL L PA A E EA XC XD TC TL TA",
        "settled": "LQ TLQ lq",
        "returned": "D TD",
        "cancelled": "CN CL CA TCL RL RA RB",
        "unknown": "CR CCR CCE CCO CXO R RE XR EL EP EC ZZ",
    }
    for meaning, codes in words.items():
        assert {read_state(listed(estado=code)).status for code in codes.split()} == {meaning}
    assert {read_state(listed(estado=value)).status for value in (None, 1, "", "null", [])} == {"unknown"}
    assert len(STATES) == 23


def test_an_order_without_a_tracking_key_is_not_read():
    for value in (None, "", "null", [], "x" * 501):
        with pytest.raises(UnreadableNotice):
            read_state(listed(claveRastreo=value))


@pytest.fixture
def client(server) -> StpClient:
    return StpClient("EMPRESA", key_pair()[0], server.address)


def page(*keys: str, total: Any) -> dict[str, Any]:
    records = [{**listed(), "claveRastreo": key, "monto": 1250.5} for key in keys]
    return {"estado": 0, "mensaje": "ok", "datos": records, "total": total}


@pytest.mark.parametrize(
    ("pages", "complaint"),
    [
        ([page("A", total=2), page("A", total=2)], "does not advance"),
        ([page("A", total=2), {"estado": 6, "mensaje": "nada"}], "ends after 1 of 2"),
        ([page("A", total=2), page(total=2)], "ends after 1 of 2"),
        ([page("A", total=None)], "how many"),
        ([page("A", "", total=2)], "without a tracking key"),
        ([{"estado": 0, "datos": "none"}], "not a list"),
    ],
)
def test_a_day_that_may_not_be_complete_ends_with_an_error(server, client, pages, complaint):
    left = list(pages)
    server.answer = lambda handler: handler.reply(200, left.pop(0) if len(left) > 1 else left[0])

    with pytest.raises(OutcomeUnknown, match=complaint):
        list(client.list_sent(TODAY, today=TODAY))


def test_a_complete_day_is_read_to_its_end(server, client):
    left = [page("A", "B", total=3), page("C", "D", total=3)]
    server.answer = lambda handler: handler.reply(200, left.pop(0))

    days = list(client.list_sent(date(2026, 11, 26), today=TODAY))

    assert [[state.tracking_key for state in found] for found in days] == [["A", "B"], ["C", "D"]]
    asked = [body for *_, body in server.requests]
    assert [(body["tipoOrden"], body["fechaOperacion"], body["page"]) for body in asked] == [
        ("E", "20261126", 0),
        ("E", "20261126", 1),
    ]


def test_an_answer_about_another_order_is_no_answer(server, client):
    for other in ({"claveRastreo": "CR2"}, {"fechaOperacion": 20261126}, {"claveRastreo": None}):
        server.answer = replies(200, {"estado": 0, "respuesta": {**listed(**other), "monto": 1250.5}})
        with pytest.raises(OutcomeUnknown):
            client.find_sent(ORDER.tracking_key, TODAY, today=TODAY)

    server.answer = replies(400, {"estado": 6, "mensaje": "No se encontraron datos relacionados"})
    assert client.find_sent(ORDER.tracking_key, TODAY, today=TODAY) is None
    server.answer = replies(400, {"estado": 3, "mensaje": "limite"})
    with pytest.raises(ProviderNotContacted):
        client.find_sent(ORDER.tracking_key, TODAY, today=TODAY)
    server.answer = replies(400, {"estado": 2, "mensaje": "Firma invalida Firma Invalida"})
    with pytest.raises(ProviderRefused):
        client.find_sent(ORDER.tracking_key, TODAY, today=TODAY)


def test_a_balance_needs_both_figures_to_the_centavo(server, client):
    good = [
        {"estado": 0, "respuesta": {"saldo": 1250.5, "cargosPendientes": 0.01}},
        {"estado": 0, "saldo": "1250.50", "cargosPendientes": "0.01"},
    ]
    for answer in good:
        server.answer = replies(200, answer)
        assert client.balance(ORDER.ordering_clabe) == Balance(125_050, 1)
    assert Balance(125_050, 1).spendable == 125_049

    for answer in ({}, {"saldo": 1}, {"saldo": 1.005, "cargosPendientes": 0}, {"saldo": None, "cargosPendientes": 0}):
        server.answer = replies(200, {"estado": 0, "respuesta": answer})
        with pytest.raises(OutcomeUnknown):
            client.balance(ORDER.ordering_clabe)
    server.answer = replies(400, {"estado": 6})
    with pytest.raises(OutcomeUnknown):
        client.balance(ORDER.ordering_clabe)


@pytest.mark.parametrize(
    ("status", "answer", "outcome", "in_review"),
    [
        (200, {"id": 0, "descripcion": "Cuenta en revisión."}, "accepted", True),
        (200, {"id": 0, "descripcion": ""}, "accepted", True),
        (200, {"id": 3, "descripcion": "Cuenta Duplicada"}, "accepted", False),
        (200, {"id": 1, "descripcion": "rfc/curp invalido"}, "refused", False),
        (200, {"id": 5, "descripcion": "El campo NOMBRE obligatorio"}, "refused", False),
        (200, {"id": 3, "descripcion": "La cuenta no pertenece a la empresa"}, "refused", False),
        (200, {"id": 0, "descripcion": "Firma invalida"}, "not_sent", False),
        (200, {"id": 0, "descripcion": "algo nuevo"}, "unknown", False),
        (200, {"id": 99, "descripcion": "?"}, "unknown", False),
        (200, b"<html>", "unknown", False),
        (403, b"<html>", "not_sent", False),
        (500, {"id": 0, "descripcion": ""}, "unknown", False),
    ],
)
def test_an_answer_to_a_registration_means_what_the_table_says(status, answer, outcome, in_review):
    raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()

    result = read_registered(status, raw, removing=False)

    assert (result.outcome, result.in_review) == (outcome, in_review)


def test_a_clabe_that_is_gone_already_counts_as_removed():
    raw = json.dumps({"id": 6, "descripcion": "Cuenta no asociada"}).encode()

    assert read_registered(200, raw, removing=True).outcome is Outcome.ACCEPTED
    assert read_registered(200, raw, removing=False).outcome is Outcome.REFUSED


def test_a_holder_is_written_in_stps_letters():
    company = write_registration("EMPRESA", "646180157000000004", COMPANY)
    person = write_registration("EMPRESA", "646180157000000004", PERSON)

    shown = [company["nombre"], company["pais"], company["fechaConstitucion"]]
    assert shown == ["MATERIALES PENA S A", 187, "19930714"]
    assert [person[name] for name in ("nombre", "apellidoPaterno", "apellidoMaterno")] == [
        "EFRAIN",
        "SANCHEZ",
        "HERNANDEZ",
    ]
    assert (person["paisNacimiento"], person["fechaNacimiento"]) == (187, "19800416")


def test_no_result_of_a_send_shows_the_key_or_a_person(server, client):
    server.answer = replies(200, {"resultado": {"id": 9_349_827}, "nombreBeneficiario": "Ricardo Sanchez"})

    result = client.send(ORDER)

    assert (result.outcome, result.reason) == (Outcome.ACCEPTED, SendReason.NONE)
    assert "Ricardo" not in repr((result, ORDER, client))
    assert "9349827" in result.raw
    assert len(server.requests) == 1
