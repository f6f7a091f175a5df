"""Guards staff's desk for adjustments: proposing, deciding, withdrawing, evidence.

No crafted POST, by the maker, by a viewer, or without a token, does what its sender may not; bad input is answered at
its field, in Spanish, and leaves nothing.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client
from django.urls import reverse

from core import clock
from ledger.models import Account, Adjustment, Hold, Transaction
from ledger.services import adjustment, balance, hold
from ledger.services.journal import PostingTime
from merchants.models import Merchant
from staff.models import Approval, Vote
from tests.factories.ledger_pages import ADD, PDF, deposit, fields, proposed_by, signed_in


@pytest.fixture
def maker(db: None) -> Client:
    """Proposes, and would decide if he were let."""
    return signed_in("mario", "add_adjustment", "add_approval", "decide_approval")


@pytest.fixture
def checker(maker: Client) -> Client:
    return signed_in("celia", "decide_approval")


def step(found: Adjustment, name: str) -> str:
    return f"/admin/ledger/adjustment/{found.public_id}/{name}/"


def buttons(client: Client, found: Adjustment) -> list[str]:
    page = client.get(reverse("admin:ledger_adjustment_change", args=[found.public_id]))
    assert page.status_code == 200
    return [action["path"].rstrip("/").rsplit("/", 1)[1] for action in page.context["actions_detail"]]


def rows() -> tuple[int, ...]:
    return tuple(model.objects.count() for model in (Adjustment, Approval, Vote, Transaction, Account))


def test_one_proposes_another_approves_and_it_is_in_the_books(maker: Client, checker: Client) -> None:
    assert maker.get(ADD).status_code == 200
    found = proposed_by(maker)
    assert found.legs == [
        {"account": "platform:losses", "amount": 123_456},
        {"account": "platform:bank_cash", "amount": -123_456},
    ]
    assert clock.to_rfc3339(found.effective_at) == "2026-10-14T16:30:00.000000Z"  # type: ignore[arg-type]
    assert (buttons(maker, found), buttons(checker, found)) == (["withdraw"], ["approve", "reject"])
    inbox = checker.get("/admin/staff/approval/?status__exact=pending").content.decode()
    assert found.public_id in inbox
    assert "celia" in inbox

    answer = checker.post(step(found, "approve"), {"comment": "Coincide con el estado de cuenta."})

    assert answer.status_code == 302
    page = checker.get(reverse("admin:ledger_adjustment_change", args=[found.public_id])).content.decode()
    posted = Transaction.objects.get()
    assert posted.public_id in page
    assert "Coincide con el estado de cuenta." in page
    assert buttons(maker, found) == buttons(checker, found) == []
    assert balance.of_platform(livemode=False) == {"losses": 123_456, "bank_cash": -123_456}


def test_a_rejection_needs_a_reason_and_a_withdrawal_none(maker: Client, checker: Client) -> None:
    found, other = proposed_by(maker), proposed_by(maker)

    silent = checker.post(step(found, "reject"), {"comment": ""})
    assert silent.context["form"].errors == {"comment": ["Di por qué lo rechazas."]}
    assert checker.post(step(found, "reject"), {"comment": "No es nuestra."}).status_code == 302
    assert checker.post(step(other, "withdraw")).status_code == 403
    assert maker.post(step(other, "withdraw")).status_code == 302

    assert set(Adjustment.objects.values_list("status", flat=True)) == {"rejected"}
    assert Transaction.objects.count() == 0


def test_a_crafted_post_by_the_maker_decides_nothing(maker: Client) -> None:
    found = proposed_by(maker)

    for name in ("approve", "reject"):
        answer = maker.post(step(found, name), {"comment": "Yo mismo."})
        assert "debe hacerlo una segunda persona" in answer.context["form"].non_field_errors()[0]

    found.refresh_from_db()
    assert (found.status, Vote.objects.count(), Transaction.objects.count()) == ("proposed", 0, 0)


def test_a_superuser_does_not_decide_about_his_own_proposal(admin_client: Client) -> None:
    found = proposed_by(admin_client)

    assert buttons(admin_client, found) == ["withdraw"]
    assert admin_client.post(step(found, "approve"), {"comment": "Soy administrador."}).status_code == 200
    found.refresh_from_db()
    assert (found.status, Vote.objects.count()) == ("proposed", 0)


def test_whoever_may_only_look_proposes_decides_and_verifies_nothing(
    maker: Client, viewer: Client, merchant: Merchant
) -> None:
    found = proposed_by(maker)
    original = deposit(merchant, 5_000, "dep_1")
    before = rows()

    answers = [
        viewer.post(ADD, fields()),
        viewer.get(ADD),
        viewer.post(step(found, "approve"), {"comment": "Sí."}),
        viewer.post(step(found, "reject"), {"comment": "No."}),
        viewer.post(step(found, "withdraw")),
        viewer.post(f"/admin/ledger/transaction/{original.public_id}/reverse/", {"reason": "x"}),
        viewer.get("/admin/ledger/breach/verify/"),
        viewer.post("/admin/ledger/breach/verify/"),
        viewer.post(reverse("admin:ledger_adjustment_change", args=[found.public_id]), {"status": "posted"}),
        viewer.post(reverse("admin:staff_approval_change", args=[Approval.objects.get().public_id]), {"_save": "1"}),
    ]

    assert [answer.status_code for answer in answers] == [403] * len(answers)
    assert rows() == before
    assert buttons(viewer, found) == []


def test_acting_needs_a_csrf_token_and_a_get_acts_on_nothing(maker: Client, checker: Client, admin_user: Any) -> None:
    found = proposed_by(maker)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(admin_user)
    before = rows()

    for url in (ADD, step(found, "approve"), "/admin/ledger/breach/verify/"):
        assert strict.post(url, fields()).status_code == 403
        assert strict.get(url).status_code == 200

    assert rows() == before


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"debit_0": "1.005", "credit_1": "1.005"}, "debit_0", "Un importe tiene dos decimales"),
        ({"debit_0": "mil"}, "debit_0", "Escribe un importe en pesos, como 1250.50."),
        ({"debit_0": "-5"}, "debit_0", "Escribe un importe en pesos, como 1250.50."),
        ({"debit_0": "1e3"}, "debit_0", "Escribe un importe en pesos, como 1250.50."),
        ({"debit_0": "1,23.00"}, "debit_0", "Escribe un importe en pesos, como 1250.50."),
        ({"debit_0": "١٢"}, "debit_0", "Escribe un importe en pesos, como 1250.50."),
        ({"debit_0": "9" * 20}, "debit_0", "Un importe tiene dos decimales"),
        ({"debit_0": "0.00"}, "debit_0", "Un importe es mayor que cero."),
        ({"credit_0": "5"}, "debit_0", "Escribe un cargo o un abono."),
        ({"debit_0": None}, "debit_0", "Escribe un cargo o un abono."),
        ({"account_0": None}, "account_0", "Elige una cuenta de la lista."),
        ({"account_0": "platform:caja_chica"}, "account_0", "Elige una cuenta de la lista."),
        ({"account_0": "platform:bank_cash"}, None, "Una cuenta solo puede aparecer una vez"),
        ({"debit_0": "1.00"}, None, "los cargos deben ser iguales a los abonos"),
        ({"account_1": None, "credit_1": None}, None, "los cargos deben ser iguales a los abonos"),
        ({"account_0": "platform:suspense"}, None, "platform:suspense tiene $0.00; se necesitan $1,234.56."),
        ({"description": " "}, None, "Una descripción tiene de 1 a 200 caracteres."),
        ({"reason": ""}, "reason", "Indica un motivo."),
        ({"reason": "x" * 501}, "reason", "Un motivo tiene 500 caracteres como máximo."),
        ({"evidence": None}, "evidence", "Adjunta la evidencia."),
        ({"evidence": SimpleUploadedFile("a.pdf", b"")}, "evidence", "El archivo está vacío."),
        ({"evidence": SimpleUploadedFile("a.png", b"<svg/>")}, "evidence", "El archivo no es una imagen"),
        ({"effective_at": "ayer"}, "effective_at", "Introduzca una fecha/hora válida."),
        ({"effective_at": "2099-01-01T00:00"}, "effective_at", "El momento está en el futuro."),
        ({"effective_at": "9999-12-31T23:59"}, "effective_at", "El momento está en el futuro."),
        ({"effective_at": "0001-01-01T00:00"}, "effective_at", "El momento es anterior al año 2000."),
        ({"operating_date": "2026-02-30"}, "operating_date", "Introduzca una fecha válida."),
        ({"operating_date": "2099-01-01"}, "operating_date", "La fecha de operación"),
        ({"livemode": "prod"}, "livemode", "Seleccione una opción válida."),
        ({"reason": "nulo \x00"}, "reason", "nulos"),
    ],
)
def test_bad_input_is_answered_at_its_field_and_leaves_nothing(
    changes: dict[str, Any], field: str | None, message: str, maker: Client
) -> None:
    before = rows()

    answer = maker.post(ADD, fields(**changes))

    assert answer.status_code == 200
    errors = answer.context["form"].errors.get(field or "__all__", [])
    assert any(message in error for error in errors), answer.context["form"].errors
    assert message.replace('"', "&quot;") in answer.content.decode()
    assert rows() == before


def test_what_is_missing_when_it_is_approved_is_said_in_figures(
    maker: Client, checker: Client, merchant: Merchant
) -> None:
    deposit(merchant, 123_456, "dep_1")
    found = proposed_by(maker, account_0=f"{merchant.public_id}:available", account_1="platform:owner_funds")
    with transaction.atomic():
        when = PostingTime(clock.now(), clock.now().date())
        hold.place(merchant, livemode=False, source="po_1", amount=1, purpose=Hold.Purpose.PAYOUT, when=when)
    before = rows()

    answer = checker.post(step(found, "approve"), {"comment": ""})

    said = f"{merchant.public_id}:available tiene $1,234.55; se necesitan $1,234.56."
    assert answer.context["form"].non_field_errors() == [said]
    assert rows() == before
    assert Adjustment.objects.get().status == "proposed"


def test_evidence_is_a_download_that_no_browser_runs_and_reading_it_is_logged(
    maker: Client, viewer: Client, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    found = proposed_by(maker)
    client.force_login(User.objects.create_user("nadie", password="x", is_staff=True))

    with caplog.at_level(logging.INFO, logger="staff.admin.evidence"):
        answer = viewer.get(step(found, "evidence"))
        refused = client.get(step(found, "evidence"))

    assert b"".join(answer.streaming_content) == PDF  # type: ignore[attr-defined]
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="estado de cuenta.pdf"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "sandbox"
    assert "no-store" in answer.headers["Cache-Control"]
    assert refused.status_code == 403
    logged = [record for record in caplog.records if record.name == "staff.admin.evidence"]
    assert [(record.getMessage(), record.staff) for record in logged] == [  # type: ignore[attr-defined]
        ("evidence read", "vera"),
        ("evidence refused", "nadie"),
    ]
    assert Client().get(step(found, "evidence")).status_code == 302
    assert viewer.get("/admin/ledger/adjustment/adj_00000000000000000000000000/evidence/").status_code == 404


def test_a_reversal_is_proposed_from_the_transaction(maker: Client, checker: Client, merchant: Merchant) -> None:
    original = deposit(merchant, 100_000, "dep_1")
    url = f"/admin/ledger/transaction/{original.public_id}/reverse/"
    body = {"amount": "1,000.01", "reason": "Se abonó de más.", "evidence": SimpleUploadedFile("a.pdf", PDF)}

    too_much = maker.post(url, body)
    assert too_much.context["form"].non_field_errors() == ["Solo se puede revertir lo que queda de la transacción."]
    assert Adjustment.objects.count() == 0
    body |= {"amount": "400", "evidence": SimpleUploadedFile("a.pdf", PDF)}
    assert maker.post(url, body).status_code == 302
    found = Adjustment.objects.get()
    assert checker.post(step(found, "approve"), {"comment": ""}).status_code == 302

    page = maker.get(reverse("admin:ledger_transaction_change", args=[original.public_id])).content.decode()
    assert Transaction.objects.latest("id").public_id in page
    assert balance.of_merchant(merchant, livemode=False).available == 60_000


def test_an_expired_approval_offers_no_button(maker: Client, checker: Client) -> None:
    user = User.objects.get(username="mario")
    with time_machine.travel(clock.now() - timedelta(days=8)):
        now = clock.now()
        found = adjustment.propose(
            livemode=False,
            description="Tarde",
            reason="Nadie decidió.",
            legs=[("platform:losses", 1), ("platform:bank_cash", -1)],
            effective_at=now,
            operating_date=now.date(),
            evidence=ContentFile(PDF, name="a.pdf"),
            maker=user,
        )

    assert buttons(checker, found) == []
    answer = checker.post(step(found, "approve"), {"comment": ""})
    assert answer.context["form"].non_field_errors() == ["El plazo para decidir terminó; hay que proponerlo de nuevo."]
