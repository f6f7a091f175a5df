"""Adjustments, and the people who propose and approve them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile

from core import clock
from ledger.models import Adjustment
from ledger.services import adjustment
from staff.models import Vote
from staff.services import approval

LEGS = [("platform:losses", 10_000), ("platform:bank_cash", -10_000)]
PDF = b"%PDF-1.7\nestado de cuenta\n%%EOF\n"


def person(name: str, *codenames: str) -> User:
    user = User.objects.create_user(name, password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


def propose(maker: User, **changes: Any) -> Adjustment:
    now = clock.now()
    fields: dict[str, Any] = {
        "livemode": False,
        "description": "Comisión bancaria no reportada",
        "reason": "El banco cobró una comisión que nadie registró.",
        "legs": LEGS,
        "effective_at": now - timedelta(days=40),
        "operating_date": date(2026, 10, 14),
        "evidence": evidence(),
    }
    return adjustment.propose(maker=maker, **(fields | changes))


def decide(proposed: Adjustment, user: User, decision: str = "approve") -> Vote:
    asked = adjustment.approval_of(proposed)
    assert asked is not None
    return approval.vote(asked.pk, user, decision, "Revisado.")


def evidence(raw: bytes = PDF, name: str = "estado.pdf") -> ContentFile[bytes]:
    return ContentFile(raw, name=name)
