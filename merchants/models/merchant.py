"""Model of merchants."""

from __future__ import annotations

from functools import partial

from django.db import models
from django.utils.translation import gettext_lazy as _

from core import clock, ids
from core.db import Frozen, NoDelete


class Merchant(models.Model):
    """A business whose payments pass through this system."""

    class Status(models.TextChoices):
        ACTIVE = "active", _("active")
        SUSPENDED = "suspended", _("suspended")

    class DepositPolicy(models.TextChoices):
        """Handling of deposits that differ from what their payment asked for (docs/adr/0021)."""

        EXACT = "exact", _("exact amount, also late")
        ACCEPT_ANY = "accept_any", _("accept any money")
        REVIEW = "review", _("review whatever differs")

    public_id = models.CharField(
        _("id"), max_length=40, unique=True, editable=False, default=partial(ids.new_id, "merchant")
    )
    name = models.CharField(_("name"), max_length=100, help_text=_("Trade name: what payers see."))
    legal_name = models.CharField(_("legal name"), max_length=200, help_text=_("Exactly as on the tax certificate."))
    status = models.CharField(
        _("status"),
        max_length=16,
        choices=Status.choices,
        default=Status.ACTIVE,
        help_text=_("A suspended merchant's API keys are refused."),
    )
    deposit_policy = models.CharField(
        _("money that differs"),
        max_length=16,
        choices=DepositPolicy.choices,
        default=DepositPolicy.EXACT,
        db_default=DepositPolicy.EXACT,
        help_text=_(
            "Exact: the exact amount is credited, also after the payment expired or was cancelled; another amount or a "
            "second transfer waits for a person. Accept any: all of it is credited. Review: late money, another amount "
            "and a second transfer wait for a person. Money that waits is in suspense, with a review case."
        ),
    )
    created_at = models.DateTimeField(_("created"), default=clock.now, editable=False)

    free_columns = {
        "name": "staff correct it; what was sent or reported keeps the name it had",
        "legal_name": "staff correct it, as the tax certificate is corrected",
        "status": "staff suspend and readmit a merchant; it counts for requests to come",
        "deposit_policy": "a rule for money to come; every deposit keeps what was decided about it",
    }

    class Meta:
        verbose_name = _("merchant")
        verbose_name_plural = _("merchants")
        ordering = ["name"]
        triggers = [NoDelete(), Frozen("id", "public_id", "created_at")]

    def __str__(self) -> str:
        return self.name
