"""Migrations are in step with the models, and none of them blocks a running system."""

from __future__ import annotations

from io import StringIO

import pytest
from django.conf import settings
from django.core.management import call_command
from django_migration_linter import MigrationLinter

OURS = ["staff", "merchants", "ledger", "kyc", "payments", "webhooks", "backoffice", "payments_site"]
FIRST = ["0001_tables", "0002_tables"]
"""They make the tables: no system runs before them. The linter takes a partial index for one of another table."""


@pytest.mark.django_db
def test_the_models_need_no_further_migration():
    said = StringIO()

    call_command("makemigrations", check=True, dry_run=True, stdout=said)

    assert "No changes detected" in said.getvalue()


@pytest.mark.promise("P23", "the migration linter over every migration", unit="lints")
def test_no_migration_of_ours_breaks_a_running_system(committed_db):
    linter = MigrationLinter(
        str(settings.BASE_DIR),
        include_apps=OURS,
        no_cache=True,
        quiet=["ok", "ignore"],
        ignore_name=FIRST,
    )

    linter.lint_all_migrations()

    assert linter.nb_total > 0
    assert (linter.nb_erroneous, linter.nb_warnings) == (0, 0)
