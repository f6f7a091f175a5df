"""Registry of providers and methods of payment, with their differences as data.

Services use it instead of comparing names. Postings, accounts and reasons are referenced by name, because providers do
not import the ledger.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from payments.providers.base import Access, ProviderClient
from payments.providers.conekta import client as conekta
from payments.providers.stp import catalogue as stp_catalogue
from payments.providers.stp import client as stp


@dataclass(frozen=True, slots=True)
class MethodSpec:
    """How money of one method of payment arrives and is booked.

    ``cash`` is the purpose of the ledger account that holds it, ``share`` the merchant's account that is credited,
    ``posting`` the function of ``ledger.services.postings.pay_in``. ``needs_order``: payers pay an order that must be
    created at the provider; else they pay to one of our CLABEs. ``unknown`` is the suspense reason for money without a
    known payment.
    """

    name: str
    provider: str
    cash: Literal["stp_cash", "conekta_receivable"]
    share: Literal["available", "pending"]
    posting: str
    needs_order: bool
    unknown: str


@dataclass(frozen=True, slots=True)
class ProviderSpec:
    """One provider.

    ``connect`` creates a client and raises ``ValueError`` for an invalid key or address. ``credentials`` are the
    required ones; ``signs``: a signing key is required, too. ``proves_by`` is what authenticates its notices.
    ``has_companies``: several of our accounts may be one company at the provider, which then reports the money of all
    of them to any. ``pays_out``: its client is a ``payments.providers.payout.PayoutClient``. ``explain`` explains an
    error code and the provider's text in a language ("es", "en").
    """

    name: str
    connect: Callable[[Access], ProviderClient]
    proves_by: Literal["secret", "key"]
    credentials: tuple[str, ...] = ()
    signs: bool = False
    has_companies: bool = False
    pays_out: bool = False
    explain: Callable[[str, str, str], str] = lambda code, detail, language: detail

    def can_connect(self, access: Access) -> bool:
        """True if the account has everything that a request needs."""
        return bool(
            access.base_url
            and all(access.credentials.get(name) for name in self.credentials)
            and (access.signing_key is not None or not self.signs)
        )


SPEI: Final = MethodSpec(
    name="spei",
    provider="stp",
    cash="stp_cash",
    share="available",
    posting="spei_deposit",
    needs_order=False,
    unknown="unknown_clabe",
)
OXXO: Final = MethodSpec(
    name="oxxo",
    provider="conekta",
    cash="conekta_receivable",
    share="pending",
    posting="oxxo_paid",
    needs_order=True,
    unknown="unknown_order",
)

METHODS: Final = {spec.name: spec for spec in (SPEI, OXXO)}
CLABE_METHOD: Final = SPEI
"""The method by which payers pay to our CLABEs."""
PAYOUT_METHOD: Final = SPEI
"""The method by which payouts leave, at its provider."""

PROVIDERS: Final = {
    spec.name: spec
    for spec in (
        ProviderSpec(
            name="stp",
            connect=stp.connect,
            proves_by="secret",
            signs=True,
            has_companies=True,
            pays_out=True,
            explain=stp_catalogue.explain,
        ),
        ProviderSpec(name="conekta", connect=conekta.connect, proves_by="key", credentials=("api_key",)),
    )
}
_BY_PROVIDER: Final = {spec.provider: spec for spec in METHODS.values()}


def method(name: str) -> MethodSpec:
    """The method of payment ``name``; ``KeyError`` if there is none."""
    return METHODS[name]


def method_at(provider: str) -> MethodSpec:
    """The method by which money arrives at ``provider``."""
    return _BY_PROVIDER[provider]


def provider(name: str) -> ProviderSpec:
    """The provider ``name``; ``KeyError`` if there is none."""
    return PROVIDERS[name]
