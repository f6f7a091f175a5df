"""/metrics says which invariants are broken, to whoever has the token and to nobody else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ledger.services import invariant

pytestmark = pytest.mark.django_db


@pytest.fixture
def token(settings):
    settings.SITE = replace(settings.SITE, metrics_token="metrics-secret")
    return {"Authorization": "Bearer metrics-secret"}


def test_every_invariant_is_shown_as_whole_or_broken(client, token):
    invariant._write_down("covered", [invariant.Fault("test MXN: 1 for 2")])

    lines = client.get("/metrics", headers=token).content.decode().splitlines()

    assert 'ledger_invariant_broken{name="covered"} 1.0' in lines
    assert 'ledger_invariant_broken{name="floors_hold"} 0.0' in lines
    assert client.get("/readyz").json()["ledger"] == "broken: covered; outgoing money is stopped"


def test_a_wrong_token_is_refused_and_without_one_the_page_does_not_exist(client, token, settings):
    wrong = client.get("/metrics", headers={"Authorization": "Bearer metrics-secret-2"})
    settings.SITE = replace(settings.SITE, metrics_token="")
    absent = client.get("/metrics", headers=token)

    assert (wrong.status_code, absent.status_code) == (401, 404)
    assert b"ledger" not in wrong.content
