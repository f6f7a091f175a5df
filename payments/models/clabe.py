"""Reusable CLABEs."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from django.db import models
from django.utils.translation import gettext_lazy as _
from django_fsm import transition

from core import clock, ids
from core.db import AppendOnly, Frozen, NoDelete, SameMode, StateGuard
from core.fields import IdentifierField
from core.guards import OnlyIf, Recorded, WithTransition
from core.state import ProtectedRefreshMixin, StatusField, TransitionRow


class Clabe(ProtectedRefreshMixin):
    """A CLABE for any number of transfers. Amounts in centavos.

    To a collection CLABE payers transfer: each accepted transfer becomes a completed payment. To its funding CLABE, one
    per mode, the merchant itself transfers: the money is added to its balance, without payment and fee.
    """

    class Purpose(models.TextChoices):
        COLLECTION = "collection", _("collection")
        FUNDING = "funding", _("funding")

    class Registration(models.TextChoices):
        """Whether the provider knows the merchant as the holder of a funding CLABE."""

        PENDING = "pending", _("pending")
        ACTIVE = "active", _("active")
        REFUSED = "refused", _("registration refused")

    class Status(models.TextChoices):
        ACTIVE = "active", _("active")
        """Accepts transfers."""
        CLOSED = "closed", _("closed")
        """Accepts only transfers that were sent before it was closed."""

    public_id = IdentifierField(
        _("id"), max_length=40, unique=True, editable=False, default=partial(ids.new_id, "clabe")
    )
    merchant = models.ForeignKey(
        "merchants.Merchant", models.PROTECT, related_name="clabes", verbose_name=_("merchant"), db_index=False
    )
    livemode = models.BooleanField(_("live"))
    provider_account = models.ForeignKey(
        "payments.ProviderAccount", models.PROTECT, related_name="clabes", db_index=False
    )
    clabe = IdentifierField(_("CLABE"), max_length=18, unique=True)
    purpose = models.CharField(
        _("use"), max_length=16, choices=Purpose.choices, default=Purpose.COLLECTION, db_default=Purpose.COLLECTION
    )
    status = StatusField(_("status"), choices=Status.choices, default=Status.ACTIVE)
    label = models.CharField(_("label"), max_length=100, blank=True)
    customer_name = models.CharField(_("customer"), max_length=100, blank=True)
    customer_email = models.EmailField(_("e-mail"), blank=True)
    customer_phone = models.CharField(_("phone"), max_length=20, blank=True)
    metadata = models.JSONField(default=dict, blank=True)
    min_amount = models.BigIntegerField(_("minimum amount"), null=True, blank=True, help_text=_("Centavos."))
    max_amount = models.BigIntegerField(_("maximum amount"), null=True, blank=True, help_text=_("Centavos."))
    registration = models.CharField(
        _("registration"), max_length=8, choices=Registration.choices, blank=True, default="", db_default=""
    )
    registration_detail = models.CharField(
        _("the provider's answer"), max_length=300, blank=True, default="", db_default=""
    )
    registration_tries = models.PositiveSmallIntegerField(_("requests"), default=0, db_default=0)
    registration_due_at = models.DateTimeField(_("next request"), null=True, blank=True)
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), default=clock.now, editable=False)

    free_columns = {
        "registration_detail": "the provider's last words; all of them are in the provider calls",
        "registration_tries": "a count of requests; each of them is a provider call",
        "registration_due_at": "when the worker asks next; a lease while it asks",
    }

    class Meta:
        verbose_name = _("CLABE")
        verbose_name_plural = _("CLABEs")
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(clabe__regex=r"^646180[0-9]{12}$"), name="clabe_is_one_of_ours"),
            models.CheckConstraint(
                condition=models.Q(min_amount__isnull=True) | models.Q(min_amount__gt=0), name="clabe_least_positive"
            ),
            models.CheckConstraint(
                condition=models.Q(max_amount__isnull=True) | models.Q(max_amount__gt=0), name="clabe_most_positive"
            ),
            models.CheckConstraint(
                condition=models.Q(min_amount__isnull=True)
                | models.Q(max_amount__isnull=True)
                | models.Q(min_amount__lte=models.F("max_amount")),
                name="clabe_range_not_empty",
            ),
            models.CheckConstraint(
                condition=models.Q(status="closed", closed_at__isnull=False)
                | models.Q(status="active", closed_at__isnull=True),
                name="clabe_closed_has_moment",
            ),
            models.UniqueConstraint(
                fields=["merchant", "livemode"], condition=models.Q(purpose="funding"), name="clabe_one_funding"
            ),
            models.CheckConstraint(
                condition=models.Q(purpose="collection", registration="")
                | models.Q(
                    purpose="funding",
                    registration__in=["pending", "active", "refused"],
                    status="active",
                    min_amount__isnull=True,
                    max_amount__isnull=True,
                ),
                name="clabe_funding_registered_and_open",
            ),
        ]
        indexes = [
            models.Index(fields=["merchant", "livemode", "-id"], name="clabe_list"),
            models.Index(
                fields=["registration_due_at"],
                condition=models.Q(registration_due_at__isnull=False),
                name="clabe_to_register",
            ),
        ]
        triggers = [
            NoDelete(),
            StateGuard(initial=["active"]),
            Recorded(),
            Frozen(
                "id",
                "public_id",
                "merchant",
                "livemode",
                "provider_account",
                "clabe",
                "purpose",
                "label",
                "customer_name",
                "customer_email",
                "customer_phone",
                "metadata",
                "min_amount",
                "max_amount",
                "created_at",
            ),
            WithTransition(["closed"], "closed_at"),
            OnlyIf(
                "registered_once",
                "OLD.registration IN ('pending', 'refused')",
                "registration",
                says="is of a funding CLABE, and does not change once it is active",
            ),
            SameMode("provider_account"),
        ]

    def __str__(self) -> str:
        return self.public_id

    @transition(field=status, source=Status.ACTIVE, target=Status.CLOSED)
    def close(self, *, at: datetime) -> None:
        """Stop accepting transfers. No money moves."""
        self.closed_at = at

    def takes(self, amount: int) -> bool:
        """True if ``amount`` (centavos) is within the limits of this CLABE."""
        return (self.min_amount or 0) <= amount and (self.max_amount is None or amount <= self.max_amount)

    def was_closed(self, paid_at: datetime) -> bool:
        """True if the payer sent the money after this CLABE was closed, by the provider's time."""
        return self.closed_at is not None and paid_at > self.closed_at


class ClabeTransition(TransitionRow):
    """One change of a CLABE's state."""

    clabe = models.ForeignKey(Clabe, models.PROTECT, related_name="transitions")

    class Meta(TransitionRow.Meta):
        verbose_name = _("CLABE transition")
        verbose_name_plural = _("CLABE transitions")
        triggers = [AppendOnly()]
