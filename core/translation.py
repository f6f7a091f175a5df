"""Translation of errors into the caller's language."""

from __future__ import annotations

from functools import lru_cache

from django.http import HttpRequest
from django.utils import translation
from django.utils.translation import gettext

from core.errors import FieldError, PaymentsError


def translated(error: PaymentsError | FieldError) -> str:
    """The error's message in the active language, with its parameters filled in."""
    text = gettext(error.template if isinstance(error, PaymentsError) else error.message)
    return text % error.params if error.params else text


def activate(accept_language: str | None) -> None:
    """Activate the supported language that best matches an Accept-Language header; the default without one."""
    if accept_language:
        translation.activate(_best_language(accept_language))
    else:
        translation.deactivate()


@lru_cache(maxsize=500)
def _best_language(accept_language: str) -> str:
    request = HttpRequest()
    request.META["HTTP_ACCEPT_LANGUAGE"] = accept_language
    return translation.get_language_from_request(request)
