from __future__ import annotations

import pgtrigger
from django.db import models
from django.utils.translation import gettext_lazy as _

from core.db import Guard, NoDelete
from ledger.models.transaction import COUNTER


class Snapshot(models.Model):
    """What an account's entries below ``position`` sum to: a cache that the worker moves forward.

    A balance is this total and the entries from ``position`` on. Nothing below it can appear any more, so the cache is
    provable from the entries at any time (``manage.py audit_ledger`` does it). The database computes ``total``, and
    keeps ``position`` below the horizon, whatever it is told. ``checked_total`` is what the periodic check found up to
    ``checked_position``; the next one goes on from there.
    """

    account = models.OneToOneField("ledger.Account", models.PROTECT, primary_key=True, related_name="snapshot")
    position = models.BigIntegerField()
    total = models.BigIntegerField(help_text="Centavos; debits are positive, credits negative.")
    taken_at = models.DateTimeField()
    checked_position = models.BigIntegerField(default=0, db_default=0)
    checked_total = models.BigIntegerField(default=0, db_default=0)

    free_columns = {
        "taken_at": "when the worker moved it; no amount depends on it",
        "checked_position": "how far the periodic check came; `audit_ledger` sums everything anew",
        "checked_total": "what the periodic check found; a wrong one opens a breach",
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
                    "position": "only moves forward, over what is complete",
                    "total": "is what the database itself sums",
                },
                declare=[("since", "bigint := 0"), ("known", "bigint := 0")],
                func=f"""
                    IF TG_OP = 'UPDATE' THEN
                        since := OLD.position;
                        known := OLD.total;
                        IF NEW.account_id <> OLD.account_id OR NEW.position < since
                                OR (NEW.position = since AND NEW.total <> known) THEN
                            RAISE EXCEPTION 'ledger_snapshot: it moves forward and changes in no other way'
                                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
                        END IF;
                        IF NEW.position = since THEN
                            RETURN NEW;
                        END IF;
                    ELSIF EXISTS (SELECT 1 FROM public.ledger_snapshot WHERE account_id = NEW.account_id) THEN
                        RETURN NEW;  -- it meets the row that is there: refused, or turned into an update of that
                    END IF;
                    IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
                        RAISE EXCEPTION 'ledger_snapshot: taken at an isolation level that hides other entries'
                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
                    END IF;
                    -- First the horizon, then the sum: a statement each, so that the sum sees all that lies below.
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
