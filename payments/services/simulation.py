"""Simulated payments: the simulator pays a test payment and calls our webhooks like the provider."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import httpx2
from django.conf import settings

from core import clock
from core.db import transaction_forbidden
from core.errors import FieldError, IllegalTransition, InvalidRequest, ProviderUnavailable
from payments.models import Payment
from payments.providers import registry

_SECONDS: Final = 5.0
_LATE_BY = timedelta(seconds=5)
_ENDED = (Payment.Status.EXPIRED, Payment.Status.CANCELLED)


@transaction_forbidden
def pay(payment: Payment, *, amount: int | None, late: bool, times: int) -> None:
    """Make the simulator pay a test payment with ``amount`` centavos (default: its amount).

    ``late``: with a time of payment after it expired or was cancelled. ``times``: the number of notices, sent in
    parallel. Raises ``IllegalTransition`` if the payment cannot be paid like that, ``InvalidRequest`` for an amount
    that the simulator does not accept, and ``ProviderUnavailable`` if there is no simulator or it does not respond.
    """
    if payment.livemode:
        raise ValueError("live payments are never simulated")
    if not settings.SANDBOX.url:
        raise ProviderUnavailable("No simulator is configured: the operator must set SANDBOX_URL.")
    if payment.status in _ENDED and not late:
        raise IllegalTransition("This payment has ended; set late: true to pay it anyway.")
    moment = clock.now()
    if late:
        moment = max(moment, (payment.cancelled_at or payment.expires_at) + _LATE_BY)
    body: dict[str, Any] = {"amount": amount or payment.amount, "times": times}
    if not registry.method(payment.method).needs_order:
        if payment.clabe is None:
            raise IllegalTransition("This payment has no CLABE to pay to.")
        path = "/_sim/stp/deposits"
        body |= {"clabe": payment.clabe, "settled_at": int(moment.timestamp() * 1000)}
    else:
        if not payment.voucher_reference:
            raise IllegalTransition("This payment has no voucher yet; wait for payment.updated.")
        path = "/_sim/conekta/pay"
        body |= {"reference": payment.voucher_reference, "late": late, "paid_at": int(moment.timestamp())}
    _post(path, body)


def _post(path: str, body: dict[str, Any]) -> None:
    try:
        response = httpx2.post(settings.SANDBOX.url + path, json=body, timeout=_SECONDS, trust_env=False)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise ProviderUnavailable("The simulator does not respond.") from error
    if response.status_code == 202:
        return
    if response.status_code == 409:
        raise IllegalTransition("The simulator refused: the voucher is paid, expired or cancelled.")
    if response.status_code == 422 and response.json()["error"]["code"] == "invalid_field":
        message = "The simulator does not accept this amount."
        raise InvalidRequest(message, code="invalid_amount", errors=[FieldError("amount", "invalid_amount", message)])
    raise ProviderUnavailable("The simulator could not do that; its log says why.")
