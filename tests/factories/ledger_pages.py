"""Users, deposits and adjustments for tests of the ledger in the back office."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Permission, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from django.test import Client

from core import clock
from ledger.models import Adjustment, Transaction
from ledger.services.journal import PostingTime
from ledger.services.postings import pay_in
from merchants.models import Merchant

ADD = "/admin/ledger/adjustment/add/"
PDF = b"%PDF-1.7\n%%EOF\n"


def signed_in(name: str, *codenames: str) -> Client:
    user = User.objects.create_user(name, password="x", is_staff=True)
    views = Permission.objects.filter(codename__startswith="view_")
    user.user_permissions.set([*views, *Permission.objects.filter(codename__in=codenames)])
    client = Client()
    client.force_login(user)
    return client


def deposit(merchant: Merchant, amount: int, source: str, *, days_ago: int = 0) -> Transaction:
    moment = clock.now() - timedelta(days=days_ago)
    when = PostingTime(moment, moment.date())
    with transaction.atomic():
        return pay_in.spei_deposit(merchant, livemode=False, source=source, amount=amount, fee=0, fee_tax=0, when=when)


def proposed_by(maker: Client, **changes: Any) -> Adjustment:
    answer = maker.post(ADD, fields(**changes))
    assert answer.status_code == 302, answer.context["form"].errors
    return Adjustment.objects.latest("id")


def fields(**changes: Any) -> dict[str, Any]:
    body = {
        "livemode": "test",
        "description": "Comisión bancaria no reportada",
        "effective_at": "2026-10-14T10:30",
        "operating_date": "2026-10-14",
        "reason": "El banco la cobró y nadie la registró.",
        "evidence": SimpleUploadedFile("estado de cuenta.pdf", PDF),
        "account_0": "platform:losses",
        "debit_0": "1,234.56",
        "account_1": "platform:bank_cash",
        "credit_1": "$1234.56",
    }
    return {name: value for name, value in (body | changes).items() if value is not None}
