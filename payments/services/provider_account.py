"""Our accounts at providers: what they are used for, which are one company, and how providers prove who they are.

Two secrets or keys are valid while one replaces the other: no notice is lost.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterable
from enum import StrEnum

from django.conf import settings
from django.db import transaction

from core import addresses
from core.errors import FieldError, IllegalTransition, InvalidRequest
from payments.models import ProviderAccount
from payments.providers import registry
from payments.providers.conekta.signature import canonical_pem, key_id

MAX_KEYS = 2

_seen: dict[str, tuple[float, tuple[ProviderAccount, ...]]] = {}


def accepting_notices(provider: str) -> tuple[ProviderAccount, ...]:
    """The provider's accounts whose notices are accepted: to be read, never changed.

    A secret, key or address that was taken away is refused everywhere within a second.
    """
    return tuple([account for account in _all(provider) if account.hears_notices])


def accepting_payments(provider: str, *, livemode: bool) -> ProviderAccount | None:
    """The account at which new payments are made in this mode, if there is one: to be read, never changed."""
    return next((a for a in _all(provider) if a.takes_new and a.livemode == livemode), None)


def company_accounts(account: ProviderAccount) -> tuple[ProviderAccount, ...]:
    """The accounts that are one company at the provider with ``account``, the oldest first; often it alone.

    Money that arrives is booked with the oldest one, whichever reports it: so none is booked twice.
    """
    if account.same_company is not None:
        return account.same_company
    if not registry.provider(account.provider).has_companies:
        return (account,)
    read = next((a for a in _all(account.provider) if a.pk == account.pk), account)
    return read.same_company or (account,)


def _all(provider: str) -> tuple[ProviderAccount, ...]:
    """The provider's accounts, read at most once a second in each process."""
    now = time.monotonic()
    known = _seen.get(provider)
    if known is None or now - known[0] >= settings.PROVIDER_ACCOUNT_CACHE_SECONDS:
        accounts = tuple(ProviderAccount.objects.filter(provider=provider).order_by("pk"))
        if registry.provider(provider).has_companies:
            for account in accounts:
                account.same_company = tuple([a for a in accounts if _is_one_company(a, account)])
        known = _seen[provider] = (now, accounts)
    return known[1]


def _is_one_company(one: ProviderAccount, other: ProviderAccount) -> bool:
    return (one.name, one.livemode) == (other.name, other.livemode)


class Use(StrEnum):
    """What an account is used for."""

    NEW = "new"
    """New payments are made here; its notices are accepted."""
    NOTICES = "notices"
    """Only its notices are accepted: payers may still send money for what was made before."""
    NOTHING = "nothing"
    """Its notices are refused."""


@transaction.atomic
def set_use(account_pk: int, use: Use) -> None:
    """Change what the account is used for. ``Use.NEW`` takes over from the account of its provider and mode.

    Takes effect everywhere within a second.
    """
    account = _locked(account_pk)
    account.takes_new, account.hears_notices = use == Use.NEW, use != Use.NOTHING
    if account.takes_new:
        others = ProviderAccount.objects.filter(provider=account.provider, livemode=account.livemode, takes_new=True)
        others.exclude(pk=account_pk).update(takes_new=False)
    account.save(update_fields=["takes_new", "hears_notices"])


@transaction.atomic
def start_exchange(account_pk: int) -> str:
    """A new secret for STP's URL, valid beside the present one; it is not kept and cannot be shown again.

    Without a present secret it becomes the only one. ``IllegalTransition`` while an exchange is under way.
    """
    account = _locked(account_pk)
    if registry.provider(account.provider).proves_by != "secret":
        raise IllegalTransition("Only STP proves itself with a secret.")
    if account.webhook_next_secret_sha256:
        raise IllegalTransition("An exchange is under way: finish or cancel it first.")
    secret = secrets.token_urlsafe(32)
    digest = hashlib.sha256(secret.encode()).hexdigest()
    changed = ["webhook_secret_sha256", "webhook_next_secret_sha256"]
    if account.webhook_secret_sha256:
        account.webhook_next_secret_sha256 = digest
    else:
        account.webhook_secret_sha256 = digest
        if not account.webhook_username:
            account.webhook_username = _free_username(account)
            changed.append("webhook_username")  # unique: an UPDATE that names it waits for all that point to the row
    account.save(update_fields=changed)
    return secret


@transaction.atomic
def finish_exchange(account_pk: int) -> None:
    """The new secret is the only one from now on. ``IllegalTransition`` if there is none."""
    account = _locked(account_pk)
    if not account.webhook_next_secret_sha256:
        raise IllegalTransition("No exchange is under way.")
    account.webhook_secret_sha256, account.webhook_next_secret_sha256 = account.webhook_next_secret_sha256, ""
    account.save(update_fields=["webhook_secret_sha256", "webhook_next_secret_sha256"])


@transaction.atomic
def cancel_exchange(account_pk: int) -> None:
    """The new secret is forgotten; the present one stays. ``IllegalTransition`` if there is none."""
    account = _locked(account_pk)
    if not account.webhook_next_secret_sha256:
        raise IllegalTransition("No exchange is under way.")
    account.webhook_next_secret_sha256 = ""
    account.save(update_fields=["webhook_next_secret_sha256"])


@transaction.atomic
def add_key(account_pk: int, pem: str) -> str:
    """Verify Conekta's signatures with this public key too; its short name. ``InvalidRequest`` names what is wrong."""
    account = _locked(account_pk)
    if registry.provider(account.provider).proves_by != "key":
        raise IllegalTransition("Only Conekta proves itself with a key.")
    try:
        pem = canonical_pem(pem)
    except ValueError:
        raise _wrong("pem", "This is not a public RSA key of at least 2048 bits in PEM form.") from None
    known = account.webhook_public_keys
    if pem in map(canonical_pem, known):
        raise _wrong("pem", "This key is there already.")
    others = ProviderAccount.objects.exclude(pk=account_pk).values_list("webhook_public_keys", flat=True)
    if any(pem == canonical_pem(key) for keys in others for key in keys):
        raise _wrong("pem", "Another account has this key: it could not be told whose events it signs.")
    if len(known) >= MAX_KEYS:
        raise IllegalTransition("Two keys are valid already: remove the old one first.")
    account.webhook_public_keys = [*known, pem]
    account.save(update_fields=["webhook_public_keys"])
    return key_id(pem)


@transaction.atomic
def remove_key(account_pk: int, wanted: str) -> None:
    """Signatures by this key (its short name) are refused from now on; the last key stays."""
    account = _locked(account_pk)
    left = [pem for pem in account.webhook_public_keys if key_id(pem) != wanted]
    if len(left) == len(account.webhook_public_keys):
        raise _wrong("key", "There is no such key.")
    if not left:
        raise IllegalTransition("This is the only key: every notice would be refused. Add the new one first.")
    account.webhook_public_keys = left
    account.save(update_fields=["webhook_public_keys"])


@transaction.atomic
def set_networks(account_pk: int, networks: Iterable[str]) -> None:
    """Take notices from these networks (CIDR) only; none: from anywhere. ``InvalidRequest`` if one is wrong."""
    account = _locked(account_pk)
    clean = []
    for network in networks:
        try:
            clean.append(str(addresses.network(network.strip(), strict=False)))
        except ValueError:
            raise _wrong("networks", "This is not a network: write 203.0.113.7 or 203.0.113.0/24.") from None
    account.webhook_networks = clean or None
    account.save(update_fields=["webhook_networks"])


def _free_username(account: ProviderAccount) -> str:
    """``stp-live``; of a further account of the mode with the digits of its CLABE prefix."""
    name = f"{account.provider}-{'live' if account.livemode else 'test'}"
    if ProviderAccount.objects.filter(webhook_username=name).exists():
        return f"{name}-{(account.clabe_prefix or account.public_id)[-4:]}"
    return name


def _locked(account_pk: int) -> ProviderAccount:
    """The row, against other changes only: payments and deposits, which point to it, go on arriving."""
    return ProviderAccount.objects.select_for_update(no_key=True).get(pk=account_pk)


def _wrong(field: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, errors=[FieldError(field, "invalid", message)])
