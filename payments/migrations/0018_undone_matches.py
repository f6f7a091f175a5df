"""Two people may undo the match of a returned transfer to a payout."""

import core.db
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("payments", "0017_listed_before_decided_check")]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name='deposit',
            name='status_guard',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='deposit',
            name='in_books',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='payout',
            name='returned_once',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='payout',
            name='status_guard',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='payout',
            name='in_books',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='reviewcase',
            name='status_guard',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='reviewcase',
            name='with_credited_assigned_matched',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='reviewcase',
            name='with_matched',
        ),
        migrations.RemoveConstraint(
            model_name='payoutresolution',
            name='payout_resolution_moment_if_moved',
        ),
        migrations.AlterField(
            model_name='payoutresolution',
            name='decision',
            field=models.CharField(choices=[('never_left', 'it never left'), ('settled', 'it was settled'), ('returned', 'it came back'), ('not_returned', 'the matched transfer was not its return'), ('seen', 'seen, nothing to do')], max_length=16, verbose_name='decision'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='deposit',
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('credited', 'suspended') THEN\n                    RAISE EXCEPTION 'payments_deposit: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('matched', 'suspended'), ('received', 'credited'), ('received', 'suspended'), ('suspended', 'credited'), ('suspended', 'matched')) THEN\n                RAISE EXCEPTION 'payments_deposit: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='c5995735246ca24477db1e0d4a7ddbef199d6cfc', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_status_guard_178db', table='payments_deposit', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='deposit',
            trigger=pgtrigger.compiler.Trigger(name='in_books', sql=core.db.IndexGuardSql(constraint='CONSTRAINT', func="\n            IF NEW.status = 'matched' THEN\n                IF NOT EXISTS (\n                    SELECT 1 FROM public.payments_reviewcase c\n                    JOIN public.payments_payout p ON p.id = c.payout_id\n                    WHERE c.deposit_id = NEW.id AND c.status = 'matched' AND p.amount = NEW.amount\n                        AND p.returned_at IS NOT NULL\n                        AND NEW.amount = (\n                            SELECT sum(e.amount) FROM public.ledger_transaction t\n                            JOIN public.ledger_entry e ON e.transaction_id = t.id\n                            JOIN public.ledger_account a ON a.id = e.account_id AND a.purpose = 'suspense'\n                            WHERE NOT EXISTS (SELECT 1 FROM public.ledger_transaction u WHERE u.reverses_id = t.id)\n                                AND ((t.source = NEW.public_id AND t.kind = 'return_cleared')\n                                OR (t.kind LIKE '%\\_returned' AND t.source IN (\n                                    SELECT p.public_id UNION ALL SELECT r.public_id\n                                    FROM public.payments_payoutresolution r\n                                    WHERE r.payout_id = p.id AND r.decision = 'not_returned' AND r.status = 'applied'\n                                )))\n                        )\n                ) THEN\n                    RAISE EXCEPTION 'payments_deposit: % is matched, without a returned payout and its posting',\n                        NEW.public_id USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF TG_OP = 'UPDATE' AND NEW.status = 'suspended' THEN\n                IF NOT EXISTS (\n                    SELECT 1 FROM public.payments_reviewcase WHERE deposit_id = NEW.id AND status = 'open'\n                ) THEN\n                    RAISE EXCEPTION 'payments_deposit: % is in suspense again, and its case is not open',\n                        NEW.public_id USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NOT EXISTS (\n                SELECT 1 FROM public.ledger_transaction WHERE source = NEW.public_id AND kind IN (\n                    CASE WHEN TG_OP = 'UPDATE' THEN 'suspense_assigned'\n                        WHEN NEW.status = 'suspended' THEN 'deposit_suspended'\n                        WHEN NEW.purpose = 'funding' THEN 'merchant_top_up' ELSE 'spei_deposit' END,\n                    CASE WHEN TG_OP = 'INSERT' AND NEW.status = 'credited' AND NEW.purpose = 'payment'\n                        THEN 'oxxo_paid' END\n                )\n            ) THEN\n                RAISE EXCEPTION 'payments_deposit: % is %, without its ledger posting', NEW.public_id, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='c2c5352d3944e2ffd9806a3415b8d629498adebb', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_in_books_43823', table='payments_deposit', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payout',
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('pending_approval', 'pending') THEN\n                    RAISE EXCEPTION 'payments_payout: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('cancelled', 'completed'), ('completed', 'returned'), ('failed', 'completed'), ('pending', 'cancelled'), ('pending', 'processing'), ('pending_approval', 'cancelled'), ('pending_approval', 'pending'), ('pending_approval', 'rejected'), ('processing', 'cancelled'), ('processing', 'completed'), ('processing', 'failed'), ('returned', 'completed')) THEN\n                RAISE EXCEPTION 'payments_payout: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='d98a0e82d94e9a0bf77649a2737d093f0832c8a2', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_status_guard_00ac7', table='payments_payout', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payout',
            trigger=pgtrigger.compiler.Trigger(name='returned_once', sql=core.db.GuardSql(func="\n            IF (OLD.returned_at IS NOT NULL AND NOT (OLD.status = 'returned' AND NEW.status = 'completed')) AND (NEW.returned_at, NEW.return_cause, NEW.return_tracking_key) IS DISTINCT FROM (OLD.returned_at, OLD.return_cause, OLD.return_tracking_key) THEN\n                RAISE EXCEPTION 'payments_payout: returned_at, return_cause, return_tracking_key cannot change any more'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='81d5ca3b55622c1797ad572aaf1e8d913c387945', operation='UPDATE OF "returned_at", "return_cause", "return_tracking_key"', pgid='pgtrigger_returned_once_858f7', table='payments_payout', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='payout',
            trigger=pgtrigger.compiler.Trigger(name='in_books', sql=core.db.IndexGuardSql(constraint='CONSTRAINT', declare='DECLARE p public.payments_payout; held record; late boolean; excess boolean; back boolean;', func="\n            SELECT * INTO p FROM public.payments_payout WHERE id = NEW.id;  -- as it is when the transaction ends\n            SELECT status, amount, merchant_id INTO held FROM public.ledger_hold WHERE source = p.public_id;\n            late := EXISTS (\n                SELECT 1 FROM public.ledger_transaction WHERE source = p.public_id AND kind LIKE '%settled_late'\n            );\n            excess := EXISTS (\n                SELECT 1 FROM public.ledger_transaction WHERE source = p.public_id AND kind = 'excess_settled'\n            );\n            back := EXISTS (\n                SELECT 1 FROM public.ledger_transaction t WHERE t.kind LIKE '%\\_returned' AND t.source IN (\n                    SELECT p.public_id UNION ALL SELECT r.public_id FROM public.payments_payoutresolution r\n                    WHERE r.payout_id = p.id AND r.decision = 'not_returned' AND r.status = 'applied'\n                ) AND NOT EXISTS (SELECT 1 FROM public.ledger_transaction u WHERE u.reverses_id = t.id)\n            );\n            IF held IS NULL OR held.amount <> p.amount + p.fee + p.fee_tax OR held.merchant_id <> p.merchant_id\n                OR held.status <> (CASE\n                    WHEN p.status IN ('pending_approval', 'pending', 'processing') THEN 'open'\n                    WHEN p.status IN ('completed', 'returned') AND NOT late\n                        AND NOT (excess AND held.status = 'released') THEN 'captured'\n                    ELSE 'released'\n                END)\n                OR ((late OR excess) AND p.status NOT IN ('completed', 'returned'))\n                OR (p.status = 'returned' AND NOT back)\n                OR (p.status = 'completed' AND TG_OP = 'UPDATE' AND OLD.status = 'returned' AND back)\n            THEN\n                RAISE EXCEPTION 'payments_payout: % is %, and the books do not say so', p.public_id, p.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='98a01f7d2d342ce06f9844a6868931388f526666', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_in_books_41fa3', table='payments_payout', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reviewcase',
            trigger=pgtrigger.compiler.Trigger(name='status_guard', sql=core.db.GuardSql(func="\n            IF TG_OP = 'INSERT' THEN\n                IF NEW.status NOT IN ('to_match', 'open') THEN\n                    RAISE EXCEPTION 'payments_reviewcase: a row cannot begin as %', NEW.status\n                        USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                END IF;\n            ELSIF NEW.status IS DISTINCT FROM OLD.status\n                AND (OLD.status, NEW.status) NOT IN (('matched', 'open'), ('open', 'assigned'), ('open', 'credited'), ('open', 'matched'), ('to_match', 'matched'), ('to_match', 'open')) THEN\n                RAISE EXCEPTION 'payments_reviewcase: % cannot become %', OLD.status, NEW.status\n                    USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='d913f2ac539f4b07c6073e712c15656091cd0873', operation='INSERT OR UPDATE OF "status"', pgid='pgtrigger_status_guard_2be27', table='payments_reviewcase', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reviewcase',
            trigger=pgtrigger.compiler.Trigger(name='with_credited_assigned_matched_open', sql=core.db.GuardSql(condition="WHEN ((NEW.resolved_at) IS DISTINCT FROM (OLD.resolved_at) AND (NEW.status IN ('credited', 'assigned', 'matched', 'open') AND OLD.status <> NEW.status) IS NOT TRUE)", func="\n            RAISE EXCEPTION 'payments_reviewcase: resolved_at can only change in the step to credited or assigned or matched or open'\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='cf192cc5958ec5cfa01a085149d268386fc7360c', operation='UPDATE OF "resolved_at"', pgid='pgtrigger_with_credited_assigned_matched_open_0ebd2', table='payments_reviewcase', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reviewcase',
            trigger=pgtrigger.compiler.Trigger(name='with_matched_open', sql=core.db.GuardSql(condition="WHEN ((NEW.payout_id) IS DISTINCT FROM (OLD.payout_id) AND (NEW.status IN ('matched', 'open') AND OLD.status <> NEW.status) IS NOT TRUE)", func="\n            RAISE EXCEPTION 'payments_reviewcase: payout_id can only change in the step to matched or open'\n                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n        ", hash='697b05d5d2e86e7bef756324a4cf568de185c0ff', operation='UPDATE OF "payout_id"', pgid='pgtrigger_with_matched_open_46c04', table='payments_reviewcase', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='reviewcase',
            trigger=pgtrigger.compiler.Trigger(name='undone_by_two', sql=core.db.IndexGuardSql(condition="WHEN (OLD.status = 'matched' AND NEW.status <> 'matched')", constraint='CONSTRAINT', func="\n            IF NOT EXISTS (\n                SELECT 1 FROM public.payments_payoutresolution r\n                JOIN public.ledger_transaction u ON u.source = r.public_id AND u.kind = 'reversal'\n                JOIN public.payments_payout p ON p.id = r.payout_id AND p.status = 'completed'\n                WHERE r.payout_id = OLD.payout_id AND r.decision = 'not_returned' AND r.status = 'applied'\n            ) THEN\n                RAISE EXCEPTION 'payments_reviewcase: % is not matched any more, and two people did not undo it',\n                    NEW.public_id USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NULL;\n        ", hash='cb9109eab2de387c81d0a33c2628d999db22955e', operation='UPDATE OF "status"', pgid='pgtrigger_undone_by_two_1143f', table='payments_reviewcase', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
        AddConstraintNotValid(
            model_name='payoutresolution',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('decision__in', ['never_left', 'not_returned', 'seen']), ('happened_at', None)), models.Q(('decision__in', ['settled', 'returned']), ('happened_at__isnull', False)), _connector='OR'), name='payout_resolution_moment_if_moved'),
        ),
    ]
