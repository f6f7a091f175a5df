"""Funding CLABEs of merchants, for tests."""

from __future__ import annotations

from datetime import date

from django.db import transaction

from core.state import Origin, TransitionRow
from merchants.models import Merchant
from payments.models import Clabe
from payments.services import clabe as clabe_service

TAX_ID = "CLU150101AB1"


def complete(merchant: Merchant) -> None:
    """Give the merchant what a registration needs."""
    Merchant.objects.filter(pk=merchant.pk).update(tax_id=TAX_ID, incorporated_on=date(2015, 1, 1))


def funding_clabe(merchant: Merchant, *, livemode: bool = False) -> Clabe:
    """The merchant's funding CLABE."""
    complete(merchant)
    with transaction.atomic():
        return clabe_service.create_funding(
            merchant, livemode=livemode, origin=Origin(TransitionRow.Cause.STAFF, "ana")
        )
