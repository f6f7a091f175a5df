"""A PostgreSQL and a Redis of this test run's own, started before Django reads its settings (pytest plugin).

The controlling process starts both and releases the schema into a template with ``manage.py release``; every xdist
worker works in a copy of the template, as the application's role.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from payments_site.embedded.postgres import EmbeddedPostgres
from payments_site.embedded.redis import EmbeddedRedis

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = "template_payments"
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
DATABASE = f"test_{WORKER or 'main'}"
HOME = Path(os.environ.setdefault("TEST_HOME", str(ROOT / "var" / "test" / str(os.getpid()))))

postgres = EmbeddedPostgres(HOME / "postgres", run_dir=HOME / "run", durable=False)
_redis = EmbeddedRedis(HOME / "redis", run_dir=HOME / "run")


def url(role: str, database: str = DATABASE) -> str:
    """Address of ``database`` for ``role`` in this run's cluster."""
    return postgres.url(role, database)


def copy_template() -> None:
    """Give this process a fresh copy of the released, empty database."""
    postgres.drop_database(DATABASE)
    postgres.create_database_from_template(DATABASE, TEMPLATE)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-schema", action="store_true", help="leave the databases empty: for checks of files only")


def _start(*, schema: bool) -> None:
    postgres.start()
    postgres.ensure_roles()
    postgres.ensure_database(TEMPLATE)
    _redis.start()
    os.environ["TEST_POSTGRES_PORT"] = str(postgres.port)
    os.environ["TEST_REDIS_URL"] = _redis.url
    os.environ.update(
        SECRET_KEY="test-only-" + "0123456789" * 5,
        ALLOWED_HOSTS="testserver,127.0.0.1,localhost",
        BASE_URL="http://testserver",
        FIELD_ENCRYPTION_KEYS=Fernet.generate_key().decode(),
        DATABASE_POOL_SIZE="20",
        DJANGO_SETTINGS_MODULE="payments_site.settings.test",
    )
    _point_at(TEMPLATE)
    if not schema:
        return
    released = subprocess.run(
        [sys.executable, "manage.py", "release"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if released.returncode:
        raise pytest.UsageError(f"manage.py release failed:\n{released.stdout}\n{released.stderr}")


def _point_at(database: str) -> None:
    os.environ["DATABASE_URL"] = url("payments_app", database)
    os.environ["RELEASE_DATABASE_URL"] = url("payments_owner", database)
    os.environ["MEDIA_ROOT"] = str(HOME / "media" / database)  # a worker that travels in time cleans up its own only
    number = int(WORKER.removeprefix("gw") or 0) if WORKER else 0
    os.environ["REDIS_URL"] = f"{os.environ['TEST_REDIS_URL'].rsplit('/', 1)[0]}/{number % 16}"


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Runs before pytest-django imports the settings."""
    if WORKER:
        postgres.port = int(os.environ["TEST_POSTGRES_PORT"])
    else:
        try:
            _start(schema=not early_config.known_args_namespace.no_schema)
        except BaseException:
            _stop()
            raise
    copy_template()
    _point_at(DATABASE)


def pytest_unconfigure() -> None:
    """The controlling process stops and removes what it started."""
    if not WORKER:
        _stop()


def _stop() -> None:
    _redis.stop()
    postgres.stop()
    postgres.remove()
    shutil.rmtree(HOME, ignore_errors=True)
