"""Provider accounts: their use, the accounts of one company, and the secrets and keys that authenticate notices.

During an exchange of a secret or key, both are valid, so that no notice is lost.
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
from core.mx import clabe as clabe_rules
from core.mx import spei_text
from core.mx import tax_id as tax_ids
from payments.models import Payout, ProviderAccount
from payments.providers import registry
from payments.providers.conekta.signature import canonical_pem, key_id

MAX_KEYS = 2

_seen: dict[str, tuple[float, tuple[ProviderAccount, ...]]] = {}


def accepting_notices(provider: str) -> tuple[ProviderAccount, ...]:
    """The provider's accounts whose notices are accepted. Cached and shared: do not modify them.

    A removed secret, key or address is refused by every process within a second.
    """
    return tuple([account for account in _all(provider) if account.hears_notices])


def accepting_payments(provider: str, *, livemode: bool) -> ProviderAccount | None:
    """The account for new payments in this mode, if there is one. Cached and shared: do not modify it."""
    return next((a for a in _all(provider) if a.takes_new and a.livemode == livemode), None)


def company_accounts(account: ProviderAccount) -> tuple[ProviderAccount, ...]:
    """All accounts that are the same company at the provider as ``account``, including it, oldest first.

    Deposits are booked with the oldest one, independent of the reporting account, so that none is booked twice.
    """
    if account.same_company is not None:
        return account.same_company
    if not registry.provider(account.provider).has_companies:
        return (account,)
    read = next((a for a in _all(account.provider) if a.pk == account.pk), account)
    return read.same_company or (account,)


def _all(provider: str) -> tuple[ProviderAccount, ...]:
    """The provider's accounts, cached by each process for a second."""
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
    """The use of an account."""

    NEW = "new"
    """New payments are created here; its notices are accepted."""
    NOTICES = "notices"
    """Only its notices are accepted: payers may still send money for earlier payments."""
    NOTHING = "nothing"
    """Its notices are refused."""


@transaction.atomic
def set_use(account_pk: int, use: Use) -> None:
    """Change the use of the account. ``Use.NEW`` replaces the current account of its provider and mode.

    Takes effect in every process within a second.
    """
    account = _locked(account_pk)
    account.takes_new, account.hears_notices = use == Use.NEW, use != Use.NOTHING
    if account.takes_new:
        others = ProviderAccount.objects.filter(provider=account.provider, livemode=account.livemode, takes_new=True)
        others.exclude(pk=account_pk).update(takes_new=False)
    account.save(update_fields=["takes_new", "hears_notices"])


@transaction.atomic
def start_exchange(account_pk: int) -> str:
    """Create a second valid secret for STP's URL; it is not stored and cannot be shown again.

    Without a current secret it becomes the only one. Raises ``IllegalTransition`` while an exchange is in progress.
    """
    account = _locked(account_pk)
    if registry.provider(account.provider).proves_by != "secret":
        raise IllegalTransition("Only STP authenticates with a secret.")
    if account.webhook_next_secret_sha256:
        raise IllegalTransition("An exchange is in progress: finish or cancel it first.")
    secret = secrets.token_urlsafe(32)
    digest = hashlib.sha256(secret.encode()).hexdigest()
    changed = ["webhook_secret_sha256", "webhook_next_secret_sha256"]
    if account.webhook_secret_sha256:
        account.webhook_next_secret_sha256 = digest
    else:
        account.webhook_secret_sha256 = digest
        if not account.webhook_username:
            account.webhook_username = _free_username(account)
            changed.append(
                "webhook_username"
            )  # unique: updating it needs a lock that waits for inserts of referencing rows
    account.save(update_fields=changed)
    return secret


@transaction.atomic
def finish_exchange(account_pk: int) -> None:
    """Remove the old secret. Raises ``IllegalTransition`` if there is no new one."""
    account = _locked(account_pk)
    if not account.webhook_next_secret_sha256:
        raise IllegalTransition("No exchange is in progress.")
    account.webhook_secret_sha256, account.webhook_next_secret_sha256 = account.webhook_next_secret_sha256, ""
    account.save(update_fields=["webhook_secret_sha256", "webhook_next_secret_sha256"])


@transaction.atomic
def cancel_exchange(account_pk: int) -> None:
    """Remove the new secret. Raises ``IllegalTransition`` if there is none."""
    account = _locked(account_pk)
    if not account.webhook_next_secret_sha256:
        raise IllegalTransition("No exchange is in progress.")
    account.webhook_next_secret_sha256 = ""
    account.save(update_fields=["webhook_next_secret_sha256"])


@transaction.atomic
def add_key(account_pk: int, pem: str) -> str:
    """Accept signatures by this public key of Conekta, too; returns its short name. Raises ``InvalidRequest``."""
    account = _locked(account_pk)
    if registry.provider(account.provider).proves_by != "key":
        raise IllegalTransition("Only Conekta authenticates with a key.")
    try:
        pem = canonical_pem(pem)
    except ValueError:
        raise _wrong("pem", "This is not a public RSA key of at least 2048 bits in PEM form.") from None
    known = account.webhook_public_keys
    if pem in map(canonical_pem, known):
        raise _wrong("pem", "This key has been added already.")
    others = ProviderAccount.objects.exclude(pk=account_pk).values_list("webhook_public_keys", flat=True)
    if any(pem == canonical_pem(key) for keys in others for key in keys):
        raise _wrong("pem", "Another account has this key, so that its events could not be told apart.")
    if len(known) >= MAX_KEYS:
        raise IllegalTransition("Two keys are valid already: remove the old one first.")
    account.webhook_public_keys = [*known, pem]
    account.save(update_fields=["webhook_public_keys"])
    return key_id(pem)


@transaction.atomic
def remove_key(account_pk: int, wanted: str) -> None:
    """Refuse signatures by this key (its short name). The last key cannot be removed."""
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
    """Accept notices only from these networks (CIDR); empty: from any. Raises ``InvalidRequest`` for an invalid one."""
    account = _locked(account_pk)
    clean = []
    for network in networks:
        try:
            clean.append(str(addresses.network(network.strip(), strict=False)))
        except ValueError:
            raise _wrong("networks", "This is not a network: write 203.0.113.7 or 203.0.113.0/24.") from None
    account.webhook_networks = clean or None
    account.save(update_fields=["webhook_networks"])


@transaction.atomic
def set_ordering(account_pk: int, *, clabe: str, name: str, tax_id: str) -> None:
    """Say from which CLABE, in which name and with which RFC orders are paid; all empty: nothing can be sent.

    ``name`` is folded as a SPEI order carries it. Raises ``InvalidRequest`` for a CLABE, name or RFC that no order of
    this account can carry, and ``IllegalTransition`` while orders with the present ones are not settled: the provider's
    answers about them are compared with these.
    """
    account = _locked(account_pk)
    if not registry.provider(account.provider).pays_out:
        raise IllegalTransition("Payouts are not sent through this provider.")
    if clabe or name or tax_id:
        clabe_rules.validate(clabe, field="clabe")
        if not clabe.startswith(account.clabe_prefix or ""):
            raise _wrong("clabe", "The ordering CLABE begins with the account's CLABE prefix.")
        try:
            name = spei_text.fold(name)
        except spei_text.UnsendableText as error:
            raise _wrong("name", error.message) from error
        if len(tax_id) >= tax_ids.CURP:
            raise _wrong("tax_id", "An RFC has 12 or 13 characters.")
        try:
            tax_id = tax_ids.fold(tax_id)
        except ValueError as error:
            raise _wrong("tax_id", "An RFC has 12 or 13 characters.") from error
    if (account.ordering_clabe, account.ordering_name, account.ordering_tax_id) == (clabe, name, tax_id):
        return
    if Payout.objects.filter(provider_account=account, status=Payout.Status.PROCESSING).exists():
        raise IllegalTransition("Payouts are on their way: change this when they are settled.")
    account.ordering_clabe, account.ordering_name, account.ordering_tax_id = clabe, name, tax_id
    account.save(update_fields=["ordering_clabe", "ordering_name", "ordering_tax_id"])


def _free_username(account: ProviderAccount) -> str:
    """``stp-live``; further accounts of the mode get the digits of their CLABE prefix as suffix."""
    name = f"{account.provider}-{'live' if account.livemode else 'test'}"
    if ProviderAccount.objects.filter(webhook_username=name).exists():
        return f"{name}-{(account.clabe_prefix or account.public_id)[-4:]}"
    return name


def _locked(account_pk: int) -> ProviderAccount:
    """Lock the row against other changes, but not against inserts of payments and deposits that reference it."""
    return ProviderAccount.objects.select_for_update(no_key=True).get(pk=account_pk)


def _wrong(field: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, errors=[FieldError(field, "invalid", message)])
