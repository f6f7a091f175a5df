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
    ``position`` is the database transaction that wrote the row, counted from ``ledger_position_base``: entries can join
    only in that one, and everything below the oldest running transaction's position is complete.
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
    position = models.BigIntegerField(editable=False, default=0)

    class Meta:
        verbose_name = _("transaction")
        verbose_name_plural = _("transactions")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["kind", "source"], name="transaction_kind_source_unique"),
        ]
        indexes = [
            models.Index(fields=["source"], name="transaction_source"),
            models.Index(fields=["position", "id"], name="transaction_position"),
            models.Index(fields=["-recorded_at"], name="transaction_recorded"),
        ]
        triggers = [
            AppendOnly(),
            Guard(
                name="stamp",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                func="""
                    SELECT last_value + pg_current_xact_id()::text::bigint INTO NEW.position
                        FROM public.ledger_position_base;
                    RETURN NEW;
                """,
            ),
            Guard(
                name="complete",
                by_index=True,
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                timing=pgtrigger.Deferred,
                declare=[("account", "record"), ("found", "bigint")],
                func="""
                    IF NOT EXISTS (SELECT 1 FROM public.ledger_entry WHERE transaction_id = NEW.id) THEN
                        RAISE EXCEPTION 'ledger: transaction % has no entries', NEW.public_id
                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
                    END IF;
                    FOR account IN
                        SELECT a.id, a.code, a.floor, a.normal_side
                        FROM public.ledger_entry e JOIN public.ledger_account a ON a.id = e.account_id
                        WHERE e.transaction_id = NEW.id AND a.floor IS NOT NULL
                            AND (e.amount > 0) = (a.normal_side = 'credit')
                        ORDER BY a.id
                    LOOP
                        IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
                            RAISE EXCEPTION 'ledger: % is debited at an isolation level that hides other debits',
                                account.code USING ERRCODE = 'check_violation', TABLE = 'ledger_account';
                        END IF;
                        PERFORM 1 FROM public.ledger_account WHERE id = account.id FOR NO KEY UPDATE;
                        found := public.ledger_total(account.id);
                        IF account.normal_side = 'credit' THEN
                            found := -found;
                        END IF;
                        IF found < account.floor THEN
                            RAISE EXCEPTION 'ledger: % would fall to %, below its floor', account.code, found
                                USING ERRCODE = 'check_violation', TABLE = 'ledger_account',
                                    CONSTRAINT = 'account_floor';
                        END IF;
                    END LOOP;
                    RETURN NULL;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.source}"


class Entry(models.Model):
    """One leg of a transaction: ``amount`` centavos, debits positive, credits negative.

    ``position`` and ``effective_at`` repeat the transaction's, so that one index answers what an account held when.
    """

    transaction = models.ForeignKey(Transaction, models.PROTECT, related_name="entries")
    account = models.ForeignKey("ledger.Account", models.PROTECT, related_name="entries", db_index=False)
    amount = models.BigIntegerField(_("amount"), help_text=_("Centavos; debits are positive, credits negative."))
    currency = models.CharField(_("currency"), max_length=3)
    position = models.BigIntegerField(editable=False)
    effective_at = models.DateTimeField(_("effective"))

    class Meta:
        verbose_name = _("entry")
        verbose_name_plural = _("entries")
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(condition=~models.Q(amount=0), name="entry_amount_not_zero"),
        ]
        indexes = [
            models.Index(fields=["account", "position"], include=["amount"], name="entry_account_position"),
            models.Index(fields=["account", "effective_at"], include=["amount"], name="entry_account_effective"),
        ]
        triggers = [
            AppendOnly(),
            Guard(
                name="balanced",
                by_index=True,
                level=pgtrigger.Statement,
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                referencing=pgtrigger.Referencing(new="added"),
                declare=[("fault", "text")],
                # All legs come in one statement: what came later would evade a check of floors that was done already.
                func="""
                    SELECT CASE
                        WHEN bool_or(t.position IS DISTINCT FROM now.position) THEN
                            'an entry cannot join an earlier transaction'
                        WHEN bool_or(e.position <> t.position OR e.effective_at <> t.effective_at) THEN
                            'an entry and its transaction differ in position or moment'
                        WHEN bool_or(a.livemode IS DISTINCT FROM t.livemode OR a.currency <> e.currency) THEN
                            'an entry and its account differ in mode or currency'
                        WHEN count(*) < 2 THEN 'entries come two or more at once'
                        WHEN sum(e.amount) <> 0 THEN 'entries do not sum to zero'
                        ELSE 'a transaction gets all its entries at once' END
                    INTO fault
                    FROM added e
                    CROSS JOIN (
                        SELECT last_value + pg_current_xact_id()::text::bigint AS position
                        FROM public.ledger_position_base
                    ) now
                    LEFT JOIN public.ledger_transaction t ON t.id = e.transaction_id
                    LEFT JOIN public.ledger_account a ON a.id = e.account_id
                    GROUP BY e.transaction_id, e.currency
                    HAVING bool_or(t.position IS DISTINCT FROM now.position)
                        OR bool_or(e.position <> t.position OR e.effective_at <> t.effective_at)
                        OR bool_or(a.livemode IS DISTINCT FROM t.livemode OR a.currency <> e.currency)
                        OR count(*) < 2 OR sum(e.amount) <> 0
                        OR count(*) <> (SELECT count(*) FROM public.ledger_entry o
                                        WHERE o.transaction_id = e.transaction_id)
                    LIMIT 1;
                    IF fault IS NOT NULL THEN
                        RAISE EXCEPTION 'ledger: %', fault USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
                    END IF;
                    RETURN NULL;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"
