"""Errors in the language of whoever hears them."""

from __future__ import annotations

from django.utils.translation import gettext

from core.errors import FieldError, PaymentsError


def spoken(said: PaymentsError | FieldError) -> str:
    """The error's sentence in the active language, its values put in."""
    text = gettext(said.template if isinstance(said, PaymentsError) else said.message)
    return text % said.params if said.params else text
