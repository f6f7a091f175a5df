"""An adjustment in the books was approved by staff's rule, which is not repeated here."""

import core.db
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('staff', '0006_approvals_of_any_kind'),
        ('ledger', '0014_plain_messages'),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name='transaction',
            name='approved',
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='transaction',
            trigger=pgtrigger.compiler.Trigger(name='approved', sql=core.db.IndexGuardSql(condition="WHEN (NEW.kind = 'adjustment' OR NEW.source LIKE 'adj%')", constraint='CONSTRAINT', func='\n                    PERFORM 1 FROM public.ledger_transaction t WHERE t.id = NEW.id AND \n    EXISTS (\n        SELECT 1 FROM public.ledger_adjustment j\n        JOIN public.staff_approval a\n            ON a.subject = j.public_id AND a.kind = \'ledger.adjustment\' AND a.maker_id = j.maker_id\n        WHERE j.public_id = t.source AND j.status = \'posted\' AND j.livemode = t.livemode\n            AND public.staff_approved(a.id)\n            AND t.kind = CASE WHEN j.reverses_id IS NULL THEN \'adjustment\' ELSE \'reversal\' END\n            AND j.reverses_id IS NOT DISTINCT FROM t.reverses_id\n            AND j.legs = (\n                SELECT jsonb_agg(\n                    jsonb_build_object(\'account\', c.code, \'amount\', e.amount) ORDER BY e.amount < 0, c.code COLLATE "C"\n                )\n                FROM public.ledger_entry e JOIN public.ledger_account c ON c.id = e.account_id\n                WHERE e.transaction_id = t.id\n            )\n    )\n;\n                    IF NOT FOUND THEN\n                        RAISE EXCEPTION \'ledger: % is not what a second person approved\', NEW.public_id\n                            USING ERRCODE = \'check_violation\', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RETURN NULL;\n                ', hash='d24aa6addd7126617383f5cf287c0836ef2262fc', operation='INSERT', pgid='pgtrigger_approved_94fca', table='ledger_transaction', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
    ]
