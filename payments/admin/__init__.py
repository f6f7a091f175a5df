"""Admin pages of payments. Everything about money is read-only."""

from payments.admin.clabe import ClabeAdmin
from payments.admin.deposit import DepositAdmin
from payments.admin.destination import DestinationAdmin
from payments.admin.fee_rule import FeeRuleAdmin
from payments.admin.merchant import MerchantWithFunding
from payments.admin.payment import PaymentAdmin
from payments.admin.payout import PayoutAdmin
from payments.admin.payout_resolution import PayoutResolutionAdmin
from payments.admin.provider_account import ProviderAccountAdmin
from payments.admin.provider_call import ProviderCallAdmin
from payments.admin.refund import RefundAdmin
from payments.admin.report import ReportAdmin
from payments.admin.review_case import ReviewCaseAdmin

__all__ = [
    "ClabeAdmin",
    "ReviewCaseAdmin",
    "DepositAdmin",
    "DestinationAdmin",
    "FeeRuleAdmin",
    "MerchantWithFunding",
    "PaymentAdmin",
    "PayoutAdmin",
    "PayoutResolutionAdmin",
    "ProviderAccountAdmin",
    "ProviderCallAdmin",
    "RefundAdmin",
    "ReportAdmin",
]
