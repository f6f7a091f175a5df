"""Models of the payments app."""

from payments.models.clabe import Clabe, ClabeTransition
from payments.models.deposit import Deposit, DepositTransition
from payments.models.destination import Destination
from payments.models.fee_rule import FeeRule
from payments.models.payment import Payment, PaymentTransition
from payments.models.payout import Payout, PayoutTransition
from payments.models.payout_resolution import PayoutResolution
from payments.models.provider_account import ProviderAccount
from payments.models.provider_balance import ProviderBalance
from payments.models.provider_call import ProviderCall
from payments.models.provider_quota import ProviderQuota
from payments.models.refund import Refund, RefundTransition
from payments.models.report import Report, ReportTransition
from payments.models.review_case import ReviewCase, ReviewCaseTransition

__all__ = [
    "Clabe",
    "ClabeTransition",
    "Deposit",
    "DepositTransition",
    "Destination",
    "FeeRule",
    "Payment",
    "PaymentTransition",
    "Payout",
    "PayoutResolution",
    "PayoutTransition",
    "ProviderAccount",
    "ProviderBalance",
    "ProviderCall",
    "ProviderQuota",
    "Refund",
    "RefundTransition",
    "Report",
    "ReportTransition",
    "ReviewCase",
    "ReviewCaseTransition",
]
