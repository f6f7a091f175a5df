"""Tasks that the worker runs for payments. Each bears being run twice."""

from core import jobs
from payments.jobs import report as report
from payments.services import payment


@jobs.task("payments.request_voucher")
def request_voucher(payment_id: int, attempt: int) -> None:
    """Get the voucher that an OXXO payment still lacks."""
    payment.request_voucher(payment_id, attempt=attempt)
