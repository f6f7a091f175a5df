"""View and response classes of a JSON-only API, based on DRF.

DRF parses, validates, describes and handles errors. Its content negotiation, versioning and throttling are skipped,
because their outcome is always the same here: one renderer, no version scheme, no throttle, one authenticator.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse
from rest_framework.authentication import BaseAuthentication
from rest_framework.metadata import SimpleMetadata
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.utils.encoders import JSONEncoder
from rest_framework.views import APIView

_encode = JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_NEGOTIATION = DefaultContentNegotiation()
"""Needed to check that a body's Content-Type is JSON."""


class ApiResponse(HttpResponse):
    """A response with ``value`` as JSON."""

    def __init__(
        self,
        value: object,
        status: int = 200,
        *,
        headers: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> None:
        super().__init__(_encode(value).encode(), content_type, status, headers=headers)


class JsonView(APIView):
    """A view that answers in JSON and ignores Accept.

    ``initial`` authenticates and may refuse; ``headers`` are added to every response, also to errors.
    """

    headers: dict[str, str]
    authenticator: ClassVar[BaseAuthentication]
    """An instance of the single entry of ``authentication_classes``."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.authentication_classes:
            (only,) = cls.authentication_classes
            cls.authenticator = only()
        cls._parsers = tuple(parser() for parser in cls.parser_classes)

    _parsers: ClassVar[tuple[Any, ...]] = ()

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        self.headers = {}
        self.request = asked = Request(
            request,
            parsers=self._parsers,
            authenticators=(self.authenticator,),
            negotiator=_NEGOTIATION,
            parser_context={"view": self, "args": args, "kwargs": kwargs},
        )
        try:
            self.initial(asked, *args, **kwargs)
            name = (request.method or "").lower()
            known = name in self.http_method_names
            handler = getattr(self, name, None) if known else None
            response: HttpResponse = (handler or self.http_method_not_allowed)(asked, *args, **kwargs)
        except Exception as error:
            response = self.handle_exception(error)
        for name, value in self.headers.items():
            response.headers[name] = value
        return response

    def http_method_not_allowed(self, request: HttpRequest | Request, *args: Any, **kwargs: Any) -> Any:
        self.headers["Allow"] = ", ".join(self.allowed_methods)
        return super().http_method_not_allowed(request, *args, **kwargs)  # type: ignore[arg-type]

    def options(self, request: HttpRequest | Request, *args: Any, **kwargs: Any) -> Any:
        """Describe the requests that this view accepts."""
        self.headers["Allow"] = ", ".join(self.allowed_methods)
        return ApiResponse(SimpleMetadata().determine_metadata(request, self))  # type: ignore[arg-type]
