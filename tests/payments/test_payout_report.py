"""Reports of payouts, in both formats."""

from __future__ import annotations

import pytest

from payments.models import FeeRule, Payout
from payments.models.payout import INTERNAL_KINDS
from payments.resources.report import PAYOUT_KINDS, PAYOUT_STATUSES
from payments.services import payout_sending, report_file
from tests.factories.payouts import CLABE, wanted
from tests.payments.report_orders import as_text, table, written

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def api(merchant, make_api):
    return make_api(merchant, scopes=["payouts:read", "payouts:write", "reports:read"])


def send(api, **changes):
    answer = api.post("/v1/payouts", wanted(**changes), key=f"po-{Payout.objects.count()}")
    assert answer.status_code == 202, answer.content
    payout = Payout.objects.get(public_id=answer.json()["id"])
    payout_sending.advance(payout.pk)
    return Payout.objects.get(pk=payout.pk)


def rows_of(shown):
    headings, *lines = table(shown)
    return [dict(zip(headings, line, strict=True)) for line in lines]


def test_a_row_says_who_got_how_much_and_what_it_cost(api, merchant, script):
    FeeRule.objects.create(merchant=merchant, method="payout", percent=1, fixed=500)
    payout = send(api, external_id="nómina-17", reference_number=1234567)

    shown = written(api, "payouts")

    (row,) = rows_of(shown)
    assert (shown["rows_done"], shown["rows_total"]) == (1, 1)
    assert {**row, "Creado": ""} == {
        "ID": payout.public_id,
        "Creado": "",
        "ID del comercio": "nómina-17",
        "Clase": "Dispersión",
        "Estado": "En proceso",
        "Importe": "500.00",
        "Moneda": "MXN",
        "Comisión": "10.00",
        "IVA": "1.60",
        "Total": "511.60",
        "Beneficiario": "Ricardo Pena",
        "CLABE": CLABE,
        "Banco": "BBVA Mexico",
        "Concepto": "Liquidacion 17",
        "Referencia numérica": "1234567",
        "Clave de rastreo": payout.tracking_key,
        "Fecha de operación": payout.operating_date.isoformat(),
        "Programado": "",
        "Liquidado": "",
        "Devuelto": "",
        "Causa de devolución": "",
        "Motivo de falla": "",
        "Detalle": "",
    }


def test_a_payout_that_did_not_leave_costs_nothing_and_says_why(api, merchant, script):
    FeeRule.objects.create(merchant=merchant, method="payout", percent=0, fixed=500)
    script.answers = ["refuse"]
    refused = send(api)

    (row,) = rows_of(written(api, "payouts"))

    assert refused.status == "failed"
    assert (row["Estado"], row["Comisión"], row["IVA"], row["Total"]) == ("Fallido", "0.00", "0.00", "500.00")
    assert row["Motivo de falla"] == "destination_invalid"


def test_both_formats_say_the_same_over_many_pages(api, script, monkeypatch):
    made = [send(api, amount=1_000 + n, concept=f"=1+{n}") for n in range(5)][::-1]
    monkeypatch.setattr(report_file, "CHUNK", 2)

    text = table(written(api, "payouts"))
    typed = table(written(api, "payouts", format="xlsx"))

    assert [line[0] for line in text[1:]] == [payout.public_id for payout in made]
    assert typed[0] == text[0]
    for line, cells in zip(text[1:], typed[1:], strict=True):
        shown = [as_text(cell, heading) for heading, cell in zip(text[0], cells, strict=True)]
        assert [cell.removeprefix("\\") for cell in line] == shown


def test_payouts_of_others_and_of_the_house_are_left_out(api, script, other_merchant, make_api):
    send(api)

    assert rows_of(written(make_api(other_merchant, scopes=["reports:read"]), "payouts")) == []


def test_every_kind_and_state_that_merchants_see_has_a_name():
    assert set(PAYOUT_STATUSES) == set(Payout.Status.values)
    assert set(PAYOUT_KINDS) == set(Payout.Kind.values) - INTERNAL_KINDS
