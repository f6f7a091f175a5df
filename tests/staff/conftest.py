from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User

from staff.services import approval
from tests import cluster
from tests.staff.house import House, person


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> House:
    house = House()
    monkeypatch.setattr(approval, "_kinds", {})
    approval.register(house.kind())
    return house


@pytest.fixture
def ana(house: House, request: pytest.FixtureRequest) -> User:
    """Proposes; a superuser, so that it is the rule that stops her and no missing permission."""
    request.getfixturevalue("committed_db" if "committed_db" in request.fixturenames else "db")
    return person("ana", superuser=True)


@pytest.fixture
def berta(ana: User) -> User:
    return person("berta", "decide_approval")


@pytest.fixture
def carla(ana: User) -> User:
    return person("carla", "decide_approval")


@pytest.fixture(params=["payments_app", "payments_owner"])
def attacker(request: pytest.FixtureRequest, committed_db: None) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(cluster.url(request.param)) as connection:
        yield connection
        connection.rollback()
