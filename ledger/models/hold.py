from __future__ import annotations

from functools import partial

import pgtrigger
from django.db import models
from django.utils.translation import gettext_lazy as _
from django_fsm import transition

from core import clock, ids
from core.db import Frozen, Guard, NoDelete, StateGuard
from core.fields import IdentifierField
from core.guards import WithTransition
from core.state import ProtectedRefreshMixin, StatusField


class Hold(ProtectedRefreshMixin):
    """Money of a merchant set aside for one purpose: posted from ``available`` to ``reserved``.

    The ledger holds the money, this row only its life cycle. A hold never expires: an outcome resolves it, once.

    A batch has one hold, placed by one posting. The holds of its payouts are parts of it (``parent``) and need no
    posting; ``split`` is their sum, computed by the database. An open hold reserves ``amount - split``.
    """

    class Status(models.TextChoices):
        OPEN = "open", _("open")
        """The money is reserved."""
        CAPTURED = "captured", _("captured")
        """All or part of it was spent; the rest went back to available."""
        RELEASED = "released", _("released")
        """All of it, or the part of a batch that was not split off, went back to available."""

    class Purpose(models.TextChoices):
        PAYOUT = "payout", _("payout")
        REFUND = "refund", _("refund")
        RETURN = "return", _("return of a payment")
        """A credited payment that must go back; the merchant may owe a part of it."""
        BATCH = "batch", _("batch of payouts")
        """All payouts of a batch; parts of it become the payouts' own holds."""

    public_id = IdentifierField(
        _("id"), max_length=40, unique=True, editable=False, default=partial(ids.new_id, "hold")
    )
    merchant = models.ForeignKey(
        "merchants.Merchant", models.PROTECT, related_name="+", verbose_name=_("merchant"), db_index=False
    )
    livemode = models.BooleanField(_("live"))
    purpose = models.CharField(_("purpose"), max_length=8, choices=Purpose.choices)
    source = IdentifierField(
        _("source"),
        max_length=40,
        unique=True,
        help_text=_("Public id of the payout, which is one attempt, or of the batch."),
    )
    parent = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, db_index=False, related_name="parts", verbose_name=_("part of")
    )
    amount = models.BigIntegerField(_("amount"), help_text=_("Centavos."))
    split = models.BigIntegerField(_("split"), default=0, db_default=0, editable=False)
    captured = models.BigIntegerField(_("captured"), default=0)
    status = StatusField(_("status"), choices=Status.choices, default=Status.OPEN)
    created_at = models.DateTimeField(_("created"), default=clock.now, editable=False)
    resolved_at = models.DateTimeField(_("resolved"), null=True, blank=True)

    class Meta:
        verbose_name = _("hold")
        verbose_name_plural = _("holds")
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="hold_amount_positive"),
            models.CheckConstraint(
                condition=models.Q(
                    status="captured", captured__gt=0, captured__lte=models.F("amount") - models.F("split")
                )
                | (~models.Q(status="captured") & models.Q(captured=0)),
                name="hold_captured_within_amount",
            ),
            models.CheckConstraint(
                condition=models.Q(split__gte=0, split__lte=models.F("amount")), name="hold_split_within_amount"
            ),
            models.CheckConstraint(
                condition=models.Q(status="open", resolved_at__isnull=True)
                | (~models.Q(status="open") & models.Q(resolved_at__isnull=False)),
                name="hold_resolved_has_moment",
            ),
        ]
        indexes = [
            models.Index(fields=["parent"], condition=models.Q(parent__isnull=False), name="hold_parent"),
            models.Index(
                fields=["merchant", "livemode"], include=["amount"], condition=models.Q(status="open"), name="hold_open"
            ),
        ]
        triggers = [
            NoDelete(),
            StateGuard(initial=["open"]),
            Frozen("id", "public_id", "merchant", "livemode", "purpose", "source", "parent", "amount", "created_at"),
            WithTransition(["captured", "released"], "captured", "resolved_at"),
            Guard(
                name="add_to_parent",
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                condition=pgtrigger.Condition("NEW.parent_id IS NOT NULL"),
                func="""
                    UPDATE public.ledger_hold SET split = split + NEW.amount
                    WHERE id = NEW.parent_id AND status = 'open' AND purpose = 'batch' AND NEW.purpose <> 'batch'
                        AND merchant_id = NEW.merchant_id AND livemode = NEW.livemode;
                    IF NOT FOUND THEN
                        RAISE EXCEPTION 'ledger_hold: the parent of % is not an open batch of its merchant', NEW.source
                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
                    END IF;
                    RETURN NULL;
                """,
            ),
            Guard(
                name="split_computed",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.UpdateOf("split"),
                judges={"split": "the sum of its parts, computed by the database"},
                declare=[("given", "boolean")],
                func="""
                    IF TG_OP = 'INSERT' THEN
                        given := NEW.split <> 0;
                    ELSE
                        given := NEW.split <> OLD.split AND pg_trigger_depth() = 1;  -- 2: by add_to_parent
                    END IF;
                    IF given THEN
                        RAISE EXCEPTION 'ledger_hold: split is computed from the parts'
                            USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
                    END IF;
                    RETURN NEW;
                """,
            ),
            Guard(
                name="reserved",
                when=pgtrigger.After,
                operation=pgtrigger.Insert | pgtrigger.UpdateOf("status"),
                timing=pgtrigger.Deferred,
                by_index=True,
                judges={"status": "open as long as its money is booked in `reserved`"},
                declare=[("held", "bigint")],
                func="""
                    SELECT coalesce(-sum(e.amount), 0) INTO held
                    FROM public.ledger_transaction t
                    JOIN public.ledger_entry e ON e.transaction_id = t.id
                    JOIN public.ledger_account a ON a.id = e.account_id
                    WHERE t.source = NEW.source AND a.purpose = 'reserved'
                        AND a.merchant_id = NEW.merchant_id AND a.livemode = NEW.livemode;
                    -- A part was booked for its batch, and stays booked there after the batch's hold is resolved.
                    IF held <> (
                        SELECT CASE status WHEN 'open' THEN amount ELSE split END
                            - CASE WHEN parent_id IS NULL THEN 0 ELSE amount END
                        FROM public.ledger_hold WHERE id = NEW.id
                    ) THEN
                        RAISE EXCEPTION 'ledger_hold: % differs from the amount reserved for it', NEW.public_id
                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
                    END IF;
                    RETURN NULL;
                """,
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def left(self) -> int:
        """Centavos that are not split off to parts."""
        return self.amount - self.split

    @transition(field=status, source=Status.OPEN, target=Status.CAPTURED)
    def capture(self, amount: int) -> None:
        """Spend ``amount`` centavos, at most the hold's amount. The rest returns to available."""
        self.captured = amount
        self.resolved_at = clock.now()

    @transition(field=status, source=Status.OPEN, target=Status.RELEASED)
    def release(self) -> None:
        """Return the rest. Ledger: reserved -> available."""
        self.resolved_at = clock.now()
