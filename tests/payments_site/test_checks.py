"""System checks: what a deployment must not get wrong is said before it serves anybody."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.db import OperationalError, connection

from payments_site import checks
from tests import cluster

ROOT = Path(__file__).parents[2]


def found(messages):
    return [message.id for message in messages]


def test_fernet_keys_pass(settings):
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode() for _ in range(2)]

    assert found(checks.encryption_keys()) == []


@pytest.mark.parametrize("key", ["", "short", "x" * 44, "é" * 44])
def test_another_key_is_an_error_that_does_not_show_it(settings, key):
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode(), key]

    messages = checks.encryption_keys()

    assert found(messages) == ["payments_site.E001"]
    assert not key or key not in str(messages[0])


@pytest.mark.parametrize(
    ("mode", "expected"), [(0o700, []), (0o750, ["payments_site.W002"]), (0o704, ["payments_site.W002"])]
)
def test_documents_that_others_can_read_are_a_warning(settings, tmp_path, mode, expected):
    tmp_path.chmod(mode)
    settings.MEDIA_ROOT = tmp_path

    assert found(checks.media_is_private()) == expected


def test_a_media_folder_that_does_not_exist_yet_is_fine(settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path / "later"

    assert found(checks.media_is_private()) == []


@pytest.mark.parametrize(
    ("allowed", "debug", "expected"),
    [(False, False, []), (True, True, []), (True, False, ["payments_site.W007"])],
)
def test_webhooks_to_this_machine_are_a_warning_outside_of_development(settings, allowed, debug, expected):
    settings.WEBHOOK_ALLOW_HTTP, settings.DEBUG = allowed, debug

    assert found(checks.webhooks_go_to_public_addresses()) == expected


@pytest.mark.django_db
def test_a_durable_database_and_a_limited_role_pass():
    assert found(checks.database_is_durable(databases=["default"])) == []


@pytest.mark.django_db
def test_a_database_that_acknowledges_too_early_is_an_error():
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")

    assert found(checks.database_is_durable(databases=["default"])) == ["payments_site.E003"]


def test_nothing_is_asked_of_a_database_that_is_not_to_be_checked():
    assert found(checks.database_is_durable()) == []
    assert found(checks.database_is_durable(databases=["owner"])) == []


def test_a_database_that_is_away_is_a_warning_without_its_address(monkeypatch):
    def refuse(*args):
        raise OperationalError("connection to 127.0.0.1:5432 failed")

    monkeypatch.setattr(checks.connection, "cursor", refuse)

    (message,) = checks.database_is_durable(databases=["default"])

    assert message.id == "payments_site.W005"
    assert "127.0.0.1" not in str(message)


def check(*arguments, **environ):
    return subprocess.run(
        [sys.executable, "manage.py", "check", *arguments],
        cwd=ROOT,
        env={name: value for name, value in (os.environ | environ).items() if value},
        capture_output=True,
        text=True,
        check=False,
    )


def test_serving_as_the_schemas_owner_is_an_error():
    ended = check("--database", "default", DATABASE_URL=cluster.url("payments_owner"))

    assert ended.returncode == 1
    assert "payments_site.E004" in ended.stderr


def test_a_production_deployment_passes_every_check(tmp_path):
    media = tmp_path / "media"
    media.mkdir(mode=0o700)
    ended = check(
        "--deploy",
        "--fail-level",
        "WARNING",
        "--database",
        "default",
        DJANGO_SETTINGS_MODULE="payments_site.settings.production",
        SECRET_KEY="aB3$" + "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJ!?" * 2,
        ALLOWED_HOSTS="pay.example.mx",
        BASE_URL="https://pay.example.mx",
        MEDIA_ROOT=str(media),
    )

    assert ended.returncode == 0, ended.stderr
