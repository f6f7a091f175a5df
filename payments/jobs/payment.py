"""Background jobs of payments: vouchers, orders at Conekta and expiry."""

from procrastinate import RetryStrategy

from core import jobs
from core.jobs import Lane
from payments.services import order, payment

_BATCHES = 50
"""Maximum number of expiry batches per run; the next run continues."""

_RETRY = RetryStrategy(max_attempts=8, wait=40, exponential_wait=3)
"""Retries after an internal or database error, within three hours: 43 s, 49 s, 67 s, 121 s, …

The first wait is longer than the lease of a request to Conekta, which blocks earlier attempts. A response of Conekta,
or none, is not such an error: the service schedules its own next attempt.
"""


@jobs.task("payments.request_voucher", lane=Lane.PROVIDERS, retry=_RETRY)
def request_voucher(payment_id: int, attempt: int) -> None:
    """Request the missing voucher of an OXXO payment."""
    payment.request_voucher(payment_id, attempt=attempt)


@jobs.task("payments.withdraw_order", lane=Lane.PROVIDERS)
def withdraw_order(payment_id: int, attempt: int) -> None:
    """Cancel the order of a cancelled payment at Conekta."""
    order.withdraw(payment_id, attempt=attempt)


@jobs.periodic("* * * * *", "payments.expire_payments", lane=Lane.MONEY)
def expire_payments(timestamp: int) -> None:
    """Expire unpaid payments whose time is over."""
    for _ in range(_BATCHES):
        if payment.expire_due() < payment.EXPIRY_BATCH:
            break


@jobs.periodic("*/5 * * * *", "payments.expire_orders", lane=Lane.PROVIDERS)
def expire_orders(timestamp: int) -> None:
    """Ask Conekta about OXXO payments that expired some time ago."""
    order.expire_unpaid()
