"""Errors in the language of whoever hears them."""

from __future__ import annotations

from functools import lru_cache

from django.http import HttpRequest
from django.utils import translation
from django.utils.translation import gettext

from core.errors import FieldError, PaymentsError


def spoken(said: PaymentsError | FieldError) -> str:
    """The error's sentence in the active language, its values put in."""
    text = gettext(said.template if isinstance(said, PaymentsError) else said.message)
    return text % said.params if said.params else text


def activate(accepted: str | None) -> None:
    """Speak the one of our languages that suits an Accept-Language best; without one, the site's own."""
    if accepted:
        translation.activate(_language(accepted))
    else:
        translation.deactivate()


@lru_cache(maxsize=500)
def _language(accepted: str) -> str:
    request = HttpRequest()
    request.META["HTTP_ACCEPT_LANGUAGE"] = accepted
    return translation.get_language_from_request(request)
