"""Settings of a worker whose questions about payouts do not let a test wait, and are not counted against a quota."""

from datetime import timedelta

from payments_site.settings.base import PAYOUT_INQUIRIES as _PLAN
from payments_site.settings.test import *  # noqa: F403

PAYOUT_INQUIRIES = (timedelta(seconds=1), *_PLAN[1:])
PROVIDER_QUOTAS = {"efws": 1_000_000}
