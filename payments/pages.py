"""Pages for payers."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from core import ids
from core.money import format_mxn
from core.mx import clabe
from payments.models import Payment


@require_safe
def payment_page(request: HttpRequest, payment_id: str) -> HttpResponse:
    """Shows where and how much to pay to anyone with the unguessable URL; never the payer's data."""
    payments = Payment.objects.select_related("merchant")
    payment = payments.filter(public_id=payment_id).first() if ids.is_id(payment_id) else None
    if payment is None:
        raise Http404
    response = render(
        request,
        "payments/payment_page.html",
        {
            "payment": payment,
            "amount": format_mxn(payment.amount),
            "bank_name": clabe.bank_name(payment.clabe or ""),
            "waiting": payment.status in (Payment.Status.PENDING, Payment.Status.PROCESSING),
        },
    )
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    return response
