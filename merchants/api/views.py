"""Base of all merchant API views; the tenant is determined by the API key alone."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

from django.conf import settings
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from rest_framework.request import Request

from core import ids
from core.api.views import JsonView
from core.errors import FieldError, InvalidRequest, KeyScopeInsufficient, NotFound, RateLimited
from core.state import Origin, TransitionRow
from merchants.api import rate_limit
from merchants.api.authentication import ApiKeyAuthentication
from merchants.models import ApiKey, Merchant

M = TypeVar("M", bound=Model)

ANY_KEY = ""
"""In ``scopes``: no scope is required."""


class MerchantView(JsonView):
    """A view of one merchant's objects in one mode.

    ``scopes`` maps each HTTP method of the view to the required scope, to several of which one is required, or to
    ``ANY_KEY``. Objects are accessed by ``own`` and ``find``, which are limited to the merchant and mode.
    """

    authentication_classes = [ApiKeyAuthentication]
    scopes: ClassVar[dict[str, str | tuple[str, ...]]] = {}
    rate_class: ClassVar[str | None] = None
    """The entry of ``settings.RATE_LIMITS`` that applies; by default ``read`` or ``write``, by the method."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        handled = {name.upper() for name in cls.http_method_names if hasattr(cls, name)} - {"OPTIONS", "HEAD"}
        if handled != set(cls.scopes):
            raise TypeError(f"{cls.__name__}.scopes must name exactly its methods: {', '.join(sorted(handled))}")

    authenticator: ClassVar[ApiKeyAuthentication]
    merchant: Merchant
    """The authenticated merchant. Shared between requests: never change it."""
    key: ApiKey
    """The API key of the request. Shared between requests: never change it."""
    livemode: bool
    """The mode of the API key."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check, in this order: API version, API key, rate limit, scope."""
        asked = request._request
        self.headers["API-Version"] = _version(asked)
        self.merchant, self.key = self.authenticator.authenticate(asked)
        self.livemode = self.key.livemode
        reads = asked.method in ("GET", "HEAD", "OPTIONS")
        usage = rate_limit.count(self.key, self.rate_class or ("read" if reads else "write"))
        if usage is not None:
            self.headers.update(usage.headers)
            if usage.exceeded:
                raise RateLimited(retry_after=usage.reset)
        needed = self.scopes.get("GET" if asked.method == "HEAD" else asked.method or "", ANY_KEY)
        if needed != ANY_KEY and needed not in self.key.scopes and not _has_one(self.key, needed):
            raise KeyScopeInsufficient

    def own(self, rows: QuerySet[M]) -> QuerySet[M]:
        """``rows`` limited to this merchant and mode."""
        return rows.filter(merchant=self.merchant, livemode=self.livemode)

    def find(self, rows: QuerySet[M], public_id: str) -> M:
        """The merchant's object with this public id. Raises ``NotFound``, also for objects of other merchants."""
        found = self.own(rows).filter(public_id=public_id).first() if ids.is_id(public_id) else None
        if found is None:
            raise NotFound
        return found

    @property
    def owner(self) -> tuple[int, bool]:
        """The owner that a list's cursors are bound to."""
        return self.merchant.pk, self.livemode

    @property
    def origin(self) -> Origin:
        """The origin of a change made by this request."""
        return Origin(TransitionRow.Cause.API, self.key.public_id, getattr(self.request, "request_id", ""))


def _has_one(key: ApiKey, needed: str | tuple[str, ...]) -> bool:
    return isinstance(needed, tuple) and not set(needed).isdisjoint(key.scopes)


def _version(request: HttpRequest) -> str:
    """The API version that the caller pins, or the latest."""
    given: str | None = request.META.get("HTTP_API_VERSION")
    if given is None:
        return str(settings.API_VERSION)
    if given not in settings.API_VERSIONS:
        message = "Unknown API version; supported: %(known)s."
        params = {"known": ", ".join(settings.API_VERSIONS)}
        raise InvalidRequest(
            message, params=params, errors=[FieldError("API-Version", "unknown_version", message, params)]
        )
    return given
