"""What the database refuses about payments and their deposits beyond single rows; checked when a transaction ends."""

from __future__ import annotations

import pgtrigger
from django.db import models

from core.db import Guard


class FiguresMatchDeposits(Guard):
    """A payment's amount received, fee and IVA are those of the deposits credited to it.

    ``payment`` is the SQL of the payment's id in the row that changed. Deferred: deposit and payment change one after
    the other, in either order.
    """

    def __init__(self, *, payment: str, operation: pgtrigger.Operation, condition: pgtrigger.Condition) -> None:
        self.payment = payment
        super().__init__(
            name="figures_match",
            when=pgtrigger.After,
            operation=operation,
            timing=pgtrigger.Deferred,
            condition=condition,
            by_index=True,
        )

    def get_func(self, model: type[models.Model]) -> str:
        return f"""
            IF EXISTS (
                SELECT 1 FROM public.payments_payment p CROSS JOIN LATERAL (
                    SELECT coalesce(sum(amount), 0) AS amount, coalesce(sum(fee), 0) AS fee,
                        coalesce(sum(fee_tax), 0) AS fee_tax
                    FROM public.payments_deposit WHERE payment_id = p.id AND status = 'credited'
                ) d
                WHERE p.id = {self.payment}
                    AND (p.amount_received, p.fee, p.fee_tax) IS DISTINCT FROM (d.amount, d.fee, d.fee_tax)
            ) THEN
                RAISE EXCEPTION 'payments_payment: its figures are not those of its credited deposits'
                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
            END IF;
            RETURN NULL;
        """  # noqa: S608


class SuspenseHasCase(Guard):
    """Money in suspense has a review case: nobody could find it otherwise."""

    def __init__(self) -> None:
        super().__init__(
            name="has_case",
            when=pgtrigger.After,
            operation=pgtrigger.Insert,
            timing=pgtrigger.Deferred,
            condition=pgtrigger.Condition("NEW.status = 'suspended'"),
            by_index=True,
        )

    def get_func(self, model: type[models.Model]) -> str:
        return """
            IF NOT EXISTS (SELECT 1 FROM public.payments_reviewcase WHERE deposit_id = NEW.id) THEN
                RAISE EXCEPTION 'payments_deposit: money in suspense needs a review case'
                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
            END IF;
            RETURN NULL;
        """


class ResolvedIsCredited(Guard):
    """A review case is resolved only together with its deposit."""

    def __init__(self) -> None:
        super().__init__(
            name="resolved_is_credited",
            when=pgtrigger.After,
            operation=pgtrigger.Insert | pgtrigger.Update,
            timing=pgtrigger.Deferred,
            by_index=True,
        )

    def get_func(self, model: type[models.Model]) -> str:
        return """
            IF EXISTS (
                SELECT 1 FROM public.payments_reviewcase c JOIN public.payments_deposit d ON d.id = c.deposit_id
                WHERE c.id = NEW.id AND (c.status = 'open') <> (d.status = 'suspended')
            ) THEN
                RAISE EXCEPTION 'payments_reviewcase: it is open exactly as long as its deposit is in suspense'
                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
            END IF;
            RETURN NULL;
        """
