"""Authentication of notices: finds the provider account by its secret or key. The account determines the mode."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from core import addresses, request_context
from core.errors import IpNotAllowed, NoticeRejected
from payments.models import ProviderAccount
from payments.providers.conekta import signature
from payments.providers.stp import credentials
from payments.services import provider_account


@dataclass(frozen=True, slots=True)
class AuthenticatedBody:
    """The raw body of an authentic notice, and the start of the hash of the secret or key that authenticated it."""

    raw: bytes
    key_id: str


class NoticeWithoutBody(NoticeRejected):
    """The notice has no body."""

    code = "invalid_notice"
    http_status = 400


class NoticeOfAnotherKind(NoticeRejected):
    """Send JSON: Content-Type: application/json."""

    code = "unsupported_media_type"
    http_status = 415


class CallerNotAllowed(IpNotAllowed):
    """Notices are not accepted from your address."""


_FORMS = re.compile(r"(application|text)/([a-z0-9.+-]*\+)?json|text/plain|application/octet-stream", re.IGNORECASE)
"""Accepted content types."""


def check_content_type(request: Request) -> None:
    """Refuse another Content-Type; none at all is accepted."""
    kind = request.META.get("CONTENT_TYPE", "").partition(";")[0].strip()
    if kind and not _FORMS.fullmatch(kind):
        raise NoticeOfAnotherKind


def raw_body(request: Request) -> bytes:
    """The raw body.

    An empty body is refused before the inbox: as an unreadable notice it would be answered with ``devolver``, which
    returns a payer's money.
    """
    raw = request._request.read()
    if not raw:
        raise NoticeWithoutBody
    return raw


class StpSecret(BaseAuthentication):
    """HTTP Basic with the credentials of the registered URL, from an allowed address: STP does not sign notices."""

    def authenticate(self, request: Request) -> tuple[ProviderAccount, AuthenticatedBody]:
        check_content_type(request)
        given = credentials.parse_basic(request.META.get("HTTP_AUTHORIZATION", ""))
        if given is None:
            raise NoticeRejected("The credentials in the registered URL are missing.")
        username, secret = given
        known = provider_account.accepting_notices(ProviderAccount.Provider.STP)
        account = next((account for account in known if account.webhook_username == username), None)
        proven_by = _matching_secret(secret, account)
        if account is None or not proven_by:
            raise NoticeRejected("The credentials in the registered URL are wrong.")
        _check_address(request, account)
        return account, AuthenticatedBody(raw_body(request), proven_by[:16])

    def authenticate_header(self, request: Request) -> str:
        return 'Basic realm="provider webhooks"'


def _matching_secret(secret: str, account: ProviderAccount | None) -> str:
    """The matching hash, or "". An unknown user name costs the same comparisons as a wrong secret."""
    hashes = (account.webhook_secret_sha256, account.webhook_next_secret_sha256) if account else ("0" * 64, "")
    matching = [known for known in hashes if credentials.secret_matches(secret, known or "0" * 64) and known]
    return matching[0] if matching else ""


def _check_address(request: Request, account: ProviderAccount) -> None:
    networks = account.webhook_networks
    if networks and not addresses.within(request_context.client_address(request), networks):
        raise CallerNotAllowed


class ConektaDigest(BaseAuthentication):
    """Header DIGEST: RSA PKCS#1 v1.5 over SHA-256 of the raw body, by a key of one of our accounts."""

    def authenticate(self, request: Request) -> tuple[ProviderAccount, AuthenticatedBody]:
        check_content_type(request)
        raw = raw_body(request)
        digest = request.META.get("HTTP_DIGEST", "")
        for account in provider_account.accepting_notices(ProviderAccount.Provider.CONEKTA) if digest else ():
            for pem in reversed(account.webhook_public_keys):  # the newest key is the most likely
                if signature.is_authentic(raw, digest, [signature.load_public_key(pem)]):
                    return account, AuthenticatedBody(raw, signature.key_id(pem))
        raise NoticeRejected("The DIGEST header does not sign this body.")

    def authenticate_header(self, request: Request) -> str:
        return "DIGEST"


class _StpSecretScheme(OpenApiAuthenticationExtension):
    target_class = StpSecret
    name = "stpSecret"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "basic",
            "description": "User name and secret of the URL that was registered at STP",
        }


class _ConektaDigestScheme(OpenApiAuthenticationExtension):
    target_class = ConektaDigest
    name = "conektaDigest"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        text = "RSA PKCS#1 v1.5 over SHA-256 of the raw body, as Base64"
        return {"type": "apiKey", "in": "header", "name": "DIGEST", "description": text}
