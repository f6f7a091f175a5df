from payments.models.deposit import Deposit, DepositTransition
from payments.models.fee_rule import FeeRule
from payments.models.payment import Payment, PaymentTransition
from payments.models.provider_account import ProviderAccount

__all__ = ["Deposit", "DepositTransition", "FeeRule", "Payment", "PaymentTransition", "ProviderAccount"]
