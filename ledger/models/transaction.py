from __future__ import annotations

from functools import partial

import pgtrigger
from django.db import models
from django.utils.translation import gettext_lazy as _

from core import clock, ids
from core.db import AppendOnly, Guard


class Transaction(models.Model):
    """A balanced movement of money: why (``kind``), on account of what (``source``), and when.

    ``effective_at`` is the moment the money moved by the provider's word, ``recorded_at`` the moment it was booked.
    ``xid`` is the database transaction that wrote the row: entries can join only in that one.
    """

    public_id = models.CharField(_("id"), max_length=40, unique=True, default=partial(ids.new_id, "transaction"))
    kind = models.CharField(_("kind"), max_length=40)
    source = models.CharField(_("source"), max_length=40, help_text=_("Public id of the object that caused it."))
    livemode = models.BooleanField(_("live"))
    description = models.CharField(_("description"), max_length=200)
    effective_at = models.DateTimeField(_("effective"))
    operating_date = models.DateField(_("operating date"))
    recorded_at = models.DateTimeField(_("recorded"), default=clock.now)
    reverses = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="reversals")
    xid = models.BigIntegerField(editable=False, default=0)

    class Meta:
        verbose_name = _("transaction")
        verbose_name_plural = _("transactions")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["kind", "source"], name="transaction_kind_source_unique"),
        ]
        indexes = [
            models.Index(fields=["source"], name="transaction_source"),
            models.Index(fields=["-recorded_at"], name="transaction_recorded"),
        ]
        triggers = [
            AppendOnly(),
            Guard(
                name="stamp",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                func="NEW.xid := pg_current_xact_id()::text::bigint; RETURN NEW;",
            ),
            Guard(
                name="has_entries",
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                timing=pgtrigger.Deferred,
                func="""
                    IF (SELECT count(*) FROM public.ledger_entry WHERE transaction_id = NEW.id) < 2 THEN
                        RAISE EXCEPTION 'ledger: transaction % has fewer than two entries', NEW.public_id
                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
                    END IF;
                    RETURN NULL;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.source}"


class Entry(models.Model):
    """One leg of a transaction: ``amount`` centavos, debits positive, credits negative."""

    transaction = models.ForeignKey(Transaction, models.PROTECT, related_name="entries")
    account = models.ForeignKey("ledger.Account", models.PROTECT, related_name="entries")
    amount = models.BigIntegerField(_("amount"), help_text=_("Centavos; debits are positive, credits negative."))
    currency = models.CharField(_("currency"), max_length=3)

    class Meta:
        verbose_name = _("entry")
        verbose_name_plural = _("entries")
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(condition=~models.Q(amount=0), name="entry_amount_not_zero"),
        ]
        indexes = [models.Index(fields=["account", "id"], include=["amount"], name="entry_account")]
        triggers = [
            AppendOnly(),
            Guard(
                name="balanced",
                level=pgtrigger.Statement,
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                referencing=pgtrigger.Referencing(new="added"),
                func="""
                    -- Foreign keys are checked at commit only: what an entry names must be there now.
                    IF EXISTS (
                        SELECT 1 FROM added LEFT JOIN public.ledger_transaction t ON t.id = added.transaction_id
                        WHERE t.xid IS DISTINCT FROM pg_current_xact_id()::text::bigint
                    ) THEN
                        RAISE EXCEPTION 'ledger: an entry joins only a transaction that is being written'
                            USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
                    END IF;
                    IF EXISTS (
                        SELECT 1 FROM public.ledger_entry e
                        WHERE e.transaction_id IN (SELECT transaction_id FROM added)
                        GROUP BY e.transaction_id, e.currency HAVING sum(e.amount) <> 0
                    ) THEN
                        RAISE EXCEPTION 'ledger: entries do not sum to zero'
                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
                    END IF;
                    IF EXISTS (
                        SELECT 1 FROM added
                        JOIN public.ledger_transaction t ON t.id = added.transaction_id
                        LEFT JOIN public.ledger_account a ON a.id = added.account_id
                        WHERE a.livemode IS DISTINCT FROM t.livemode OR a.currency IS DISTINCT FROM added.currency
                    ) THEN
                        RAISE EXCEPTION 'ledger: an entry and its account differ in mode or currency'
                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
                    END IF;
                    RETURN NULL;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"
