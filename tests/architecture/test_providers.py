"""Services ask the registry what a method or a provider is like; they do not compare names."""

from __future__ import annotations

import re
from inspect import signature
from typing import get_type_hints

import pytest

from ledger.services.postings import pay_in
from payments.models import Deposit, Payment, ProviderAccount
from payments.providers import base, registry
from payments.providers.payout import PayoutClient
from tests.paths import ROOT

NAMES = re.compile(r"Provider\.(STP|CONEKTA)|Method\.(SPEI|OXXO)\b|\bConektaClient\b|\bStpClient\b|\bis_stp\b")
CHANNELS = "webhooks/inbound/services/dialect.py"
"""A registry too: of each provider's channels."""


@pytest.mark.parametrize("folder", ["payments/services", "payments/jobs", "webhooks/inbound/services"])
def test_no_service_compares_names_of_providers_or_methods(folder):
    found = {
        str(path.relative_to(ROOT)): sorted({match[0] for match in NAMES.finditer(path.read_text())})
        for path in (ROOT / folder).rglob("*.py")
        if NAMES.search(path.read_text())
    }
    found.pop(CHANNELS, None)

    assert found == {}


def test_the_registry_knows_every_provider_and_method_and_names_what_exists():
    assert set(registry.PROVIDERS) == set(ProviderAccount.Provider.values)
    assert set(registry.METHODS) == set(Payment.Method.values)
    for spec in registry.METHODS.values():
        assert registry.method_at(spec.provider) is spec
        assert callable(getattr(pay_in, spec.posting))
        assert spec.unknown in Deposit.SuspenseReason.values


@pytest.mark.parametrize("spec", registry.PROVIDERS.values(), ids=lambda spec: spec.name)
def test_every_client_keeps_the_protocol(spec):
    client = get_type_hints(spec.connect)["return"]
    wanted = base.CashOrderClient if registry.method_at(spec.name).needs_order else base.ProviderClient

    missing = [name for name in dir(wanted) if not name.startswith("_") and not callable(getattr(client, name, None))]
    assert missing == []
    payout = [name for name in vars(PayoutClient) if not name.startswith("_")]
    for name in payout if spec.pays_out else ():
        assert signature(getattr(client, name)) == signature(getattr(PayoutClient, name)), name


def test_only_the_registry_and_the_border_import_an_adapter():
    allowed = ("payments/providers/", "webhooks/inbound/api/", CHANNELS)
    adapters = re.compile(r"from payments\.providers\.(conekta|stp)\.client import")

    found = [
        str(path.relative_to(ROOT))
        for room in ("payments", "webhooks", "backoffice", "merchants")
        for path in (ROOT / room).rglob("*.py")
        if adapters.search(path.read_text()) and not str(path.relative_to(ROOT)).startswith(allowed)
    ]

    assert found == []


def test_the_signing_key_is_read_in_one_place_and_dropped_in_another():
    """Only the worker's lane ``providers`` keeps it (``payments_site.startup``), only a client's maker opens it."""
    rooms = ("backoffice", "core", "kyc", "ledger", "merchants", "payments", "payments_site", "staff", "webhooks")
    named = {
        str(path.relative_to(ROOT))
        for room in rooms
        for path in (ROOT / room).rglob("*.py")
        if "STP_SIGNING" in path.read_text()
    }

    assert named == {
        "payments/services/provider_client.py",
        "payments_site/demo/house.py",  # gives it to the demo's worker
        "payments_site/env.py",
        "payments_site/management/commands/doctor.py",
        "payments_site/settings/base.py",
        "payments_site/startup.py",
    }
