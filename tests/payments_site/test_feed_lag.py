"""A transaction that wrote to a feed and was left open shows everywhere a person or a monitor looks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest
from django.core.management import call_command
from prometheus_client.parser import text_string_to_metric_families

from payments_site import metrics
from tests import cluster
from tests.event_rows import write

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def forgotten(merchant) -> Iterator[psycopg.Connection]:
    """A session that wrote an event and stays open, while a later event has waited for two minutes."""
    address = cluster.url("payments_app")
    with psycopg.connect(address + "?application_name=psql") as session, psycopg.connect(address) as other:
        write(session, merchant, "open")
        other.execute(
            "INSERT INTO merchants_event (public_id, sequence, merchant_id, livemode, type, object_id, "
            "object_sequence, data, created_at) VALUES ('evt_waits', 0, %s, false, 'test.event', 'waits', 1, '{}', "
            "now() - interval '125 seconds')",
            [merchant.pk],
        )
        other.commit()
        yield session
        session.rollback()


def lag_of_events(client, settings) -> float:
    settings.SITE = replace(settings.SITE, metrics_token="t")
    metrics._DATABASE.forget()
    text = client.get("/metrics", headers={"Authorization": "Bearer t"}).content.decode()
    families = {family.name: family.samples for family in text_string_to_metric_families(text)}
    return {sample.labels["feed"]: sample.value for sample in families["feed_lag_seconds"]}["events"]


def test_a_feed_that_is_held_back_is_degraded_and_measured(forgotten, client, settings):
    degraded = client.get("/readyz")
    lag = lag_of_events(client, settings)
    forgotten.rollback()
    well = client.get("/readyz")

    assert (degraded.status_code, degraded.json()["status"]) == (200, "degraded")
    assert degraded.json()["feeds"].startswith("behind: events 12")
    assert 125 <= lag < 600
    assert (well.json()["status"], well.json()["feeds"]) == ("ok", "ok")
    assert lag_of_events(client, settings) == 0


def test_the_doctor_names_the_session_that_holds_a_feed_back(forgotten, capsys):
    with pytest.raises(SystemExit):
        call_command("doctor")

    said = capsys.readouterr().out.splitlines()
    (at,) = [number for number, line in enumerate(said) if line.startswith("WRONG feed of events: 12")]
    pid = forgotten.info.backend_pid
    assert said[at].endswith("s behind, held back by a transaction that wrote to it")
    assert f"pid {pid}, user payments_app, application psql, transaction open for" in said[at + 1]
    assert "INSERT INTO merchants_event" in said[at + 1]
    assert said[at + 2].strip() == f"to end it: SELECT pg_terminate_backend({pid})"
    assert "ok    feed of ledger: 0 s behind" in said


def test_the_doctor_names_any_transaction_that_was_left_open(forgotten, monkeypatch, capsys):
    monkeypatch.setattr("payments_site.management.commands.doctor.OPEN_LONG", 0)

    with pytest.raises(SystemExit):
        call_command("doctor")

    (line,) = [
        line for line in capsys.readouterr().out.splitlines() if f"dead rows: pid {forgotten.info.backend_pid}," in line
    ]
    assert f"user payments_app, application psql, database {cluster.DATABASE}, transaction since 20" in line
    assert "idle in transaction: INSERT INTO merchants_event" in line


def test_the_home_page_warns_staff_of_a_feed_that_is_held_back(forgotten, admin_client):
    page = admin_client.get("/admin/").content.decode()
    forgotten.rollback()
    later = admin_client.get("/admin/").content.decode()

    assert "Los comercios ven tarde los eventos nuevos: los más recientes llevan 2 min de espera." in page
    assert "soporte técnico" not in later
