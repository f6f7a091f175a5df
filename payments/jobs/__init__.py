"""Tasks that the worker runs for payments. Each is idempotent."""

from procrastinate import RetryStrategy

from core import jobs
from core.jobs import Lane
from payments.jobs import report as report
from payments.services import order, payment

_BATCHES = 50
"""The most that one run expires, in batches: what is left is the next run's."""

_RETRY = RetryStrategy(max_attempts=8, wait=40, exponential_wait=3)
"""After a fault of ours or of the database, within three hours: 43 s, 49 s, 67 s, 121 s, …

The first wait is longer than the lease on asking, which keeps away whoever comes earlier. What Conekta answers, or that
it does not, is no fault: the service plans its own next try.
"""


@jobs.task("payments.request_voucher", lane=Lane.PROVIDERS, retry=_RETRY)
def request_voucher(payment_id: int, attempt: int) -> None:
    """Get the voucher that an OXXO payment still lacks."""
    payment.request_voucher(payment_id, attempt=attempt)


@jobs.task("payments.withdraw_order", lane=Lane.PROVIDERS)
def withdraw_order(payment_id: int, attempt: int) -> None:
    """Withdraw the order of a cancelled payment at Conekta."""
    order.withdraw(payment_id, attempt=attempt)


@jobs.periodic("* * * * *", "payments.expire_payments", lane=Lane.MONEY)
def expire_payments(timestamp: int) -> None:
    """Expire what nobody paid in time."""
    for _ in range(_BATCHES):
        if payment.expire_due() < payment.EXPIRY_BATCH:
            break


@jobs.periodic("*/5 * * * *", "payments.expire_orders", lane=Lane.PROVIDERS)
def expire_orders(timestamp: int) -> None:
    """Ask Conekta about OXXO payments that are long over their time."""
    order.expire_unpaid()
