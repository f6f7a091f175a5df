"""Database guards of refunds: whom they pay, what their attempts say, and the amounts of their deposit and payment."""

from __future__ import annotations

from collections.abc import Mapping

import pgtrigger
from django.db import models

from core.db import Guard
from core.guards import OnlyIf

AMOUNTS = ("amount_refunded", "refund_reserved", "amount_over_refunded")
"""Columns of a deposit and of a payment that follow from refunds."""

_OF_REFUNDS = """
    coalesce(sum(amount) FILTER (WHERE status = 'completed'), 0) AS refunded,
    coalesce(sum(amount) FILTER (WHERE status IN ('pending', 'processing')), 0) AS reserved
    FROM public.payments_refund
"""


def _deposit_differs(deposit: str) -> str:
    return f"""EXISTS (
                SELECT 1 FROM public.payments_deposit d
                CROSS JOIN LATERAL (SELECT {_OF_REFUNDS} WHERE deposit_id = d.id) r
                WHERE d.id = {deposit} AND (d.amount_refunded, d.refund_reserved, d.amount_over_refunded)
                    IS DISTINCT FROM (r.refunded, r.reserved, greatest(0, r.refunded + r.reserved - d.amount))
            )"""  # noqa: S608 - constants only


def _payment_differs(payment: str) -> str:
    return f"""EXISTS (
                SELECT 1 FROM public.payments_payment p
                CROSS JOIN LATERAL (SELECT {_OF_REFUNDS} WHERE payment_id = p.id) r
                CROSS JOIN LATERAL (
                    SELECT coalesce(sum(amount_over_refunded), 0) AS excess
                    FROM public.payments_deposit WHERE payment_id = p.id
                ) d
                WHERE p.id = {payment} AND (
                    (p.amount_refunded, p.refund_reserved, p.amount_over_refunded)
                        IS DISTINCT FROM (r.refunded, r.reserved, d.excess)
                    OR (p.status = 'reversed' AND NOT EXISTS (
                        SELECT 1 FROM public.payments_refund
                        WHERE payment_id = p.id AND origin = 'provider' AND status = 'completed'
                    ))
                )
            )"""  # noqa: S608 - constants only


class RefundsStandBehind(Guard):
    """The refunded and reserved amounts of a payment or deposit are the sums over its refunds.

    A reversed payment has a completed refund of the provider. Because of the WHEN clause, completing a payment does not
    call the function.
    """

    def __init__(self) -> None:
        super().__init__(
            name="refunds_behind",
            when=pgtrigger.After,
            operation=pgtrigger.UpdateOf(*AMOUNTS, "status"),
            timing=pgtrigger.Deferred,
            by_index=True,
            judges={
                "amount_refunded": "is the sum of completed refunds",
                "refund_reserved": "is the sum of open refunds",
                "amount_over_refunded": "is what both exceed the money received by",
            },
        )

    def decides(self, model: type[models.Model]) -> Mapping[str, str]:
        reversed_ = {"status": "reversed: has a refund of the provider"}
        return {**self.judges, **(reversed_ if model._meta.model_name == "payment" else {})}

    def get_condition(self, model: type[models.Model]) -> pgtrigger.Condition:
        new, old = (", ".join(f"{row}.{column}" for column in AMOUNTS) for row in ("NEW", "OLD"))
        reversed_ = " OR (NEW.status = 'reversed' AND OLD.status <> NEW.status)"
        return pgtrigger.Condition(
            f"(({new}) IS DISTINCT FROM ({old}){reversed_ if model._meta.model_name == 'payment' else ''})"
        )

    def get_func(self, model: type[models.Model]) -> str:
        differs = _payment_differs if model._meta.model_name == "payment" else _deposit_differs
        return f"""
            IF {differs("NEW.id")} THEN
                RAISE EXCEPTION '{model._meta.db_table}: no refund for % refunded, % reserved and status %',
                    NEW.amount_refunded, NEW.refund_reserved, NEW.status
                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
            END IF;
            RETURN NULL;
        """


class OverRefundedBySettlement(OnlyIf):
    """Only money that was sent, never a new refund, makes the refunds exceed the money received."""

    def __init__(self) -> None:
        super().__init__(
            "over_refunded",
            "NEW.amount_over_refunded < OLD.amount_over_refunded OR NEW.amount_refunded > OLD.amount_refunded",
            "amount_over_refunded",
            says="rises only with amount_refunded",
        )


_STATE_OF_ATTEMPTS = """
            SELECT CASE
                WHEN bool_or(status = 'completed') THEN 'completed'
                WHEN bool_or(status = 'processing') THEN 'processing'
                WHEN bool_or(status IN ('pending_approval', 'pending')) THEN 'pending'
                ELSE coalesce((array_agg(
                    CASE WHEN status = 'returned' THEN 'returned' ELSE 'failed' END ORDER BY id DESC
                ) FILTER (WHERE status <> 'cancelled'))[1], 'cancelled')
            END INTO due FROM public.payments_payout WHERE refund_id = {refund};
            SELECT * INTO found FROM public.payments_refund WHERE id = {refund};
            IF due <> found.status THEN
                RAISE EXCEPTION 'payments_refund: % is %, and its attempts make it %',
                    found.public_id, found.status, due USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
            END IF;
"""
_DECLARED = [("due", "text"), ("found", "public.payments_refund")]


class FollowsAttempts(Guard):
    """A refund's state is that of its attempts, and its deposit and payment count it."""

    def __init__(self) -> None:
        super().__init__(
            name="follows_attempts",
            when=pgtrigger.After,
            operation=pgtrigger.Insert | pgtrigger.UpdateOf("status"),
            timing=pgtrigger.Deferred,
            by_index=True,
            declare=_DECLARED,
            judges={"status": "follows from its attempts; its deposit and payment count it"},
        )

    def get_func(self, model: type[models.Model]) -> str:
        return f"""{_STATE_OF_ATTEMPTS.format(refund="NEW.id")}
            IF {_deposit_differs("NEW.deposit_id")} OR {_payment_differs("NEW.payment_id")} THEN
                RAISE EXCEPTION 'payments_refund: % is %, and its deposit or payment does not count it so',
                    found.public_id, found.status USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
            END IF;
            RETURN NULL;
        """


class RefundFollows(Guard):
    """An attempt does not change without its refund."""

    def __init__(self) -> None:
        super().__init__(
            name="refund_follows",
            when=pgtrigger.After,
            operation=pgtrigger.Insert | pgtrigger.UpdateOf("status"),
            timing=pgtrigger.Deferred,
            condition=pgtrigger.Condition("(NEW.refund_id IS NOT NULL)"),
            by_index=True,
            declare=_DECLARED,
            judges={"status": "its refund follows it"},
        )

    def get_func(self, model: type[models.Model]) -> str:
        return f"""{_STATE_OF_ATTEMPTS.format(refund="NEW.refund_id")}
            RETURN NULL;
        """


class PaysItsRefund(Guard):
    """An attempt pays what its refund says, and to another account than the payer's only with a second person."""

    def __init__(self) -> None:
        super().__init__(
            name="pays_its_refund",
            when=pgtrigger.Before,
            operation=pgtrigger.Insert,
            condition=pgtrigger.Condition("(NEW.refund_id IS NOT NULL)"),
            judges={"status": "an attempt of a refund to another account than the payer's begins as pending_approval"},
        )

    def get_func(self, model: type[models.Model]) -> str:
        return """
            IF NOT EXISTS (
                SELECT 1 FROM public.payments_refund r WHERE r.id = NEW.refund_id
                    AND (r.merchant_id, r.amount, r.currency, r.destination_clabe)
                        = (NEW.merchant_id, NEW.amount, NEW.currency, NEW.destination_clabe)
                    AND NEW.fee = 0 AND NEW.fee_tax = 0
                    AND (r.to_payer OR NEW.status = 'pending_approval')
            ) THEN
                RAISE EXCEPTION 'payments_payout: % is not what its refund says', NEW.public_id
                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
            END IF;
            RETURN NEW;
        """


class CancelledUnsent(Guard):
    """A payout in ``processing`` is cancelled only if every call that sent it provably had no effect."""

    def __init__(self) -> None:
        super().__init__(
            name="cancelled_unsent",
            when=pgtrigger.Before,
            operation=pgtrigger.UpdateOf("status"),
            condition=pgtrigger.Condition("(OLD.status = 'processing' AND NEW.status = 'cancelled')"),
            by_index=True,
            judges={"status": "from processing to cancelled: no call may have sent it"},
        )

    def get_func(self, model: type[models.Model]) -> str:
        return """
            IF EXISTS (
                SELECT 1 FROM public.payments_providercall
                WHERE object_id = NEW.public_id AND operation = 'send_payout' AND outcome <> 'not_sent'
            ) THEN
                RAISE EXCEPTION 'payments_payout: % may have been sent', NEW.public_id
                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
            END IF;
            RETURN NEW;
        """


class RefundsItsDeposit(Guard):
    """A refund is of a credited deposit of its payment and merchant, or of a top-up of its merchant."""

    def __init__(self) -> None:
        super().__init__(
            name="of_its_deposit", when=pgtrigger.Before, operation=pgtrigger.Insert, by_index=True, judges={}
        )

    def get_func(self, model: type[models.Model]) -> str:
        return """
            IF NOT EXISTS (
                SELECT 1 FROM public.payments_deposit d
                LEFT JOIN public.payments_payment p ON p.id = d.payment_id
                LEFT JOIN public.payments_clabe c ON c.id = d.reusable_clabe_id
                WHERE d.id = NEW.deposit_id AND d.status = 'credited'
                    AND d.payment_id IS NOT DISTINCT FROM NEW.payment_id
                    AND NEW.merchant_id = coalesce(p.merchant_id, c.merchant_id)
                    AND (NOT NEW.to_payer OR NEW.destination_clabe = d.payer_account)
            ) THEN
                RAISE EXCEPTION 'payments_refund: its deposit is not a credited one of its payment and merchant'
                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
            END IF;
            RETURN NEW;
        """
