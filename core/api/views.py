"""DRF's view for an API that speaks JSON alone, and its answers.

DRF parses, validates, describes and turns errors into answers. What it negotiates for each request has one outcome here
and is not asked: one renderer, no version scheme, no throttle, one authenticator.
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
"""Still asked whether a body's Content-Type is JSON."""


class Answer(HttpResponse):
    """``value`` as JSON."""

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
    """A view that answers JSON whatever its caller accepts.

    ``initial`` authenticates and may refuse; ``headers`` go onto every answer, also of what was refused.
    """

    headers: dict[str, str]
    authenticator: ClassVar[BaseAuthentication]
    """An instance of the only one of ``authentication_classes``."""

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
        """What may be sent here."""
        self.headers["Allow"] = ", ".join(self.allowed_methods)
        return Answer(SimpleMetadata().determine_metadata(request, self))  # type: ignore[arg-type]
