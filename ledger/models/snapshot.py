from __future__ import annotations

import pgtrigger
from django.db import models
from django.utils.translation import gettext_lazy as _

from core.db import Guard, NoDelete
from ledger.models.transaction import COUNTER


class Snapshot(models.Model):
    """Sum of an account's entries below ``position``: a cache that the worker advances.

    A balance is this total plus the entries from ``position`` on. No entry can be added below it, so that the cache can
    be verified from the entries at any time (``manage.py audit_ledger``). The database computes ``total`` and keeps
    ``position`` below the horizon. ``checked_total`` is the sum that the periodic check found up to
    ``checked_position``, where the next check resumes.
    """

    account = models.OneToOneField("ledger.Account", models.PROTECT, primary_key=True, related_name="snapshot")
    position = models.BigIntegerField()
    total = models.BigIntegerField(help_text="Centavos; debits are positive, credits negative.")
    taken_at = models.DateTimeField()
    checked_position = models.BigIntegerField(default=0, db_default=0)
    checked_total = models.BigIntegerField(default=0, db_default=0)

    free_columns = {
        "taken_at": "when the worker advanced it; no amount depends on it",
        "checked_position": "how far the periodic check got; `audit_ledger` sums everything again",
        "checked_total": "sum found by the periodic check; a wrong one opens a breach",
    }

    class Meta:
        verbose_name = _("balance snapshot")
        verbose_name_plural = _("balance snapshots")
        indexes = [models.Index(fields=["position"], name="snapshot_position")]
        triggers = [
            NoDelete(),
            Guard(
                name="computed",
                by_index=True,
                when=pgtrigger.Before,
                operation=pgtrigger.Insert | pgtrigger.Update,
                judges={
                    "account": "never changes",
                    "position": "only moves forward, up to the horizon",
                    "total": "computed by the database",
                },
                declare=[("since", "bigint := 0"), ("known", "bigint := 0")],
                func=f"""
                    IF TG_OP = 'UPDATE' THEN
                        since := OLD.position;
                        known := OLD.total;
                        IF NEW.account_id <> OLD.account_id OR NEW.position < since
                                OR (NEW.position = since AND NEW.total <> known) THEN
                            RAISE EXCEPTION 'ledger_snapshot: position only moves forward, nothing else changes'
                                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
                        END IF;
                        IF NEW.position = since THEN
                            RETURN NEW;
                        END IF;
                    ELSIF EXISTS (SELECT 1 FROM public.ledger_snapshot WHERE account_id = NEW.account_id) THEN
                        RETURN NEW;  -- it conflicts with the existing row: refused, or turned into its update
                    END IF;
                    IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
                        RAISE EXCEPTION 'ledger_snapshot: taken at an isolation level that hides other entries'
                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
                    END IF;
                    -- Horizon and sum are separate statements, so that the sum sees everything below the horizon.
                    NEW.position := least(NEW.position, {COUNTER.horizon_sql});
                    IF NEW.position <= since THEN
                        NEW.position := since;
                        NEW.total := known;
                        RETURN NEW;
                    END IF;
                    NEW.total := known + coalesce((
                        SELECT sum(amount) FROM public.ledger_entry
                        WHERE account_id = NEW.account_id AND position >= since AND position < NEW.position
                    ), 0);
                    RETURN NEW;
                """,  # noqa: S608 - a constant
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account_id}: {self.total}"
