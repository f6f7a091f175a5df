"""Who is calling: the provider account whose secret or key fits. It also fixes the notice's mode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from core.api.parsers import read_body
from core.errors import NoticeRejected
from payments.models import ProviderAccount
from payments.providers.conekta import signature
from payments.providers.stp import credentials


@dataclass(frozen=True, slots=True)
class Proven:
    """The raw bytes of an authentic notice, and the start of the hash of the secret or key that proved it."""

    raw: bytes
    key_id: str


class NoticeWithoutBody(NoticeRejected):
    """The body is missing: send it with its Content-Length."""

    code = "invalid_notice"
    http_status = 411


def raw_body(request: Request) -> bytes:
    """The bytes as they came, at most 64 KiB.

    A body sent in chunks arrives as an empty one. It is refused before the inbox: taken for an unreadable notice it
    would be answered with ``devolver``, and a payer's money would go back.
    """
    raw = read_body(request.META, request._request)
    if not raw:
        raise NoticeWithoutBody
    return raw


class StpSecret(BaseAuthentication):
    """HTTP Basic, as in the URL that STP was given: STP signs nothing."""

    def authenticate(self, request: Request) -> tuple[ProviderAccount, Proven]:
        given = credentials.parse_basic(request.META.get("HTTP_AUTHORIZATION", ""))
        if given is None:
            raise NoticeRejected("The credentials in the registered URL are missing.")
        username, secret = given
        account = ProviderAccount.objects.filter(
            provider=ProviderAccount.Provider.STP, is_active=True, webhook_username=username
        ).first()
        # An unknown user name costs the same comparison as a wrong secret.
        if (
            not credentials.secret_matches(secret, account.webhook_secret_sha256 if account else "0" * 64)
            or not account
        ):
            raise NoticeRejected("The credentials in the registered URL are wrong.")
        return account, Proven(raw_body(request), account.webhook_secret_sha256[:16])

    def authenticate_header(self, request: Request) -> str:
        return 'Basic realm="provider webhooks"'


class ConektaDigest(BaseAuthentication):
    """Header DIGEST: RSA PKCS#1 v1.5 over SHA-256 of the raw body, by a key of one of our accounts."""

    def authenticate(self, request: Request) -> tuple[ProviderAccount, Proven]:
        raw = raw_body(request)
        digest = request.META.get("HTTP_DIGEST", "")
        accounts = ProviderAccount.objects.filter(provider=ProviderAccount.Provider.CONEKTA, is_active=True)
        for account in accounts if digest else ():
            for pem in account.webhook_public_keys:
                if signature.is_authentic(raw, digest, [signature.load_public_key(pem)]):
                    return account, Proven(raw, signature.key_id(pem))
        raise NoticeRejected("The DIGEST header does not sign this body.")

    def authenticate_header(self, request: Request) -> str:
        return "DIGEST"


class _StpSecretScheme(OpenApiAuthenticationExtension):
    target_class = StpSecret
    name = "stpSecret"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "basic", "description": "User and secret of the address that STP was given"}


class _ConektaDigestScheme(OpenApiAuthenticationExtension):
    target_class = ConektaDigest
    name = "conektaDigest"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        text = "RSA PKCS#1 v1.5 over SHA-256 of the raw body, as Base64"
        return {"type": "apiKey", "in": "header", "name": "DIGEST", "description": text}
