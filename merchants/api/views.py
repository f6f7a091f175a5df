"""The base of every merchant API view: the tenant comes from the key, and only from the key."""

from __future__ import annotations

from typing import ClassVar

from rest_framework.request import Request
from rest_framework.views import APIView

from core.errors import KeyScopeInsufficient
from core.state import Origin, TransitionRow
from merchants.api.authentication import ApiKeyAuthentication
from merchants.models import ApiKey, Merchant


class MerchantView(APIView):
    """A view of one merchant's objects in one mode. ``scopes`` names, by HTTP method, what the key must allow."""

    authentication_classes = [ApiKeyAuthentication]
    scopes: ClassVar[dict[str, str]] = {}

    def check_permissions(self, request: Request) -> None:
        needed = self.scopes.get("GET" if request.method == "HEAD" else request.method or "")
        if needed is not None and needed not in self.key.scopes:
            raise KeyScopeInsufficient

    @property
    def key(self) -> ApiKey:
        """The API key that was presented."""
        return self.request.auth  # type: ignore[return-value]

    @property
    def merchant(self) -> Merchant:
        """Whose objects these are."""
        return self.request.user  # type: ignore[return-value]

    @property
    def livemode(self) -> bool:
        """Which mode's objects these are."""
        return self.key.livemode

    @property
    def origin(self) -> Origin:
        """This request as the cause of a change."""
        return Origin(TransitionRow.Cause.API, self.key.public_id, getattr(self.request, "request_id", ""))
