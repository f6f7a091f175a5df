"""Model of merchants."""

from __future__ import annotations

from functools import partial

from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from core import clock, ids
from core.db import Frozen, NoDelete
from core.fields import IdentifierField


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

    class FeeOnReturn(models.TextChoices):
        """Whether a payout that the beneficiary's bank sends back still costs its fee."""

        KEEP = "keep", _("is kept")
        GIVE_BACK = "give_back", _("is given back")

    public_id = IdentifierField(
        _("id"), max_length=40, unique=True, editable=False, default=partial(ids.new_id, "merchant")
    )
    name = models.CharField(_("name"), max_length=100, help_text=_("Trade name: what payers see."))
    legal_name = models.CharField(_("legal name"), max_length=200, help_text=_("Exactly as on the tax certificate."))
    tax_id = models.CharField(
        "RFC",
        max_length=13,
        blank=True,
        default="",
        db_default="",
        validators=[RegexValidator(r"^[A-ZÑ&]{3,4}[0-9]{6}[A-Z0-9]{3}\Z", _("An RFC has 12 or 13 characters."))],
        help_text=_("Of the tax certificate. Needed to register a funding CLABE."),
    )
    incorporated_on = models.DateField(
        _("incorporated on"),
        null=True,
        blank=True,
        help_text=_("Date of incorporation. Needed to register a funding CLABE."),
    )
    technical_email = models.EmailField(
        _("technical contact"),
        blank=True,
        default="",
        db_default="",
        help_text=_("E-mail address that is told when a webhook endpoint fails."),
    )
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
    payout_limit = models.BigIntegerField(
        _("most per payout"), null=True, blank=True, help_text=_("Centavos. Empty: no limit.")
    )
    payout_day_limit = models.BigIntegerField(
        _("most per day"),
        null=True,
        blank=True,
        help_text=_("Centavos of all payouts created on a day in Mexico City. Empty: no limit."),
    )
    payout_destination_limit = models.BigIntegerField(
        _("most per day and destination"),
        null=True,
        blank=True,
        help_text=_("Centavos to one CLABE on a day in Mexico City. Empty: no limit."),
    )
    payout_cool_down_hours = models.PositiveSmallIntegerField(
        _("cool-down of a new destination"),
        default=0,
        db_default=0,
        help_text=_("Hours before the first payout to a CLABE is sent."),
    )
    payout_approval_above = models.BigIntegerField(
        _("approval above"),
        null=True,
        blank=True,
        help_text=_("Centavos: a larger payout needs a second person. 0: every payout. Empty: none."),
    )
    payout_approval_new_destination = models.BooleanField(
        _("approval for a new destination"),
        default=False,
        db_default=False,
        help_text=_("The first payout to a CLABE needs a second person."),
    )
    payout_fee_on_return = models.CharField(
        _("fee of a returned payout"),
        max_length=16,
        choices=FeeOnReturn.choices,
        default=FeeOnReturn.KEEP,
        db_default=FeeOnReturn.KEEP,
    )
    created_at = models.DateTimeField(_("created"), default=clock.now, editable=False)

    free_columns = {
        "name": "staff correct it; what was sent or reported keeps the name it had",
        "legal_name": "staff correct it, as the tax certificate is corrected",
        "tax_id": "staff correct it; the provider keeps the one that was registered",
        "incorporated_on": "staff correct it; the provider keeps the one that was registered",
        "technical_email": "staff correct it; it counts for messages to come",
        "status": "staff suspend and readmit a merchant; it counts for requests to come",
        **dict.fromkeys(
            (
                "payout_limit",
                "payout_day_limit",
                "payout_destination_limit",
                "payout_cool_down_hours",
                "payout_approval_above",
                "payout_approval_new_destination",
                "payout_fee_on_return",
            ),
            "a rule for payouts to come; each payout keeps what was decided about it",
        ),
        "deposit_policy": "a rule for money to come; every deposit keeps what was decided about it",
    }

    class Meta:
        verbose_name = _("merchant")
        verbose_name_plural = _("merchants")
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(payout_limit__isnull=True) | models.Q(payout_limit__gt=0),
                name="merchant_payout_limit_positive",
            ),
            models.CheckConstraint(
                condition=models.Q(payout_day_limit__isnull=True) | models.Q(payout_day_limit__gt=0),
                name="merchant_payout_day_limit_positive",
            ),
            models.CheckConstraint(
                condition=models.Q(payout_destination_limit__isnull=True) | models.Q(payout_destination_limit__gt=0),
                name="merchant_payout_destination_limit_positive",
            ),
            models.CheckConstraint(
                condition=models.Q(payout_approval_above__isnull=True) | models.Q(payout_approval_above__gte=0),
                name="merchant_payout_approval_not_negative",
            ),
        ]
        triggers = [NoDelete(), Frozen("id", "public_id", "created_at")]

    def __str__(self) -> str:
        return self.name
