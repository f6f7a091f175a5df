"""Screens that join several apps."""

from django.contrib import admin
from procrastinate.contrib.django.models import ProcrastinateJob

from backoffice.admin.provider_account import ProviderAccountWithKeys
from backoffice.admin.trail import DepositWithTrail, PaymentWithTrail
from backoffice.admin.transfer import TransferAdmin

__all__ = ["DepositWithTrail", "PaymentWithTrail", "ProviderAccountWithKeys", "TransferAdmin"]

# Procrastinate's own page lets anyone who may view a job cancel it. Jobs are looked after by the worker and its logs.
admin.site.unregister(ProcrastinateJob)
