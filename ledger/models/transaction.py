from __future__ import annotations

from functools import partial

import pgtrigger
from django.db import models
from django.utils.translation import gettext_lazy as _

from core import clock, ids
from core.db import AppendOnly, Guard
from core.fields import IdentifierField
from core.horizon import Counter

COUNTER = Counter("ledger", "ledger_position_counter", 473_702, "ledger_transaction", "position", "recorded_at")
"""Assigns positions to transactions; see ``core.horizon`` for which of them readers may show."""

IS_APPROVED = """
    EXISTS (
        SELECT 1 FROM public.ledger_adjustment j
        JOIN public.staff_approval a
            ON a.subject = j.public_id AND a.kind = 'ledger.adjustment' AND a.maker_id = j.maker_id
        WHERE j.public_id = t.source AND j.status = 'posted' AND j.livemode = t.livemode
            AND public.staff_approved(a.id)
            AND t.kind = CASE WHEN j.reverses_id IS NULL THEN 'adjustment' ELSE 'reversal' END
            AND j.reverses_id IS NOT DISTINCT FROM t.reverses_id
            AND j.legs = (
                SELECT jsonb_agg(
                    jsonb_build_object('account', c.code, 'amount', e.amount) ORDER BY e.amount < 0, c.code COLLATE "C"
                )
                FROM public.ledger_entry e JOIN public.ledger_account c ON c.id = e.account_id
                WHERE e.transaction_id = t.id
            )
    )
"""
"""SQL: the transaction ``t`` is, leg by leg, an adjustment that was approved by staff's rule."""


class Transaction(models.Model):
    """A balanced movement of money: its ``kind``, its ``source`` (the object that caused it), and its times.

    ``effective_at`` is when the money moved according to the provider, ``recorded_at`` when it was booked. ``position``
    is assigned by ``COUNTER`` on insert: the order of booking, complete below the counter's horizon.
    """

    public_id = IdentifierField(_("id"), max_length=40, unique=True, default=partial(ids.new_id, "transaction"))
    kind = models.CharField(_("kind"), max_length=40)
    source = models.CharField(_("source"), max_length=40, help_text=_("Public id of the object that caused it."))
    livemode = models.BooleanField(_("live"))
    description = models.CharField(_("description"), max_length=200)
    effective_at = models.DateTimeField(_("effective"))
    operating_date = models.DateField(_("operating date"))
    recorded_at = models.DateTimeField(_("recorded"), default=clock.now)
    reverses = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="reversals", db_index=False
    )
    position = models.BigIntegerField(editable=False, default=0)

    class Meta:
        verbose_name = _("transaction")
        verbose_name_plural = _("transactions")
        ordering = ["-id"]
        constraints = [
            # In this order it also serves lookups by source.
            models.UniqueConstraint(fields=["source", "kind"], name="transaction_kind_source_unique"),
        ]
        indexes = [
            models.Index(fields=["reverses"], condition=models.Q(reverses__isnull=False), name="transaction_reverses"),
            models.Index(fields=["position", "id"], name="transaction_position"),
            models.Index(fields=["-recorded_at"], name="transaction_recorded"),
        ]
        triggers = [
            AppendOnly(),
            Guard(
                name="stamp",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                declare=COUNTER.declare,
                func=f"{COUNTER.draw} RETURN NEW;",
            ),
            Guard(
                name="complete",
                by_index=True,
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                timing=pgtrigger.Deferred,
                declare=[("legs", "bigint"), ("debited", "bigint[]"), ("account", "record"), ("found", "bigint")],
                # Outer join, so that the plan starts from the few legs of the transaction and not from an account.
                func="""
                    SELECT count(*), array_agg(a.id) FILTER (
                        WHERE a.floor IS NOT NULL AND (e.amount > 0) = (a.normal_side = 'credit')
                    ) INTO legs, debited
                    FROM public.ledger_entry e LEFT JOIN public.ledger_account a ON a.id = e.account_id
                    WHERE e.transaction_id = NEW.id;
                    IF legs = 0 THEN
                        RAISE EXCEPTION 'ledger: transaction % has no entries', NEW.public_id
                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
                    END IF;
                    IF debited IS NULL THEN
                        RETURN NULL;
                    END IF;
                    FOR account IN
                        SELECT id, code, floor, normal_side FROM public.ledger_account
                        WHERE id = ANY (debited) ORDER BY id
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
            Guard(
                name="approved",
                by_index=True,
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                timing=pgtrigger.Deferred,
                condition=pgtrigger.Condition("NEW.kind = 'adjustment' OR NEW.source LIKE 'adj%'"),
                func=f"""
                    PERFORM 1 FROM public.ledger_transaction t WHERE t.id = NEW.id AND {IS_APPROVED};
                    IF NOT FOUND THEN
                        RAISE EXCEPTION 'ledger: % is not what a second person approved', NEW.public_id
                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
                    END IF;
                    RETURN NULL;
                """,
            ),
        ]

    def __str__(self) -> str:
        return self.public_id


class Entry(models.Model):
    """A leg of a transaction: ``amount`` centavos, debits positive, credits negative.

    ``position`` and ``effective_at`` are copied from the transaction, so that one index serves past balances. There are
    no foreign keys in the database: the trigger ``balanced`` refuses an entry whose transaction or account does not
    exist, and neither can be deleted or renumbered. Keys would check the same eight times per posting and lock the
    accounts' rows.
    """

    transaction = models.ForeignKey(Transaction, models.PROTECT, related_name="entries", db_constraint=False)
    account = models.ForeignKey(
        "ledger.Account", models.PROTECT, related_name="entries", db_index=False, db_constraint=False
    )
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
                # All legs must be inserted in one statement: a later one would evade a floor check that already ran.
                # A transaction without earlier entries is therefore of this database transaction, because ``complete``
                # lets none be committed without entries.
                func="""
                    SELECT judged.fault INTO fault FROM (
                        SELECT CASE
                            WHEN t.id IS NULL THEN 'an entry needs its transaction'
                            WHEN legs.count <> stored.count THEN
                                'all entries are inserted at once: an entry cannot join an earlier transaction'
                            WHEN t.position < (SELECT max(position) FROM public.ledger_snapshot) THEN
                                'positions fell behind the snapshots of another cluster: run manage.py release'
                            WHEN legs.lowest <> t.position OR legs.highest <> t.position
                                    OR legs.earliest <> t.effective_at OR legs.latest <> t.effective_at THEN
                                'an entry and its transaction differ in position or time'
                            WHEN stored.of_its_account < stored.count THEN
                                'an entry and its account differ in mode or currency'
                            WHEN legs.count < 2 THEN 'a transaction needs two or more entries'
                            WHEN legs.total <> 0 OR legs.a_currency <> legs.z_currency THEN
                                'entries do not sum to zero in one currency'
                        END AS fault
                        FROM (
                            SELECT transaction_id, count(*) AS count, sum(amount) AS total,
                                min(position) AS lowest, max(position) AS highest,
                                min(effective_at) AS earliest, max(effective_at) AS latest,
                                min(currency) AS a_currency, max(currency) AS z_currency
                            FROM added GROUP BY transaction_id
                        ) legs
                        LEFT JOIN public.ledger_transaction t ON t.id = legs.transaction_id
                        CROSS JOIN LATERAL (
                            SELECT count(*) AS count,
                                count(*) FILTER (WHERE a.livemode = t.livemode AND a.currency = e.currency)
                                    AS of_its_account
                            FROM public.ledger_entry e LEFT JOIN public.ledger_account a ON a.id = e.account_id
                            WHERE e.transaction_id = legs.transaction_id
                        ) stored
                    ) judged
                    WHERE judged.fault IS NOT NULL LIMIT 1;
                    IF fault IS NOT NULL THEN
                        RAISE EXCEPTION 'ledger: %', fault USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
                    END IF;
                    RETURN NULL;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"
