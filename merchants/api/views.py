"""The base of every merchant API view: the tenant comes from the key, and only from the key."""

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
"""In ``scopes``: every key of the merchant may do this."""


class MerchantView(JsonView):
    """A view of one merchant's objects in one mode.

    ``scopes`` says for every HTTP method that the view has which scope the key needs, of which several it needs one, or
    ``ANY_KEY``. Objects are reached by ``own`` and ``find``, which know no other merchant's and no other mode's.
    """

    authentication_classes = [ApiKeyAuthentication]
    scopes: ClassVar[dict[str, str | tuple[str, ...]]] = {}
    rate_class: ClassVar[str | None] = None
    """Which of ``settings.RATE_LIMITS`` counts here: ``read`` or ``write`` by the method unless given."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        handled = {name.upper() for name in cls.http_method_names if hasattr(cls, name)} - {"OPTIONS", "HEAD"}
        if handled != set(cls.scopes):
            raise TypeError(f"{cls.__name__}.scopes must name exactly its methods: {', '.join(sorted(handled))}")

    authenticator: ClassVar[ApiKeyAuthentication]
    merchant: Merchant
    """Whose objects these are. Shared between requests: never change it."""
    key: ApiKey
    """The API key that was presented. Shared between requests: never change it."""
    livemode: bool
    """Which mode's objects these are."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Before the handler, each only if the former let it pass: version, key, rate, scope."""
        asked = request._request
        self.headers["API-Version"] = _version(asked)
        self.merchant, self.key = self.authenticator.authenticate(asked)
        self.livemode = self.key.livemode
        reads = asked.method in ("GET", "HEAD", "OPTIONS")
        usage = rate_limit.count(asked, self.key, self.rate_class or ("read" if reads else "write"))
        if usage is not None:
            self.headers.update(usage.headers)
            if usage.exceeded:
                raise RateLimited(retry_after=usage.reset)
        needed = self.scopes.get("GET" if asked.method == "HEAD" else asked.method or "", ANY_KEY)
        if needed != ANY_KEY and needed not in self.key.scopes and not _has_one(self.key, needed):
            raise KeyScopeInsufficient

    def own(self, rows: QuerySet[M]) -> QuerySet[M]:
        """Of ``rows`` those of this merchant in this mode."""
        return rows.filter(merchant=self.merchant, livemode=self.livemode)

    def find(self, rows: QuerySet[M], public_id: str) -> M:
        """The merchant's own object with this public id. Raises ``NotFound``, whosever the object is."""
        found = self.own(rows).filter(public_id=public_id).first() if ids.is_id(public_id) else None
        if found is None:
            raise NotFound
        return found

    @property
    def owner(self) -> tuple[int, bool]:
        """Whose list a cursor belongs to."""
        return self.merchant.pk, self.livemode

    @property
    def origin(self) -> Origin:
        """This request as the cause of a change."""
        return Origin(TransitionRow.Cause.API, self.key.public_id, getattr(self.request, "request_id", ""))


def _has_one(key: ApiKey, needed: str | tuple[str, ...]) -> bool:
    return isinstance(needed, tuple) and not set(needed).isdisjoint(key.scopes)


def _version(request: HttpRequest) -> str:
    """The version that the caller pins, or the newest."""
    given: str | None = request.META.get("HTTP_API_VERSION")
    if given is None:
        return str(settings.API_VERSION)
    if given not in settings.API_VERSIONS:
        message = "There is no such API version; we know: %(known)s."
        params = {"known": ", ".join(settings.API_VERSIONS)}
        raise InvalidRequest(
            message, params=params, errors=[FieldError("API-Version", "unknown_version", message, params)]
        )
    return given
