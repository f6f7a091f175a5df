"""An action that can be approved, people, and the statements with which a role attacks approvals."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import Permission, User
from psycopg import errors

from staff.models import Approval, Vote
from staff.services import approval

KIND = "tests.action"
SUBJECT = "adj_00000000000000000000000000"


class House:
    """Something that can be approved, and what happened to it."""

    def __init__(self) -> None:
        self.content: Any = {"amount": 100}
        self.happened: list[str] = []
        self.fails = False

    def on_approved(self, given: Approval) -> None:
        if self.fails:
            raise RuntimeError("it cannot be carried out")
        self.happened.append(f"approved {given.subject}")

    def on_closed(self, given: Approval) -> None:
        self.happened.append(f"{given.status} {given.subject}")

    def kind(self, name: str = KIND, **options: Any) -> approval.Kind:
        """The kind of action, with this house's functions."""
        functions = (self.content_of, self.on_approved, self.on_closed, self.describe)
        return approval.Kind(name, "Action", "ledger_adjustment", *functions, **options)

    def describe(self, subject: str) -> list[str]:
        return [f"Pay {subject}"]

    def content_of(self, subject: str) -> Any:
        if self.content is None:
            raise LookupError(subject)
        return self.content


def person(name: str, *codenames: str, superuser: bool = False) -> User:
    user = User.objects.create_user(name, password="x", is_staff=True, is_superuser=superuser)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return user


def state(asked: Approval) -> tuple[str, int]:
    """The approval's status and the number of votes."""
    return Approval.objects.get(pk=asked.pk).status, Vote.objects.count()


VOTE = "INSERT INTO staff_vote (approval_id, user_id, decision, comment, created_at) VALUES (%s, %s, %s, '', now())"
APPROVE = "UPDATE staff_approval SET status = 'approved', resolved_at = now() WHERE id = %s"
REJECT = "UPDATE staff_approval SET status = 'rejected', resolved_at = now() WHERE id = %s"


def refused(connection: psycopg.Connection[Any], statement: str, *params: Any, saying: str, by: Any = None) -> None:
    with pytest.raises(by or errors.CheckViolation, match=saying), connection.transaction():
        connection.execute(statement, params)
