"""Record of releases."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from core import clock
from core.columns import EVERY


class Release(models.Model):
    """A completed run of ``manage.py release``: which version was released to this database, and when."""

    version = models.CharField(_("version"), max_length=64)
    migrations = models.PositiveIntegerField(_("migrations applied"), help_text=_("How many this run applied."))
    started_at = models.DateTimeField(_("started"))
    finished_at = models.DateTimeField(_("finished"), default=clock.now)

    free_columns = {
        EVERY: "the application may only read this table; `manage.py release` adds a row",
    }

    class Meta:
        verbose_name = _("release")
        verbose_name_plural = _("releases")
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.version
