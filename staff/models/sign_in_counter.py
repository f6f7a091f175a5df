from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from core.columns import EVERY


class SignInCounter(models.Model):
    """How often somebody tried to sign in during one window: kept here while Redis is away.

    ``key`` is a hash of the account name or address; nobody can read from it who tried.
    """

    key = models.CharField(max_length=64)
    window = models.BigIntegerField(help_text="Number of the window since 1970.")
    count = models.PositiveIntegerField(default=1)

    free_columns = {
        EVERY: "counts of the last minutes, deleted with their window; they stand in for Redis while it is away",
    }

    class Meta:
        verbose_name = _("sign-in counter")
        verbose_name_plural = _("sign-in counters")
        constraints = [models.UniqueConstraint(fields=["key", "window"], name="sign_in_counter_unique")]

    def __str__(self) -> str:
        return f"{self.window}: {self.count}"
