"""Staff's view of payments: everything about money is read-only."""

from payments.admin.deposit import DepositAdmin
from payments.admin.fee_rule import FeeRuleAdmin
from payments.admin.payment import PaymentAdmin
from payments.admin.provider_account import ProviderAccountAdmin
from payments.admin.report import ReportAdmin

__all__ = ["DepositAdmin", "FeeRuleAdmin", "PaymentAdmin", "ProviderAccountAdmin", "ReportAdmin"]
