"""``manage.py createsuperuser``, recorded as the operator's change."""

from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.db import connection

from staff.services.account import as_operator


class Command(createsuperuser.Command):
    """Overrides Django's command."""

    def handle(self, *args: Any, **options: Any) -> str | None:
        with connection.execute_wrapper(as_operator):
            return super().handle(*args, **options)
