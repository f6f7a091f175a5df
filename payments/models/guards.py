"""Database guards of payments, deposits, fees and provider calls."""

from __future__ import annotations

import pgtrigger
from django.db import models

from core.db import ROWS, Guard


class FiguresMatchDeposits(Guard):
    """A payment's amount received, fee and IVA equal the sums over its credited deposits.

    ``payment`` is the SQL of the payment's id in the changed row. Deferred, because deposit and payment may change in
    either order.
    """

    def __init__(
        self, *judges: str, payment: str, operation: pgtrigger.Operation, condition: pgtrigger.Condition
    ) -> None:
        self.payment = payment
        super().__init__(
            name="figures_match",
            when=pgtrigger.After,
            operation=operation,
            timing=pgtrigger.Deferred,
            condition=condition,
            by_index=True,
            judges=dict.fromkeys(judges, "is the sum over the credited deposits"),
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
                RAISE EXCEPTION 'payments_payment: amounts differ from those of its credited deposits'
                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
            END IF;
            RETURN NULL;
        """  # noqa: S608


class DepositIsBooked(Guard):
    """A deposit has the ledger posting of its state: credited at once (to a payment or as a top-up), in suspense,
    credited from suspense, or taken out of suspense as the return of a payout.
    """

    def __init__(self) -> None:
        super().__init__(
            name="in_books",
            when=pgtrigger.After,
            operation=pgtrigger.Insert | pgtrigger.UpdateOf("status"),
            timing=pgtrigger.Deferred,
            by_index=True,
            judges={"status": "has its posting in the ledger"},
        )

    def get_func(self, model: type[models.Model]) -> str:
        return """
            IF NEW.status = 'matched' THEN
                IF NOT EXISTS (
                    SELECT 1 FROM public.payments_reviewcase c
                    JOIN public.payments_payout p ON p.id = c.payout_id
                    WHERE c.deposit_id = NEW.id AND c.status = 'matched' AND p.amount = NEW.amount
                        AND p.returned_at IS NOT NULL
                        AND NEW.amount = (
                            SELECT sum(e.amount) FROM public.ledger_transaction t
                            JOIN public.ledger_entry e ON e.transaction_id = t.id
                            JOIN public.ledger_account a ON a.id = e.account_id AND a.purpose = 'suspense'
                            WHERE NOT EXISTS (SELECT 1 FROM public.ledger_transaction u WHERE u.reverses_id = t.id)
                                AND ((t.source = NEW.public_id AND t.kind = 'return_cleared')
                                OR (t.kind LIKE '%\\_returned' AND t.source IN (
                                    SELECT p.public_id UNION ALL SELECT r.public_id
                                    FROM public.payments_payoutresolution r
                                    WHERE r.payout_id = p.id AND r.decision = 'not_returned' AND r.status = 'applied'
                                )))
                        )
                ) THEN
                    RAISE EXCEPTION 'payments_deposit: % is matched, without a returned payout and its posting',
                        NEW.public_id USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
                END IF;
            ELSIF TG_OP = 'UPDATE' AND NEW.status = 'suspended' THEN
                IF NOT EXISTS (
                    SELECT 1 FROM public.payments_reviewcase WHERE deposit_id = NEW.id AND status = 'open'
                ) THEN
                    RAISE EXCEPTION 'payments_deposit: % is in suspense again, and its case is not open',
                        NEW.public_id USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
                END IF;
            ELSIF NOT EXISTS (
                SELECT 1 FROM public.ledger_transaction WHERE source = NEW.public_id AND kind IN (
                    CASE WHEN TG_OP = 'UPDATE' THEN 'suspense_assigned'
                        WHEN NEW.status = 'suspended' THEN 'deposit_suspended'
                        WHEN NEW.purpose = 'funding' THEN 'merchant_top_up' ELSE 'spei_deposit' END,
                    CASE WHEN TG_OP = 'INSERT' AND NEW.status = 'credited' AND NEW.purpose = 'payment'
                        THEN 'oxxo_paid' END
                )
            ) THEN
                RAISE EXCEPTION 'payments_deposit: % is %, without its ledger posting', NEW.public_id, NEW.status
                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
            END IF;
            RETURN NULL;
        """


class FundingMatchesClabe(Guard):
    """A deposit is a top-up if and only if its CLABE is a merchant's funding CLABE."""

    def __init__(self) -> None:
        super().__init__(
            name="funding_matches",
            when=pgtrigger.Before,
            operation=pgtrigger.Insert | pgtrigger.UpdateOf("purpose", "reusable_clabe_id"),
            condition=pgtrigger.Condition("(NEW.purpose = 'funding' OR NEW.reusable_clabe_id IS NOT NULL)"),
            judges={"purpose": "funding if and only if the CLABE is a funding CLABE"},
        )

    def get_func(self, model: type[models.Model]) -> str:
        return """
            IF (NEW.purpose = 'funding') <> EXISTS (
                SELECT 1 FROM public.payments_clabe WHERE id = NEW.reusable_clabe_id AND purpose = 'funding'
            ) THEN
                RAISE EXCEPTION 'payments_deposit: its purpose differs from that of its CLABE'
                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
            END IF;
            RETURN NEW;
        """


class FeesEndAndBegin(Guard):
    """A fee that has begun or was applied to a payment never changes and is never deleted; only its end can be set.

    The end is today or later. Days are those of the database's clock in Mexico City.
    """

    def __init__(self) -> None:
        planned = "never changes once the period has begun or a payment was made in it"
        super().__init__(
            name="ends_and_begins",
            when=pgtrigger.Before,
            operation=pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete,
            by_index=True,
            declare=[
                ("today", "date := (pg_catalog.clock_timestamp() AT TIME ZONE 'America/Mexico_City')::date"),
                ("begun", "boolean := true"),
            ],
            judges=dict.fromkeys(("merchant", "method", "percent", "fixed"), planned)
            | {
                "valid_from": f"today or later; {planned}",
                "valid_until": "today or later, and not before a payment with this fee; never changes once it is past",
                ROWS: "are deleted only before the period begins, and only if no payment was made in it",
            },
        )

    def get_func(self, model: type[models.Model]) -> str:
        return """
            IF TG_OP = 'INSERT' OR OLD.valid_from > today THEN
                begun := TG_OP <> 'INSERT' AND (EXISTS (
                    SELECT 1 FROM public.payments_payment WHERE merchant_id = OLD.merchant_id AND method = OLD.method
                        AND created_at >= OLD.valid_from::timestamp AT TIME ZONE 'America/Mexico_City'
                ) OR (OLD.method = 'payout' AND EXISTS (
                    SELECT 1 FROM public.payments_payout WHERE merchant_id = OLD.merchant_id
                        AND created_at >= OLD.valid_from::timestamp AT TIME ZONE 'America/Mexico_City'
                )));
            END IF;
            IF TG_OP = 'DELETE' THEN
                IF begun THEN
                    RAISE EXCEPTION 'payments_feerule: a fee that has begun or was used cannot be deleted'
                        USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
                END IF;
                RETURN OLD;
            END IF;
            IF NOT begun THEN
                IF NEW.valid_from < today THEN
                    RAISE EXCEPTION 'payments_feerule: a fee must begin today or later'
                        USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
                END IF;
                RETURN NEW;
            END IF;
            IF (NEW.merchant_id, NEW.method, NEW.percent, NEW.fixed, NEW.valid_from)
                    IS DISTINCT FROM (OLD.merchant_id, OLD.method, OLD.percent, OLD.fixed, OLD.valid_from) THEN
                RAISE EXCEPTION 'payments_feerule: a fee that has begun or was used cannot change, only end'
                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
            END IF;
            IF NEW.valid_until IS DISTINCT FROM OLD.valid_until AND (
                OLD.valid_until < today OR NEW.valid_until < today OR EXISTS (
                    SELECT 1 FROM public.payments_payment WHERE merchant_id = OLD.merchant_id AND method = OLD.method
                        AND created_at >= (NEW.valid_until + 1)::timestamp AT TIME ZONE 'America/Mexico_City'
                        AND created_at < (coalesce(OLD.valid_until, date '9999-01-01') + 1)::timestamp
                            AT TIME ZONE 'America/Mexico_City'
                ) OR (OLD.method = 'payout' AND EXISTS (
                    SELECT 1 FROM public.payments_payout WHERE merchant_id = OLD.merchant_id
                        AND created_at >= (NEW.valid_until + 1)::timestamp AT TIME ZONE 'America/Mexico_City'
                        AND created_at < (coalesce(OLD.valid_until, date '9999-01-01') + 1)::timestamp
                            AT TIME ZONE 'America/Mexico_City'
                ))
            ) THEN
                RAISE EXCEPTION 'payments_feerule: a fee must end today or later, after its last payment, and only once'
                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
            END IF;
            RETURN NEW;
        """


class SuspenseHasCase(Guard):
    """Money in suspense has a review case."""

    def __init__(self) -> None:
        super().__init__(
            name="has_case",
            when=pgtrigger.After,
            operation=pgtrigger.Insert,
            timing=pgtrigger.Deferred,
            condition=pgtrigger.Condition("NEW.status = 'suspended'"),
            by_index=True,
            judges={"status": "in suspense: has a review case"},
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
    """A review case is open if and only if its deposit is in suspense, and matched if and only if that one is."""

    def __init__(self) -> None:
        super().__init__(
            name="resolved_is_credited",
            when=pgtrigger.After,
            operation=pgtrigger.Insert | pgtrigger.Update,
            timing=pgtrigger.Deferred,
            by_index=True,
            judges={"status": "open if and only if its deposit is in suspense, matched if and only if that one is"},
        )

    def get_func(self, model: type[models.Model]) -> str:
        return """
            IF EXISTS (
                SELECT 1 FROM public.payments_reviewcase c JOIN public.payments_deposit d ON d.id = c.deposit_id
                WHERE c.id = NEW.id AND (
                    (c.status IN ('to_match', 'open')) <> (d.status = 'suspended')
                    OR (c.status = 'matched') <> (d.status = 'matched')
                )
            ) THEN
                RAISE EXCEPTION 'payments_reviewcase: it is open if and only if its deposit is in suspense'
                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
            END IF;
            RETURN NULL;
        """


class UndoneByTwoPeople(Guard):
    """A match is undone only by an applied resolution of its payout, and with the reversal of its posting."""

    def __init__(self) -> None:
        super().__init__(
            name="undone_by_two",
            when=pgtrigger.After,
            operation=pgtrigger.UpdateOf("status"),
            timing=pgtrigger.Deferred,
            condition=pgtrigger.Condition("(OLD.status = 'matched' AND NEW.status <> 'matched')"),
            by_index=True,
            judges={"status": "from matched to open: two people found that it was not the payout's return"},
        )

    def get_func(self, model: type[models.Model]) -> str:
        return """
            IF NOT EXISTS (
                SELECT 1 FROM public.payments_payoutresolution r
                JOIN public.ledger_transaction u ON u.source = r.public_id AND u.kind = 'reversal'
                JOIN public.payments_payout p ON p.id = r.payout_id AND p.status = 'completed'
                WHERE r.payout_id = OLD.payout_id AND r.decision = 'not_returned' AND r.status = 'applied'
            ) THEN
                RAISE EXCEPTION 'payments_reviewcase: % is not matched any more, and two people did not undo it',
                    NEW.public_id USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
            END IF;
            RETURN NULL;
        """


class FilledOnce(Guard):
    """A row is inserted without ``outcome``; a single UPDATE fills it and its companions, and any other is refused.

    ``outcome`` is a text column whose empty value means "not filled yet".
    """

    def __init__(self, outcome: str, *companions: str) -> None:
        self.outcome = outcome
        self.companions = companions
        super().__init__(
            name="filled_once",
            when=pgtrigger.Before,
            operation=pgtrigger.Insert | pgtrigger.Update,
            judges=dict.fromkeys((outcome, *companions), f"is filled in once, together with {outcome}"),
        )

    def decides(self, model: type[models.Model]) -> dict[str, str]:
        kept = {field.name: "never changes" for field in model._meta.concrete_fields}
        return {**kept, **self.judges}

    def get_func(self, model: type[models.Model]) -> str:
        filled = {self.outcome, *self.companions}
        kept = [field.column for field in model._meta.concrete_fields if field.column not in filled]
        new, old = (", ".join(f"{row}.{column}" for column in kept) for row in ("NEW", "OLD"))
        table = model._meta.db_table
        return f"""
            IF TG_OP = 'INSERT' THEN
                IF NEW.{self.outcome} <> '' THEN
                    RAISE EXCEPTION '{table}: {self.outcome} must be empty in a new row'
                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
                END IF;
            ELSIF OLD.{self.outcome} <> '' OR NEW.{self.outcome} = '' OR ({new}) IS DISTINCT FROM ({old}) THEN
                RAISE EXCEPTION '{table}: {self.outcome} is filled in once, and no other column changes'
                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
            END IF;
            RETURN NEW;
        """


class ApprovedBySecondPerson(Guard):
    """A payout that waits for approval goes on only with an approval that was granted."""

    def __init__(self) -> None:
        super().__init__(
            name="approved",
            when=pgtrigger.After,
            operation=pgtrigger.UpdateOf("status"),
            timing=pgtrigger.Deferred,
            condition=pgtrigger.Condition("(OLD.status = 'pending_approval' AND NEW.status = 'pending')"),
            by_index=True,
            judges={"status": "from pending_approval to pending: a second person approved"},
        )

    def get_func(self, model: type[models.Model]) -> str:
        return """
            IF NOT EXISTS (
                SELECT 1 FROM public.staff_approval a
                WHERE a.subject = NEW.public_id AND a.kind = 'payments.payout' AND a.status = 'approved'
                    AND public.staff_approved(a.id)
            ) THEN
                RAISE EXCEPTION 'payments_payout: % was not approved', NEW.public_id
                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
            END IF;
            RETURN NULL;
        """


class PayoutIsBooked(Guard):
    """The books say what a payout's state says: its hold is open, captured or released, a late settlement is posted.

    A settlement that losses paid (``excess_settled``) may have released the hold instead.

    Deferred: payout and hold change in one transaction.
    """

    def __init__(self) -> None:
        super().__init__(
            name="in_books",
            when=pgtrigger.After,
            operation=pgtrigger.Insert | pgtrigger.UpdateOf("status"),
            timing=pgtrigger.Deferred,
            by_index=True,
            declare=[
                ("p", "public.payments_payout"),
                ("held", "record"),
                ("late", "boolean"),
                ("excess", "boolean"),
                ("back", "boolean"),
            ],
            judges={"status": "agrees with its hold and postings in the ledger"},
        )

    def get_func(self, model: type[models.Model]) -> str:
        return """
            SELECT * INTO p FROM public.payments_payout WHERE id = NEW.id;  -- as it is when the transaction ends
            SELECT status, amount, merchant_id INTO held FROM public.ledger_hold WHERE source = p.public_id;
            late := EXISTS (
                SELECT 1 FROM public.ledger_transaction WHERE source = p.public_id AND kind LIKE '%settled_late'
            );
            excess := EXISTS (
                SELECT 1 FROM public.ledger_transaction WHERE source = p.public_id AND kind = 'excess_settled'
            );
            back := EXISTS (
                SELECT 1 FROM public.ledger_transaction t WHERE t.kind LIKE '%\\_returned' AND t.source IN (
                    SELECT p.public_id UNION ALL SELECT r.public_id FROM public.payments_payoutresolution r
                    WHERE r.payout_id = p.id AND r.decision = 'not_returned' AND r.status = 'applied'
                ) AND NOT EXISTS (SELECT 1 FROM public.ledger_transaction u WHERE u.reverses_id = t.id)
            );
            IF held IS NULL OR held.amount <> p.amount + p.fee + p.fee_tax OR held.merchant_id <> p.merchant_id
                OR held.status <> (CASE
                    WHEN p.status IN ('pending_approval', 'pending', 'processing') THEN 'open'
                    WHEN p.status IN ('completed', 'returned') AND NOT late
                        AND NOT (excess AND held.status = 'released') THEN 'captured'
                    ELSE 'released'
                END)
                OR ((late OR excess) AND p.status NOT IN ('completed', 'returned'))
                OR (p.status = 'returned' AND NOT back)
                OR (p.status = 'completed' AND TG_OP = 'UPDATE' AND OLD.status = 'returned' AND back)
            THEN
                RAISE EXCEPTION 'payments_payout: % is %, and the books do not say so', p.public_id, p.status
                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;
            END IF;
            RETURN NULL;
        """
