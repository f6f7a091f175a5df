"""Lists of any size: no page lies too deep, nothing is looked for without end, and staff is told what to do."""

from __future__ import annotations

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connection as application
from django.test import Client

from core.admin_list import MAX_PAGES
from tests import cluster
from tests.backoffice.conftest import Desk
from tests.conftest import Api
from tests.provider_messages import StpSender

HISTORY = "/admin/backoffice/transfer/"


@pytest.mark.django_db
@pytest.mark.parametrize("address", [HISTORY, "/admin/payments/payment/"])
def test_pages_end_where_reaching_them_would_cost_too_much(address: str, desk: Desk, admin_client: Client) -> None:
    for number in (str(MAX_PAGES + 1), "9" * 40):
        page = admin_client.get(address, {"p": number})

        assert page.status_code == 200
        assert len(page.context["cl"].result_list) >= 2
        assert f"Las páginas terminan en la {MAX_PAGES}. Acota por día o busca un texto." in page.content.decode()
    last = admin_client.get(address, {"p": str(MAX_PAGES)})
    assert "Las páginas terminan" not in last.content.decode()


def test_a_list_that_takes_too_long_says_what_to_do(committed_db: None, api: Api, stp: StpSender) -> None:
    body = {"method": "spei", "amount": 125050, "currency": "MXN", "customer": {"name": "Luis Ortega"}}
    assert api.post("/v1/payments", body, key="one").status_code == 201
    client = Client()
    client.force_login(User.objects.create_superuser("staff"))
    assert len(client.get(HISTORY, {"q": "luis"}).context["cl"].result_list) == 1
    with application.cursor() as cursor:
        cursor.execute("SET statement_timeout = '200ms'")

    with psycopg.connect(cluster.url("payments_owner")) as owner:
        owner.execute("LOCK TABLE payments_payment IN ACCESS EXCLUSIVE MODE")
        page = client.get(HISTORY, {"q": "luis"})
    with application.cursor() as cursor:
        cursor.execute("RESET statement_timeout")

    assert page.status_code == 200
    assert "Esto tardó demasiado y se detuvo." in page.content.decode()
    assert list(page.context["cl"].result_list) == []
    assert page.context["cl"].query == "luis"
    assert len(client.get(HISTORY, {"q": "luis"}).context["cl"].result_list) == 1
