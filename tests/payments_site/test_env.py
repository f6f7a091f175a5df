"""The environment: every variable that is missing or wrong is named, and no secret is shown while saying so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from payments_site import env

ROOT = Path(__file__).parents[2]
GOOD = {
    "SECRET_KEY": "k" * 50,
    "ALLOWED_HOSTS": "pay.example.mx, www.example.mx,,",
    "BASE_URL": "https://pay.example.mx/",
    "MEDIA_ROOT": "/srv/media",
    "TRUSTED_PROXIES": "2",
    "DATABASE_URL": "postgresql://payments_app:s3cret@db:5432/payments",
    "RELEASE_DATABASE_URL": "postgresql://payments_owner:s3cret@db:5432/payments",
    "DATABASE_POOL_SIZE": "12",
    "REDIS_URL": "redis://:s3cret@redis:6379/0",
    "FIELD_ENCRYPTION_KEYS": "new-key,old-key",
    "WEB_BIND": "0.0.0.0:80",
    "WEB_CONCURRENCY": "3",
    "WEB_CONNECTIONS": "50",
}
CONCERNS = [env.Site, env.Database, env.Redis, env.Encryption, env.Web]


def read(**changes):
    environ = {name: value for name, value in (GOOD | changes).items() if value is not None}
    return [concern.from_env(environ) for concern in CONCERNS]


def test_a_complete_environment_is_read():
    site, database, redis, encryption, web = read()

    assert site.allowed_hosts == ("pay.example.mx", "www.example.mx")
    assert (site.base_url, site.trusted_proxies, site.media_root) == ("https://pay.example.mx", 2, Path("/srv/media"))
    assert (database.url, database.pool_size) == (GOOD["DATABASE_URL"], 12)
    assert redis.url == GOOD["REDIS_URL"]
    assert encryption.keys == ("new-key", "old-key")
    assert (web.bind, web.workers, web.connections) == ("0.0.0.0:80", 3, 50)


@pytest.mark.parametrize("empty", [None, "", "   "])
@pytest.mark.parametrize(
    "name", ["SECRET_KEY", "BASE_URL", "MEDIA_ROOT", "DATABASE_URL", "REDIS_URL", "FIELD_ENCRYPTION_KEYS"]
)
def test_a_missing_variable_is_named(name, empty):
    with pytest.raises(env.EnvironmentVariableError, match=f"^{name} is not set: it should hold "):
        read(**{name: empty})


@pytest.mark.parametrize("empty", [None, "", "  "])
def test_what_may_be_missing_has_a_default(empty):
    optional = ["ALLOWED_HOSTS", "TRUSTED_PROXIES", "RELEASE_DATABASE_URL", "DATABASE_POOL_SIZE", "WEB_BIND"]
    optional += ["WEB_CONCURRENCY", "WEB_CONNECTIONS"]

    site, database, _, _, web = read(**dict.fromkeys(optional, empty if empty != "  " else ""))

    assert (site.allowed_hosts, site.trusted_proxies) == ((), 0)
    assert (database.owner_url, database.pool_size) == (None, 4)
    assert (web.bind, web.workers, web.connections) == ("127.0.0.1:8000", 2, 500)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("BASE_URL", "pay.example.mx"),
        ("BASE_URL", "ftp://pay.example.mx"),
        ("TRUSTED_PROXIES", "one"),
        ("TRUSTED_PROXIES", "-1"),
        ("TRUSTED_PROXIES", "1.0"),
        ("TRUSTED_PROXIES", "٣"),
        ("DATABASE_POOL_SIZE", "many"),
        ("WEB_CONCURRENCY", "2x"),
        ("WEB_CONNECTIONS", "-4"),
        ("DATABASE_URL", "mysql://user:s3cret@db/payments"),
        ("DATABASE_URL", "sqlite:///db.sqlite3"),
        ("DATABASE_URL", "postgresql://db/payments"),
        ("DATABASE_URL", "postgresql://user:s3cret@db"),
        ("DATABASE_URL", "host=db user=u dbname=d password=s3cret"),
        ("DATABASE_URL", "postgresql://user:s3cret@db/payments?nonsense=1"),
        ("RELEASE_DATABASE_URL", "postgresql://user:s3cret@db"),
        ("RELEASE_DATABASE_URL", "s3cret"),
    ],
)
def test_a_wrong_variable_is_named_and_its_secret_is_not_shown(name, wrong):
    with pytest.raises(env.EnvironmentVariableError) as error:
        read(**{name: wrong})

    assert str(error.value).startswith(f"{name} ")
    assert "s3cret" not in str(error.value)


def test_no_secret_is_in_the_text_form_of_what_was_read():
    text = repr(read())

    for secret in ("s3cret", "k" * 50, "new-key", "old-key"):
        assert secret not in text


def test_nothing_starts_without_its_environment():
    ended = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "payments_site.settings.production"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode != 0
    assert "BASE_URL is not set" in ended.stderr


def test_only_one_module_reads_the_environment():
    """Settings that read the environment in many places fail late and one at a time."""
    readers = [
        str(path.relative_to(ROOT))
        for folder in ("core", "merchants", "ledger", "kyc", "payments", "webhooks", "backoffice", "staff")
        for path in (ROOT / folder).rglob("*.py")
        if "os.environ" in path.read_text() or "os.getenv" in path.read_text()
    ]

    assert readers == []


def test_the_simulators_address_may_be_missing_and_is_a_web_address():
    assert env.Sandbox.from_env({}).url == ""
    assert env.Sandbox.from_env({"SANDBOX_URL": " http://127.0.0.1:9100/ "}).url == "http://127.0.0.1:9100"
    with pytest.raises(env.EnvironmentVariableError, match="^SANDBOX_URL must begin with http"):
        env.Sandbox.from_env({"SANDBOX_URL": "127.0.0.1:9100"})


def test_webhooks_over_plain_http_need_an_explicit_one():
    assert [env.Webhooks.from_env({"WEBHOOK_ALLOW_HTTP": text}).allow_http for text in ("", "0", " 1 ")] == [
        False,
        False,
        True,
    ]
    assert not env.Webhooks.from_env({}).allow_http
    for text in ("true", "yes", "2", "http"):
        with pytest.raises(env.EnvironmentVariableError, match="^WEBHOOK_ALLOW_HTTP must be 0 or 1"):
            env.Webhooks.from_env({"WEBHOOK_ALLOW_HTTP": text})


def test_rates_are_so_many_in_a_while():
    assert env.RateLimits.from_env({}) == env.RateLimits("100/s", "50/s", "20/s")
    assert env.RateLimits.from_env({"RATE_LIMIT_READ": "600/10m"}).read == "600/10m"


@pytest.mark.parametrize("text", ["0/s", "100", "100/", "-1/s", "1/0s", "many/s", "1.5/s", "100/s/m", "٣/s"])
def test_a_rate_that_cannot_be_read_names_its_variable(text):
    with pytest.raises(env.EnvironmentVariableError, match="RATE_LIMIT_WRITE must look like 100/s"):
        env.RateLimits.from_env({"RATE_LIMIT_WRITE": text})
