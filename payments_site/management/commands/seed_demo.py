"""``manage.py seed_demo``: seeds a development database."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from core.errors import PaymentsError
from core.state import Origin, TransitionRow
from kyc.services import case
from merchants.models import ApiKey, Merchant
from merchants.services import api_key
from payments.models import FeeRule, ProviderAccount
from payments.providers.conekta.client import ConektaClient
from staff.services.account import OPERATOR, acting

APPROVAL_ABOVE = 50_000
"""Centavos: larger payouts of the demo's merchant need a second person."""
ORDERING = ("646180110400000007", "EMPRESA DEMO", "EDE010101AB1")
"""The account that payouts are paid from: its CLABE, name and RFC."""


class Command(BaseCommand):
    """Seeds the demo: reads JSON from standard input and prints JSON. Idempotent.

    In: sandbox_url, api_key (may be empty), admin_user, admin_password, approver_user, approver_password,
    conekta_api_key, stp_username, stp_secret, clabe_prefix. Out: api_key, merchant, stp_account.
    """

    help = "Seed a development database for the demo: a merchant, its test key, its fees, providers, two staff users."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("seed_demo creates well-known accounts; it runs with development settings only.")
        Path(settings.MEDIA_ROOT).mkdir(mode=0o700, parents=True, exist_ok=True)
        wishes = json.load(sys.stdin)
        webhook_key = self._conekta_webhook_key(wishes)
        with transaction.atomic():
            merchant, _ = Merchant.objects.get_or_create(
                name="Café Luna",
                defaults={"legal_name": "Café Luna SA de CV", "payout_approval_above": APPROVAL_ABOVE},
            )
            for method, percent, fixed in (("spei", "1", 0), ("oxxo", "2.6", 300), ("payout", "0", 500)):
                FeeRule.objects.get_or_create(
                    merchant=merchant, method=method, defaults={"percent": percent, "fixed": fixed}
                )
            case.open_case(merchant, origin=Origin(TransitionRow.Cause.STAFF, "seed_demo"))
            stp = self._provider_accounts(wishes, webhook_key)
            with acting(OPERATOR):
                user = self._staff_user(wishes["admin_user"], wishes["admin_password"])
                self._staff_user(wishes["approver_user"], wishes["approver_password"])
            secret = self._api_key(merchant, wishes["api_key"], user)
        made = {"api_key": secret, "merchant": merchant.public_id, "stp_account": stp.public_id}
        self.stdout.write(json.dumps(made))

    def _conekta_webhook_key(self, wishes: dict[str, str]) -> str | None:
        """A new webhook key from the simulator, unless the account has one already."""
        account = ProviderAccount.objects.filter(provider="conekta", livemode=False).first()
        if account and account.webhook_public_keys:
            return None
        client = ConektaClient(api_key=wishes["conekta_api_key"], base_url=f"{wishes['sandbox_url']}/conekta")
        try:
            return client.create_webhook_key()
        except PaymentsError as error:
            raise CommandError(f"The simulator did not give a webhook key: {error}") from error

    def _provider_accounts(self, wishes: dict[str, str], webhook_key: str | None) -> ProviderAccount:
        """The accounts at the simulators; returns that at STP, which payouts are sent from."""
        conekta, _ = ProviderAccount.objects.get_or_create(
            provider="conekta", livemode=False, defaults={"name": "Conekta (simulador)"}
        )
        conekta.base_url = f"{wishes['sandbox_url']}/conekta"
        conekta.credentials = {"api_key": wishes["conekta_api_key"]}
        if webhook_key:
            conekta.webhook_public_keys = [webhook_key]
        conekta.save()
        stp, _ = ProviderAccount.objects.get_or_create(
            provider="stp",
            livemode=False,
            defaults={
                "name": "EMPRESA_DEMO",
                "clabe_prefix": wishes["clabe_prefix"],
                "clabe_sequence": 1,
            },
        )
        stp.base_url = f"{wishes['sandbox_url']}/stp"
        stp.ordering_clabe, stp.ordering_name, stp.ordering_tax_id = ORDERING
        stp.webhook_username = wishes["stp_username"]
        stp.webhook_secret_sha256 = hashlib.sha256(wishes["stp_secret"].encode()).hexdigest()
        stp.save()
        return stp

    def _staff_user(self, username: str, password: str) -> User:
        user, _ = User.objects.get_or_create(
            username=username, defaults={"is_staff": True, "is_superuser": True, "first_name": username.title()}
        )
        if not user.check_password(password):
            user.set_password(password)
            user.save()
        return user

    def _api_key(self, merchant: Merchant, known: str, issuer: User) -> str:
        try:
            if api_key.authenticate(known).merchant == merchant:
                return known
        except PaymentsError:
            pass
        made = api_key.create(merchant, livemode=False, name="demo", scopes=ApiKey.Scope.values, created_by=issuer)
        return made[1]
