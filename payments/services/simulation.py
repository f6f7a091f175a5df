"""Test payers: telling the simulator that somebody pays. It calls our webhooks as the provider would."""

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
    """Let the simulated payer of a test payment pay ``amount`` centavos (what it asks for, unless told).

    ``late``: after it expired or was cancelled, by the payment time that the provider names. ``times``: the notice
    comes that often, in parallel. Raises ``IllegalTransition`` if nobody could pay it like that, ``InvalidRequest`` for
    an amount that the simulator does not take, and ``ProviderUnavailable`` if there is no simulator or it does not
    answer.
    """
    if payment.livemode:
        raise ValueError("no simulator ever touches live payments")
    if not settings.SANDBOX.url:
        raise ProviderUnavailable("No simulator is set up here: the operator has to set SANDBOX_URL.")
    if payment.status in _ENDED and not late:
        raise IllegalTransition("This payment has ended; say late: true to pay it all the same.")
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
    _tell(path, body)


def _tell(path: str, body: dict[str, Any]) -> None:
    try:
        answer = httpx2.post(settings.SANDBOX.url + path, json=body, timeout=_SECONDS, trust_env=False)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise ProviderUnavailable("The simulator does not answer.") from error
    if answer.status_code == 202:
        return
    if answer.status_code == 409:
        raise IllegalTransition("The simulator refused: the voucher is paid, expired or cancelled.")
    if answer.status_code == 422 and answer.json()["error"]["code"] == "invalid_field":
        message = "The simulator does not take this amount."
        raise InvalidRequest(message, code="invalid_amount", errors=[FieldError("amount", "invalid_amount", message)])
    raise ProviderUnavailable("The simulator could not do that; its log says why.")
