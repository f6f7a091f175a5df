"""Forms of staff pages: amounts in pesos, moments in Mexico City, refusals of services."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import INPUT_CLASSES, UnfoldAdminTextInputWidget

from core.errors import PaymentsError
from core.money import centavos_to_pesos, pesos_to_centavos
from core.translation import translated

_PESOS = re.compile(r"\$? ?([0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(\.[0-9]+)?\Z")


class PesosField(forms.CharField):
    """An amount in pesos (``1,250.50``); its value is in centavos, None if empty. ``zero``: 0 is an amount, too."""

    def __init__(self, *, zero: bool = False, **options: Any) -> None:
        self.zero = zero
        attrs = {"inputmode": "decimal", "placeholder": "0.00", "autocomplete": "off"}
        super().__init__(max_length=30, widget=UnfoldAdminTextInputWidget(attrs=attrs), **options)

    def prepare_value(self, value: Any) -> Any:
        """Centavos of a stored object as pesos; typed text as it is."""
        return f"{centavos_to_pesos(value):,}" if isinstance(value, int) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        if not _PESOS.match(text):
            raise forms.ValidationError(_("Write an amount in pesos, like 1250.50."))
        try:
            amount = pesos_to_centavos(text.lstrip("$ ").replace(",", ""))
        except ValueError as error:
            raise forms.ValidationError(_("An amount has at most two decimals and sixteen digits.")) from error
        if amount == 0 and not self.zero:
            raise forms.ValidationError(_("An amount is greater than zero."))
        return amount


class MomentField(forms.DateTimeField):
    """A moment to the minute in Mexico City time, with the browser's own picker."""

    def __init__(self, **options: Any) -> None:
        attrs = {"type": "datetime-local", "class": " ".join(INPUT_CLASSES)}
        super().__init__(widget=forms.DateTimeInput(format="%Y-%m-%dT%H:%M", attrs=attrs), **options)


def show_refusal(form: forms.Form, refused: PaymentsError) -> None:
    """Show a service's refusal on the form: at the invalid fields, otherwise above them."""
    errors = [error for error in refused.errors if error.field in form.fields]
    for error in errors:
        form.add_error(error.field, translated(error))
    if not errors:
        form.add_error(None, translated(refused))
