"""Admin pages that join several apps."""

from django.contrib import admin
from procrastinate.contrib.django.models import ProcrastinateJob

from backoffice.admin.provider_account import ProviderAccountWithKeys
from backoffice.admin.trail import DepositWithTrail, PaymentWithTrail, PayoutWithTrail
from backoffice.admin.transfer import TransferAdmin

__all__ = ["DepositWithTrail", "PaymentWithTrail", "PayoutWithTrail", "ProviderAccountWithKeys", "TransferAdmin"]

# Procrastinate's admin page lets every user with view permission cancel jobs.
admin.site.unregister(ProcrastinateJob)
