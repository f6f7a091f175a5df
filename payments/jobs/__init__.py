"""Tasks that the worker runs for payments. Each bears being run twice."""

from core import jobs
from payments.jobs import report as report
from payments.services import order, payment

_BATCHES = 50
"""The most that one run expires, in batches: what is left is the next run's."""


@jobs.task("payments.request_voucher")
def request_voucher(payment_id: int, attempt: int) -> None:
    """Get the voucher that an OXXO payment still lacks."""
    payment.request_voucher(payment_id, attempt=attempt)


@jobs.task("payments.withdraw_order")
def withdraw_order(payment_id: int, attempt: int) -> None:
    """Withdraw the order of a cancelled payment at Conekta."""
    order.withdraw(payment_id, attempt=attempt)


@jobs.periodic("* * * * *", "payments.expire_payments")
def expire_payments(timestamp: int) -> None:
    """Expire what nobody paid in time."""
    for _ in range(_BATCHES):
        if payment.expire_due() < payment.EXPIRY_BATCH:
            break


@jobs.periodic("*/5 * * * *", "payments.expire_orders")
def expire_orders(timestamp: int) -> None:
    """Ask Conekta about OXXO payments that are long over their time."""
    order.expire_unpaid()
