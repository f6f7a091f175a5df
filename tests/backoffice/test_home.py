from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from core import clock
from ledger.models import Breach
from tests.backoffice.conftest import Desk, PayoutDesk, with_payouts
from tests.conftest import Api
from tests.provider_messages import ConektaSender, StpSender


@pytest.fixture
def desk(desk: Desk, api: Api, stp: StpSender) -> PayoutDesk:
    return with_payouts(desk, api, stp)


def figures(page: Any) -> dict[str, tuple[str, str]]:
    return {card["title"]: (card["figure"], card["note"]) for card in page.context["cards"]}


def test_shows_what_came_in_what_waits_and_what_needs_somebody(desk: Desk, admin_client: Client) -> None:
    page = admin_client.get("/admin/")

    assert figures(page) == {
        "Recibido hoy por SPEI": ("$1,250.50", "1 en total"),
        "Recibido hoy por OXXO": ("$0.00", "ninguno"),
        "Por identificar": ("$99.00", "1 en total"),
        "Pagos pendientes": ("$1,250.50", "1 en total"),
        "Dispersiones por atender": ("$500.00", "1 en total"),
        "Dispersiones demoradas": ("$500.00", "1 en total"),
        "Dispersiones en espera de fondos en el proveedor": ("$0.00", "ninguno"),
        "Eventos por atender": ("0", "todos aplicados"),
        "Endpoints de webhooks con fallas": ("0", "ninguno falla"),
    }
    assert len(page.context["transfers"]["rows"]) == 5


def test_live_and_test_never_mix(desk: Desk, admin_client: Client) -> None:
    page = admin_client.get("/admin/", {"mode": "live"})

    assert {figure for figure, _ in figures(page).values()} == {"$0.00", "0"}
    assert "Aún no hay nada en este modo." in page.content.decode()


def test_an_empty_house_opens_its_door(admin_client: Client) -> None:
    assert admin_client.get("/admin/").status_code == 200


@pytest.mark.parametrize("card", range(9))
def test_every_card_leads_to_a_list(card: int, desk: Desk, admin_client: Client) -> None:
    page = admin_client.get("/admin/")

    assert admin_client.get(page.context["cards"][card]["url"]).status_code == 200


def test_events_in_retry_and_in_conflict_are_counted_and_listed(
    desk: Desk, admin_client: Client, stp: StpSender, conekta: ConektaSender
) -> None:
    assert stp.post(stp.deposit(desk.paid.clabe or "", 1)).status_code == 400  # a known tracking key
    assert conekta.post(b'{"id": "evt-1", "type": "order.paid"}').status_code == 200

    page = admin_client.get("/admin/")

    assert figures(page)["Eventos por atender"] == ("2", "aún sin aplicar o en conflicto")
    (url,) = [card["url"] for card in page.context["cards"] if card["title"] == "Eventos por atender"]
    listed = admin_client.get(url).context["cl"].queryset
    assert sorted(listed.values_list("status", "event_type")) == [("conflict", "stp.deposit"), ("retry", "order.paid")]


def test_staff_sees_only_the_figures_it_may_see(desk: Desk, client: Client, django_user_model: Any) -> None:
    user = django_user_model.objects.create_user("caja", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_providerevent"))
    client.force_login(user)

    page = client.get("/admin/")

    assert list(figures(page)) == ["Eventos por atender"]
    assert page.context["transfers"] is None


def test_the_menu_shows_what_the_user_may_open(desk: Desk, client: Client, django_user_model: Any) -> None:
    client.force_login(django_user_model.objects.create_user("nadie", password="x", is_staff=True))

    page = client.get("/admin/").content.decode()

    assert "/admin/payments/payment/" not in page
    assert "/admin/ledger/account/" not in page


def test_a_broken_check_is_shown_in_the_mode_that_it_stops(desk: Desk, admin_client: Client) -> None:
    Breach.objects.create(invariant="covered", message="algo", livemode=False)
    Breach.objects.create(invariant="guards_enabled", message="algo", cleared_at=clock.now())

    shown = {mode: admin_client.get("/admin/", {"mode": mode}) for mode in ("live", "test")}

    text = "Una comprobación de la contabilidad no se cumple y detiene las salidas de dinero afectadas: El efectivo"
    assert {mode: page.content.decode().count(text) for mode, page in shown.items()} == {"live": 0, "test": 1}
    assert [len(page.context["broken"]) for page in shown.values()] == [0, 1]
