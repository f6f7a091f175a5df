"""Authentication by API key: a bearer token, or the user name of HTTP Basic with an empty password."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from django.http import HttpRequest
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from core import request_context
from core.errors import AuthenticationRequired, InvalidApiKey
from merchants.models import ApiKey, Merchant
from merchants.services import api_key


class ApiKeyAuthentication(BaseAuthentication):
    """Authenticates a request by its API key: the merchant is the user, the key the credential."""

    def authenticate(self, request: HttpRequest | Request) -> tuple[Merchant, ApiKey]:
        key = api_key.authenticate(
            _secret(request.META.get("HTTP_AUTHORIZATION", "")), address=request_context.client_address(request)
        )
        request_context.add(merchant=key.merchant.public_id, api_key=key.prefix)
        return key.merchant, key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="merchant API"'


class ApiKeyScheme(OpenApiAuthenticationExtension):
    """The security schemes of the OpenAPI schema; either way of sending the key works."""

    target_class = ApiKeyAuthentication
    name = ["apiKey", "apiKeyAsUser"]

    def get_security_requirement(self, auto_schema: Any) -> list[dict[str, list[Any]]]:
        """One alternative per sufficient scope, as roles of OpenAPI 3.1; without roles if any key will do."""
        required = getattr(auto_schema.view, "scopes", {}).get(auto_schema.method)
        alternatives = required if isinstance(required, tuple) else (required,)
        return [{name: [str(scope)] if scope else []} for scope in alternatives for name in self.name]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        bearer = "The API key as a bearer token"
        basic = "The API key as the user name, with an empty password"
        return [
            {"type": "http", "scheme": "bearer", "bearerFormat": "sk_test_… or sk_live_…", "description": bearer},
            {"type": "http", "scheme": "basic", "description": basic},
        ]


def _secret(header: str) -> str:
    scheme, _, value = header.partition(" ")
    if not header:
        raise AuthenticationRequired
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(value.strip(), validate=True).decode("ascii").partition(":")
        except (binascii.Error, ValueError):
            raise InvalidApiKey from None
        if not password:
            return user
        raise InvalidApiKey
    raise AuthenticationRequired
