"""Screens that join several apps."""

from backoffice.admin.provider_account import ProviderAccountWithKeys
from backoffice.admin.trail import DepositWithTrail, PaymentWithTrail
from backoffice.admin.transfer import TransferAdmin

__all__ = ["DepositWithTrail", "PaymentWithTrail", "ProviderAccountWithKeys", "TransferAdmin"]
