"""Background jobs of reports."""

from core import jobs
from core.jobs import Lane
from payments.services import report


@jobs.task("payments.write_report", lane=Lane.SLOW)
def write_report(report_id: int) -> None:
    """Write a report's file."""
    report.write(report_id)


@jobs.periodic("* * * * *", "payments.rescue_reports", lane=Lane.SLOW)
def rescue_reports(timestamp: int) -> None:
    """Restart reports that a killed worker left unfinished."""
    report.rescue()


@jobs.periodic("17 9 * * *", "payments.clean_up_reports", lane=Lane.SLOW)
def clean_up_reports(timestamp: int) -> None:
    """Remove expired files."""
    report.clean_up()
