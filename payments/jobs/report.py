"""Tasks that the worker runs for reports. Each bears being run twice."""

from core import jobs
from payments.services import report


@jobs.task("payments.write_report")
def write_report(report_id: int) -> None:
    """Write a report's file."""
    report.write(report_id)


@jobs.periodic("* * * * *", "payments.rescue_reports")
def rescue_reports(timestamp: int) -> None:
    """Write again what a dead worker began."""
    report.rescue()


@jobs.periodic("17 9 * * *", "payments.clean_up_reports")
def clean_up_reports(timestamp: int) -> None:
    """Remove files whose time is over."""
    report.clean_up()
