"""Screens that join several apps."""

from backoffice.admin.trail import DepositWithTrail, PaymentWithTrail
from backoffice.admin.transfer import TransferAdmin

__all__ = ["DepositWithTrail", "PaymentWithTrail", "TransferAdmin"]
