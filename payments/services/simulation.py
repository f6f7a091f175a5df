"""Simulations for test keys: the simulator pays a test payment, or decides what becomes of a test payout.

It then calls our webhooks like the provider.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import httpx2
from django.conf import settings

from core import clock
from core.db import transaction_forbidden
from core.errors import IllegalTransition, ProviderUnavailable, UnusableValue
from payments.models import Payment, Payout
from payments.providers import registry

_SECONDS: Final = 5.0
_FAILED: Final = "The simulator could not do that; its log says why."
_LATE_BY = timedelta(seconds=5)
_ENDED = (Payment.Status.EXPIRED, Payment.Status.CANCELLED)
_SENDABLE = (Payout.Status.PENDING_APPROVAL, Payout.Status.PENDING, Payout.Status.PROCESSING)
OUTCOMES: Final[dict[str, dict[str, Any]]] = {
    "settle": {"final": "settle"},
    "return": {"final": "return", "return_after": 0},
    "reject": {"answer": -9, "final": "cancel"},
    "silence": {"notify": False},
}
"""What may become of a test payout, and how the simulator of STP is told."""


@transaction_forbidden
def pay(payment: Payment, *, amount: int | None, late: bool, times: int) -> None:
    """Make the simulator pay a test payment with ``amount`` centavos (default: its amount).

    ``late``: with a time of payment after it expired or was cancelled. ``times``: the number of notices, sent in
    parallel. Raises ``IllegalTransition`` if the payment cannot be paid like that, ``InvalidRequest`` for an amount
    that the simulator does not accept, and ``ProviderUnavailable`` if there is no simulator or it does not respond.
    """
    if payment.livemode:
        raise ValueError("live payments are never simulated")
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


@transaction_forbidden
def decide_payout(payout: Payout, *, outcome: str) -> None:
    """Tell the simulator what becomes of a test payout (``OUTCOMES``): from now on, or once it is sent.

    Raises ``IllegalTransition`` for one that has ended (one that completed may still be returned), and
    ``ProviderUnavailable`` if there is no simulator or it does not respond.
    """
    if payout.livemode:
        raise ValueError("live payouts are never simulated")
    if payout.status == Payout.Status.COMPLETED and outcome != "return":
        raise IllegalTransition("This payout is completed; it can only be returned.")
    if payout.status not in (*_SENDABLE, Payout.Status.COMPLETED):
        raise IllegalTransition("This payout has ended; nothing more becomes of it.")
    response = _request("PUT", f"/_sim/stp/orders/{payout.tracking_key}", OUTCOMES[outcome])
    if response.status_code != 200:
        raise ProviderUnavailable(_FAILED)


def _post(path: str, body: dict[str, Any]) -> None:
    response = _request("POST", path, body)
    if response.status_code == 202:
        return
    if response.status_code == 409:
        raise IllegalTransition("The simulator refused: the voucher is paid, expired or cancelled.")
    if response.status_code == 422 and response.json()["error"]["code"] == "invalid_field":
        message = "The simulator does not accept this amount."
        raise UnusableValue.of("amount", message, code="invalid_amount")
    raise ProviderUnavailable(_FAILED)


def _request(method: str, path: str, body: dict[str, Any]) -> httpx2.Response:
    if not settings.SANDBOX.url:
        raise ProviderUnavailable("No simulator is configured: the operator must set SANDBOX_URL.")
    try:
        return httpx2.request(method, settings.SANDBOX.url + path, json=body, timeout=_SECONDS, trust_env=False)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise ProviderUnavailable("The simulator does not respond.") from error
