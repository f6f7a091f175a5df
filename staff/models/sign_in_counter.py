"""Counters of sign-in attempts."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.columns import EVERY


class SignInCounter(models.Model):
    """Sign-in attempts in one time window, counted here while Redis is unavailable.

    ``key`` is a keyed hash of the account name or address.
    """

    key = models.CharField(max_length=64)
    window = models.BigIntegerField(help_text="Number of the window since 1970.")
    count = models.PositiveIntegerField(default=1)

    free_columns = {
        EVERY: "counters of the last minutes, deleted after their window; used while Redis is unavailable",
    }

    class Meta:
        verbose_name = _("sign-in counter")
        verbose_name_plural = _("sign-in counters")
        constraints = [models.UniqueConstraint(fields=["key", "window"], name="sign_in_counter_unique")]

    def __str__(self) -> str:
        return f"{self.window}: {self.count}"
