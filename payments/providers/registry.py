"""Which providers there are, how they are reached, and what methods of payment they carry.

Services ask here instead of comparing names. A posting, an account and a reason are named only: providers know nothing
of the ledger.
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

    ``cash`` is the purpose of the ledger account where it lies, ``share`` the merchant's account that is credited,
    ``posting`` the function of ``ledger.services.postings.pay_in``. ``needs_order``: the payer pays an order that must
    first be made at the provider; else a CLABE of our own. ``unknown`` is why money of no known payment is kept.
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

    ``connect`` makes a client, and raises ``ValueError`` for what no request could carry. ``credentials`` are those
    without which nothing can be asked; ``signs``: so is the signing key. ``proves_by`` is what authenticates its
    notices. ``has_companies``: several of our accounts may be one company at the provider, which then reports the money
    of all of them to any. ``pays_out``: its client is a ``payments.providers.payout.PayoutClient``.
    ``explain`` puts an error's code and the provider's words in plain words of a language ("es", "en").
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
        """True if the account has all that a request needs."""
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
"""The method that pays to a CLABE of ours."""
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
