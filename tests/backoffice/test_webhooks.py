"""Webhooks to merchants in the back office: endpoints, deliveries, and what staff does with them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils.html import strip_tags

from core import clock
from core.admin import format_moment
from merchants.models import Event, Merchant
from tests.webhooks.outbound.conftest import visible as visible
from tests.webhooks.outbound.merchant_side import SECRET, Receiver, endpoint, happen, pause
from webhooks.outbound.models import Delivery, DeliveryAttempt, Endpoint
from webhooks.outbound.services import figures
from webhooks.outbound.services.sender import deliver_due

pytestmark = pytest.mark.usefixtures("visible")
ENDPOINTS, DELIVERIES = "/admin/webhooks/endpoint/", "/admin/webhooks/delivery/"
START = datetime(2026, 11, 30, 18, 30, tzinfo=UTC)
PAYMENT = "pay_01kb3x5m9qv2t7w8y4n6r0s1de"


def url(obj: Any, page: str = "change") -> str:
    return f"{DELIVERIES if isinstance(obj, Delivery) else ENDPOINTS}{obj.public_id}/{page}/"


def staff(*codenames: str) -> Client:
    user = User.objects.create_user(f"u{User.objects.count()}", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


def listed(client: Client, address: str, **query: str) -> list[Any]:
    page = client.get(address, query)
    assert page.status_code == 200, query
    return list(page.context["cl"].result_list)


def row(client: Client, address: str, obj: Any) -> list[str]:
    """The line of an object in a list, cell by cell."""
    cl = client.get(address).context["cl"]
    (shown,) = [one for one in cl.result_list if one.pk == obj.pk]
    columns = cl.model_admin.list_display
    return [strip_tags(str(c(shown) if callable(c) else getattr(shown, c))).strip() for c in columns]


def test_the_list_tells_how_each_endpoint_fares_with_as_many_queries_for_one_as_for_ten(
    merchant, other_merchant, django_assert_max_num_queries: Any
) -> None:
    with time_machine.travel(START, tick=False) as traveller:
        viewer = staff("view_endpoint")
        good, bad = (
            endpoint(merchant),
            endpoint(other_merchant, livemode=True, events=["*"], url="https://bad.example/h"),
        )
        happen(merchant, *["payment.created"] * 3)
        happen(other_merchant, "payout.created", livemode=True)
        deliver_due(Receiver(lambda got: 200 if "merchant" in got.url else 503))
        traveller.shift(timedelta(minutes=1))
        happen(merchant, "payment.expired")
        deliver_due(Receiver(lambda _: "timeout"))

        lines = row(viewer, ENDPOINTS, good), row(viewer, ENDPOINTS, bad)
        for number in range(8):
            endpoint(merchant, url=f"https://e{number}.example/h")
        with django_assert_max_num_queries(8):  # session, user, permissions; rows, backlogs, records, merchants' filter
            assert len(listed(viewer, ENDPOINTS)) == 10

    assert lines[0][1:] == [
        "Café Luna", "prueba", "https://merchant.example/webhooks", "payment.*, clabe.*", "activo", "1",
        "✓ 30/11/2026 12:30✗ 30/11/2026 12:31", "75.0 %",
    ]  # fmt: skip
    assert lines[1][1:6] == ["Otra Tienda", "real", "https://bad.example/h", "*", "activo"]
    assert lines[1][7:] == ["✓ -✗ 30/11/2026 12:31", "0.0 %"]
    assert listed(viewer, ENDPOINTS, livemode__exact="1") == listed(viewer, ENDPOINTS, q="BAD.example") == [bad]
    assert listed(viewer, ENDPOINTS, attention="unwell") == []


def test_a_paused_endpoint_counts_what_it_has_not_read_and_the_home_page_warns(merchant, viewer: Client) -> None:
    owner = endpoint(merchant)
    happen(merchant, "payment.created")
    deliver_due(Receiver(lambda _: 500))
    pause(owner)
    happen(merchant, "payment.expired", "payment.cancelled", "payout.created")
    deliver_due(Receiver(lambda _: 500))

    page = viewer.get(url(owner))

    assert figures.backlogs([owner.pk])[owner.pk] == figures.Backlog(3, has_more=False)
    assert "en pausa" in strip_tags(page.content.decode())
    assert listed(viewer, ENDPOINTS, attention="unwell", livemode__exact="0") == [owner]
    cards = {card["title"]: card for card in viewer.get("/admin/?mode=test").context["cards"]}
    card = cards["Endpoints de webhooks con fallas"]
    assert (card["figure"], card["alarm"]) == ("1", True)
    assert list(viewer.get(card["url"]).context["cl"].result_list) == [owner]


def test_an_endpoints_page_draws_its_attempts_and_never_shows_a_secret(
    merchant, django_assert_max_num_queries: Any
) -> None:
    with time_machine.travel(START, tick=False) as traveller:
        owner, idle = endpoint(merchant, metadata={"equipo": "<b>"}), endpoint(merchant, events=["kyc.*"])
        happen(merchant, *["payment.created"] * 4)
        deliver_due(Receiver())
        traveller.shift(timedelta(days=3))
        happen(merchant, *["payment.expired"] * 2)
        deliver_due(Receiver(lambda got: 500))
        viewer = staff("view_endpoint")

        with django_assert_max_num_queries(16):
            page = viewer.get(url(owner))
        empty = viewer.get(url(idle)).content.decode()

    day, week = page.context["charts"]
    assert (day["summary"], week["summary"]) == ("0.0 % de 2 intentos con éxito", "66.6 % de 6 intentos con éxito")
    assert [bar.bad_height for bar in day["bars"]] == [0] * 23 + [96]
    assert [(bar.good_height, bar.bad_height) for bar in week["bars"] if bar.good_height or bar.bad_height] == [
        (96, 0), (0, 48),
    ]  # fmt: skip
    text = page.content.decode()
    assert text.count("<svg role=") == 2 and "&lt;b&gt;" in text
    assert SECRET not in text and SECRET.removeprefix("whsec_") not in text
    assert "no se muestra; desde 30/11/2026 12:30" in text
    assert f"?endpoint={owner.public_id}" in text
    assert "<svg role=" not in empty and "sin intentos" in empty and "nada todavía" in empty


def test_deliveries_are_filtered_and_found_by_every_id(
    merchant, other_merchant, viewer: Client, django_assert_max_num_queries: Any
) -> None:
    with time_machine.travel(START, tick=False) as traveller:
        ours, theirs = endpoint(merchant, events=["*"]), endpoint(other_merchant, livemode=True, events=["*"])
        (created,) = happen(merchant, "payment.created", about=PAYMENT)
        deliver_due(Receiver())
        traveller.shift(timedelta(days=1))
        happen(merchant, "clabe.created", about="clb_1")
        happen(other_merchant, "payment.expired", livemode=True, about="pay_2")
        deliver_due(Receiver(lambda _: 500))
    first, second, third = Delivery.objects.filter(kind="feed").order_by("pk")
    attempt = DeliveryAttempt.objects.get(delivery=second)
    at = staff("view_delivery")

    for query, found in (
        ({}, [third, second, first]),
        ({"status__exact": "delivered"}, [first]),
        ({"status__exact": "exhausted"}, []),
        ({"endpoint": theirs.public_id}, [third]),
        ({"endpoint": "we_nothing"}, []),
        ({"endpoint__merchant__id__exact": str(merchant.pk)}, [second, first]),
        ({"type": "payment.created"}, [first]),
        ({"livemode__exact": "1"}, [third]),
        ({"created_at_from": "2026-12-01", "created_at_to": "2026-12-01"}, [third, second]),
        ({"created_at_to": "2026-11-30"}, [first]),
        ({"q": second.public_id}, [second]),
        ({"q": attempt.public_id}, [second]),
        ({"q": created.public_id.upper()}, [first]),
        ({"q": PAYMENT}, [first]),
        ({"q": "clb_1"}, [second]),
        ({"q": ours.public_id}, [second, first]),
        ({"q": "nadie"}, []),
    ):
        assert listed(at, DELIVERIES, **query) == found, query
    with django_assert_max_num_queries(6):  # session, user, permissions; rows, merchants' filter
        listed(at, DELIVERIES)


def test_a_delivery_shows_what_was_sent_and_each_answer_in_order(merchant) -> None:
    answers = iter([502, "timeout", 503])
    receiver = Receiver(lambda _: next(answers))
    with time_machine.travel(START, tick=False) as traveller:
        endpoint(merchant)
        happen(merchant, "payment.created", about=PAYMENT)
        for _ in range(3):
            deliver_due(receiver)
            traveller.shift(timedelta(minutes=20))
        made = Delivery.objects.get()
        page = staff("view_delivery").get(url(made))

    (table,) = page.context["trail"]
    outcomes = [strip_tags(line[2]).strip() for line in table["rows"]]
    text = page.content.decode()
    assert outcomes == ["502", "no respondió en 15 segundos", "503"]
    assert [line[1] for line in table["rows"]] == [
        f"30/11/2026 {when}" for when in ("12:30:00", "12:50:00", "13:10:00")
    ]
    assert format_moment(made.next_attempt_at, seconds=True) in text
    assert "said \ufffd so" in text
    sent = {name.lower(): value for name, value in receiver.got[-1].headers.items()}
    shown = page.context["adminform"].model_admin.fieldsets[1][1]["fields"][0](made)
    headers = dict(line.split(": ", 1) for line in strip_tags(shown).splitlines())
    assert {name.lower() for name in headers} == set(sent)
    assert all(sent[name.lower()] == value for name, value in headers.items() if name != "webhook-signature")
    assert "&quot;object_sequence&quot;: 1" in text


def test_staff_with_the_permission_has_one_delivery_made_again(merchant, viewer: Client) -> None:
    endpoint(merchant)
    happen(merchant, "payment.created", "payment.expired")
    deliver_due(Receiver(lambda got: 500 if "expired" in got.body.decode() else 200))
    delivered, waiting = Delivery.objects.order_by("pk")
    permitted = staff("view_delivery", "retry_delivery")

    refused = [viewer.post(url(delivered, "again")).status_code, viewer.post(url(waiting, "retry")).status_code]
    assert [refused, Delivery.objects.filter(manual=True).count()] == [[403, 403], 0]
    for made, page, absent in ((delivered, "again", "retry"), (waiting, "retry", "again")):
        shown = permitted.get(url(made)).content.decode()
        assert url(made, page) in shown and url(made, absent) not in shown
        assert permitted.get(url(made, page)).status_code == 200
    assert Delivery.objects.filter(manual=True).count() == 0

    again = permitted.post(url(delivered, "again"))
    permitted.post(url(waiting, "retry"))

    (replayed,) = Delivery.objects.filter(kind="replay")
    assert again.url == url(replayed)
    receiver = Receiver()
    deliver_due(receiver)
    assert sorted(Delivery.objects.values_list("kind", "status")) == [
        ("feed", "delivered"), ("feed", "delivered"), ("replay", "delivered"),
    ]  # fmt: skip
    assert len(receiver.got) == 2


def test_a_range_is_counted_confirmed_and_noted(merchant, viewer: Client) -> None:
    owner = endpoint(merchant)
    happen(merchant, "payment.created", "payment.expired", "payout.created")
    deliver_due(Receiver())
    permitted = staff("view_endpoint", "replay_endpoint")
    now = clock.now().astimezone(clock.MEXICO_CITY)
    form = {
        "since": f"{now - timedelta(hours=1):%Y-%m-%dT%H:%M}",
        "until": f"{now + timedelta(minutes=1):%Y-%m-%dT%H:%M}",
        "only": "all",
        "reason": "Perdieron su base",
    }

    assert viewer.post(url(owner, "replay"), {**form, "confirmed": "1"}).status_code == 403
    for change, field in (
        ({"until": form["since"]}, "until"),
        ({"since": "2020-01-01T00:00"}, "since"),
        ({"reason": ""}, "reason"),
        ({"only": "x"}, "only"),
    ):
        wrong = permitted.post(url(owner, "replay"), {**form, **change, "confirmed": "1"})
        assert list(wrong.context["form"].errors) == [field]
    missing = permitted.post(url(owner, "replay"), {**form, "only": "missing"}).content.decode()
    counted = permitted.post(url(owner, "replay"), form)
    assert "que se entregarían de nuevo: 0." in missing
    assert "que se entregarían de nuevo: 2." in counted.content.decode()
    hidden = {bound.html_name: bound.value() for bound in counted.context["form"]}
    assert 'name="confirmed"' in counted.content.decode()
    assert [Delivery.objects.filter(kind="replay").count(), LogEntry.objects.count()] == [0, 0]

    done = permitted.post(url(owner, "replay"), {**hidden, "confirmed": "1"})

    assert (done.status_code, Delivery.objects.filter(kind="replay").count()) == (302, 2)
    assert "Entregar eventos de nuevo: 2 (" in strip_tags(permitted.get(url(owner)).content.decode())
    assert "Perdieron su base" in LogEntry.objects.get().change_message


def test_an_endpoint_is_switched_off_and_on_with_a_reason(merchant, viewer: Client) -> None:
    owner = endpoint(merchant, events=["payment.*", "webhook_endpoint.*"])
    happen(merchant, "payment.created")
    deliver_due(Receiver(lambda _: 500))
    permitted = staff("view_endpoint", "switch_endpoint")

    assert viewer.post(url(owner, "disable"), {"reason": "x"}).status_code == 403
    assert permitted.post(url(owner, "disable"), {"reason": " "}).status_code == 200
    assert Endpoint.objects.get().status == "active"
    assert permitted.post(url(owner, "disable"), {"reason": "Ataque"}).status_code == 302
    off = Endpoint.objects.get()
    assert (off.status, off.disabled_reason, off.settling) == ("disabled", "staff", False)
    assert list(Delivery.objects.values_list("status", flat=True)) == ["cancelled"]
    assert Event.objects.filter(type="webhook_endpoint.disabled").count() == 1
    again = permitted.post(url(owner, "disable"), {"reason": "Ataque"})
    assert "Este endpoint está desactivado; actívalo primero." in again.content.decode()
    page = permitted.get(url(owner)).content.decode()
    assert "desactivado: por el personal" in page and "Desactivar endpoint: Ataque" in page
    assert url(owner, "enable") in page and url(owner, "disable") not in page

    assert permitted.post(url(owner, "enable"), {"reason": "Corregido"}).status_code == 302
    assert Endpoint.objects.get().status == "active"
    assert permitted.post(url(owner, "enable"), {"reason": "Corregido"}).status_code == 200
    pause(Endpoint.objects.get())
    assert permitted.post(url(owner, "enable"), {"reason": "Avisaron"}).status_code == 302

    assert (Endpoint.objects.get().status, LogEntry.objects.count()) == ("active", 3)


def test_a_merchants_page_links_its_endpoints_and_takes_its_technical_contact(
    merchant, admin_client: Client, viewer: Client
) -> None:
    owner, gone = endpoint(merchant), endpoint(merchant, url="https://gone.example/h")
    Endpoint.objects.filter(pk=gone.pk).update(status="disabled", disabled_reason="merchant", deleted_at=clock.now())
    address = f"/admin/merchants/merchant/{merchant.public_id}/change/"

    page = admin_client.get(address)

    assert url(owner) in page.content.decode() and url(gone) not in page.content.decode()
    assert url(owner) in viewer.get(address).content.decode()
    assert url(owner) not in staff("view_merchant").get(address).content.decode()
    assert admin_client.get(url(gone, "disable")).status_code == 404
    form = page.context["adminform"].form
    data = {
        bound.html_name: bound.value() for bound in form if bound.value() is not None and bound.value() is not False
    }
    for formset in page.context["inline_admin_formsets"]:
        data |= {hidden.html_name: hidden.value() for hidden in formset.formset.management_form}
    saved = admin_client.post(address, {**data, "technical_email": "ti@luna.example"})
    assert saved.status_code == 302, saved.context["errors"]
    assert Merchant.objects.get(pk=merchant.pk).technical_email == "ti@luna.example"
    wrong = admin_client.post(address, {**data, "technical_email": "nada"})
    assert list(wrong.context["errors"]) != []
