"""A release of a database in use: it repairs what it finds, disturbs nobody, and refuses what it cannot trust."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import closing, suppress

import psycopg
import pytest
from django.db import OperationalError, connection, connections, transaction
from django.test import Client

from merchants.models import Event
from merchants.services import event
from payments.models import Payment
from payments_site import release
from payments_site.models import Release
from payments_site.release import ReleaseError
from tests import cluster
from tests.concurrency.threads import at_once, soon
from tests.database.conftest import fingerprint
from tests.event_rows import write

pytestmark = pytest.mark.usefixtures("committed_db")


def run() -> list[str]:
    """A release in this process; what it said."""
    said: list[str] = []
    release.release("test", say=said.append)
    return said


def test_a_second_release_changes_nothing_but_leaves_its_row(merchant):
    before = fingerprint()
    releases = Release.objects.count()

    assert run() == ["The schema is up to date.", "Rights of payments_app are set."]

    after = fingerprint()
    assert {table for table in before if before[table] != after[table]} == {"payments_site_release"}
    newest = Release.objects.first()
    assert (Release.objects.count(), newest.version, newest.migrations) == (releases + 1, "test", 0)
    assert newest.started_at < newest.finished_at


OURS = ["backoffice", "kyc", "ledger", "merchants", "payments", "payments_site", "staff", "webhooks"]


@pytest.mark.parametrize("begun", [OURS, ["ledger", "merchants"], ["staff"]], ids=["all", "killed half-way", "one"])
def test_a_database_of_other_migrations_is_told_to_start_anew_and_stays_as_it_is(owner, merchant, begun):
    owner.execute("DELETE FROM django_migrations WHERE app = ANY (%s)", [OURS])
    owner.execute(
        "INSERT INTO django_migrations (app, name, applied) SELECT unnest(%s::text[]), '0001_initial', now() "
        "UNION ALL SELECT unnest(%s::text[]), '0002_fewer_indexes', now()",
        [begun, begun],
    )
    owner.commit()
    before = fingerprint()
    said: list[str] = []

    with pytest.raises(ReleaseError) as refused:
        release.release("test", say=said.append)

    assert f"migrations that this code does not have ({', '.join(begun)})" in str(refused.value)
    assert "Create a new, empty database" in str(refused.value)
    assert said == []
    assert fingerprint() == before


def test_a_database_that_is_ahead_of_the_code_is_released(owner):
    owner.execute(
        "INSERT INTO django_migrations (app, name, applied) SELECT unnest(%s::text[]), '0099_later', now()", [OURS]
    )
    owner.commit()

    assert run() == ["The schema is up to date.", "Rights of payments_app are set."]


def test_rights_that_somebody_gave_by_hand_are_taken_back_and_lost_ones_given_again(owner):
    owner.execute("GRANT ALL ON ledger_entry, payments_payment TO payments_app")
    owner.execute("GRANT UPDATE ON SEQUENCE merchants_event_counter TO payments_app")
    owner.execute("REVOKE ALL ON merchants_event FROM payments_app")
    owner.commit()

    run()

    def rights(table: str) -> list[str]:
        return [
            right
            for right in ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")
            if owner.execute("SELECT has_table_privilege('payments_app', %s, %s)", [table, right]).fetchone() == (True,)
        ]

    assert rights("ledger_entry") == ["SELECT", "INSERT"]
    assert rights("payments_payment") == ["SELECT", "INSERT", "UPDATE"]
    assert rights("merchants_event") == ["SELECT", "INSERT"]
    setting = "SELECT has_sequence_privilege('payments_app', 'merchants_event_counter', 'UPDATE')"
    assert owner.execute(setting).fetchone() == (False,)


def test_the_application_works_on_while_rights_are_set_again(merchant):
    ended = threading.Event()

    def work() -> int:
        reads = 0
        while not ended.is_set():
            assert Payment.objects.count() == 0
            merchant.save()
            reads += 1
        return reads

    def releases() -> int:
        try:
            for _ in range(5):
                run()
        finally:
            ended.set()
        return 0

    reads = at_once([releases, work, work])

    assert all(n > 0 for n in reads[1:])


@pytest.mark.parametrize("how", ["DISABLE TRIGGER", "ENABLE REPLICA TRIGGER", "ENABLE TRIGGER", "DROP"])
def test_a_guard_that_is_missing_or_not_always_enabled_is_found(owner, how):
    (guard,) = owner.execute("SELECT tgname FROM pg_trigger WHERE tgname LIKE 'pgtrigger_balanced_%'").fetchone()
    owner.execute(
        f"DROP TRIGGER {guard} ON ledger_entry" if how == "DROP" else f"ALTER TABLE ledger_entry {how} {guard}"
    )
    owner.commit()
    releases = Release.objects.count()

    with pytest.raises(ReleaseError, match=f"Guards are missing or disabled: {guard} on ledger_entry"):
        run()

    assert Release.objects.count() == releases


def test_the_event_feed_goes_on_rising_where_events_were_copied_without_their_counter(owner, merchant):
    far_ahead = 10**15
    with transaction.atomic():
        event.record(merchant, livemode=False, type="test.event", obj={"id": "before"})
    owner.execute("ALTER TABLE merchants_event DISABLE TRIGGER USER")
    owner.execute("UPDATE merchants_event SET sequence = %s", [far_ahead])
    owner.execute("SET CONSTRAINTS ALL IMMEDIATE")  # deliveries refer to events; ALTER TABLE refuses pending checks
    for (enable,) in owner.execute(
        "SELECT format('ALTER TABLE merchants_event ENABLE ALWAYS TRIGGER %I', tgname) FROM pg_trigger "
        "WHERE tgrelid = 'merchants_event'::regclass AND NOT tgisinternal"
    ).fetchall():
        owner.execute(enable)
    owner.commit()
    assert event.feed(merchant, livemode=False).count() == 0

    assert "merchants_event_counter was raised: its rows were copied into this database without it." in run()

    with transaction.atomic():
        event.record(merchant, livemode=False, type="test.event", obj={"id": "after"})
    seen = event.feed(merchant, livemode=False).order_by("sequence").values_list("object_id", flat=True)
    assert list(seen) == ["before", "after"]
    assert Event.objects.get(object_id="after").sequence > far_ahead
    assert not any("base was raised" in line for line in run())


def test_a_release_after_many_events_raises_no_base(merchant):
    for n in range(30):
        with transaction.atomic():
            event.record(merchant, livemode=False, type="test.event", obj={"id": f"pay_{n}"})

    assert not any("base was raised" in line for line in run())


@pytest.fixture
def pooled_address() -> Iterator[str]:
    """The owner's address through something that, like PgBouncer, makes up the key by which a session is cancelled."""

    def relay(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError), closing(target):
            while chunk := source.recv(65536):
                target.sendall(chunk)

    def answers(client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError), closing(client), server.makefile("rb") as stream:
            while head := stream.read(5):
                kind, length = struct.unpack("!cI", head)
                body = stream.read(length - 4)
                client.sendall(head + (struct.pack("!I", 1) + body[4:] if kind == b"K" else body))

    def serve() -> None:
        with suppress(OSError):
            client, _ = listener.accept()
            server = socket.create_connection(("127.0.0.1", cluster.postgres.port))
            threading.Thread(target=relay, args=(client, server), daemon=True).start()
            answers(client, server)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        url = cluster.url("payments_owner").replace(f":{cluster.postgres.port}/", f":{listener.getsockname()[1]}/")
        yield f"{url}?sslmode=disable&gssencmode=disable"
        thread.join(timeout=120)


def test_a_pooler_is_refused(pooled_address):
    with (
        pytest.raises(ReleaseError, match="goes through a connection pooler"),
        release.exclusive(pooled_address, print),
    ):
        pytest.fail("it went on")


def test_a_release_waits_for_another_and_gives_up_in_the_end(monkeypatch):
    monkeypatch.setattr(release, "LOCK_WAIT", 0.2)
    said: list[str] = []
    address = cluster.url("payments_owner")

    with (
        release.exclusive(address, said.append),
        pytest.raises(ReleaseError, match="Another release has been running for more than 0.2 seconds"),
        release.exclusive(address, said.append),
    ):
        pytest.fail("two releases at once")

    assert said == ["Another release is running; waiting for it …"]
    with release.exclusive(address, said.append):
        pass


@pytest.fixture
def busy(monkeypatch):
    """Make ``migrate`` meet a locked table so many times; how long the release then slept."""
    slept: list[float] = []
    monkeypatch.setattr(release.time, "sleep", slept.append)

    def make(times: int) -> list[float]:
        left = [times]

        def migrate(*args, **kwargs):
            if left[0]:
                left[0] -= 1
                raise OperationalError from psycopg.errors.LockNotAvailable()

        monkeypatch.setattr(release, "call_command", migrate)
        return slept

    return make


def test_a_table_that_stays_busy_is_tried_five_times(busy):
    slept, said = busy(4), []

    release._migrate(said.append)

    assert slept == [1, 2, 3, 4]
    assert len(said) == 4


def test_a_table_that_is_busy_for_good_ends_the_release(busy):
    slept = busy(5)

    with pytest.raises(ReleaseError, match="A migration failed"):
        release._migrate(print)

    assert len(slept) == 4


@pytest.fixture
def unreleased() -> Iterator[None]:
    """The application looks at a database in which nothing has been released yet."""
    name = f"{cluster.DATABASE}_unreleased"
    cluster.postgres.ensure_database(name)
    before = connection.settings_dict["NAME"]
    connections.close_all()
    connection.close_pool()
    connection.settings_dict["NAME"] = name
    yield
    connections.close_all()
    connection.close_pool()
    connection.settings_dict["NAME"] = before
    cluster.postgres.drop_database(name)


def test_an_unreleased_database_is_not_ready(unreleased):
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["status"] == "not_ready"
    assert answer.json()["migrations"].endswith("not applied: run manage.py release")
    assert Client().get("/healthz").status_code == 200


def test_a_released_database_is_ready_also_for_code_that_is_older_than_it(owner):
    assert (Client().get("/readyz").status_code, Client().get("/readyz").json()["status"]) == (200, "ok")

    owner.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('payments', '0099_later', now())")
    owner.commit()

    assert Client().get("/readyz").status_code == 200


def test_one_missing_migration_is_not_ready(owner):
    owner.execute("DELETE FROM django_migrations WHERE id = (SELECT max(id) FROM django_migrations)")
    owner.commit()

    answer = Client().get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["migrations"] == "1 not applied: run manage.py release"


def test_a_release_bounds_the_transactions_of_both_roles():
    run()

    limits = {}
    for role in ("payments_owner", "payments_app"):
        with psycopg.connect(cluster.url(role)) as session:
            found = session.execute(
                "SELECT name, setting || coalesce(unit, '') FROM pg_settings "
                "WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')"
            )
            limits[role] = dict(found.fetchall())

    assert limits["payments_owner"]["idle_in_transaction_session_timeout"] == "60000ms"
    assert limits["payments_app"]["idle_in_transaction_session_timeout"] == "60000ms"
    assert limits["payments_app"].get("transaction_timeout", "120000ms") == "120000ms"
    assert limits["payments_owner"].get("transaction_timeout", "0ms") == "0ms", "an index may take its time"


@pytest.mark.parametrize("limit", ["IDLE_AT_MOST", "TRANSACTION_AT_MOST"])
def test_a_writer_that_never_ends_is_ended_by_the_database(merchant, monkeypatch, limit):
    monkeypatch.setattr(release, limit, "3s")
    run()
    with psycopg.connect(cluster.url("payments_app")) as session:
        if limit == "TRANSACTION_AT_MOST" and session.info.server_version < 170_000:
            pytest.skip("PostgreSQL has transaction_timeout from version 17 on")
        write(session, merchant, "open")
        with transaction.atomic():
            event.record(merchant, livemode=False, type="test.event", obj={"id": "waits"})
        hidden = event.feed(merchant, livemode=False).count()

        if limit == "IDLE_AT_MOST":
            assert soon(lambda: event.feed(merchant, livemode=False).count() == 1)
        with pytest.raises(psycopg.Error, match="terminating connection due to"):
            session.execute("SELECT pg_sleep(300)")

    assert hidden == 0
    assert soon(lambda: event.feed(merchant, livemode=False).count() == 1)
