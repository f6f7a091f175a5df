"""Reserved only by holds, snapshots that the database computes, adjustments that it wants approved.

Snapshots that exist count as checked: ``manage.py audit_ledger`` looks at them whole.
"""

import core.db
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('ledger', '0003_cheaper_guards'),
    ]

    operations = [
        migrations.AddField(
            model_name='snapshot',
            name='checked_position',
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='snapshot',
            name='checked_total',
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AlterField(
            model_name='hold',
            name='purpose',
            field=models.CharField(choices=[('payout', 'payout'), ('refund', 'refund'), ('return', 'return of a payment')], max_length=8, verbose_name='purpose'),
        ),
        migrations.RunSQL(
            "UPDATE ledger_snapshot SET checked_position = position, checked_total = total",
            migrations.RunSQL.noop,
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='snapshot',
            trigger=pgtrigger.compiler.Trigger(name='computed', sql=core.db.IndexGuardSql(declare='DECLARE since bigint := 0; known bigint := 0;', func="\n                    IF TG_OP = 'UPDATE' THEN\n                        since := OLD.position;\n                        known := OLD.total;\n                        IF NEW.account_id <> OLD.account_id OR NEW.position < since\n                                OR (NEW.position = since AND NEW.total <> known) THEN\n                            RAISE EXCEPTION 'ledger_snapshot: it moves forward and changes in no other way'\n                                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n                        END IF;\n                        IF NEW.position = since THEN\n                            RETURN NEW;\n                        END IF;\n                    ELSIF EXISTS (SELECT 1 FROM public.ledger_snapshot WHERE account_id = NEW.account_id) THEN\n                        RETURN NEW;  -- it meets the row that is there: refused, or turned into an update of that\n                    END IF;\n                    IF NEW.position > pg_sequence_last_value('public.ledger_position_base'::regclass) + pg_snapshot_xmin(pg_current_snapshot())::text::bigint THEN\n                        RAISE EXCEPTION 'ledger_snapshot: entries can still appear below %', NEW.position\n                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    NEW.total := known + coalesce((\n                        SELECT sum(amount) FROM public.ledger_entry\n                        WHERE account_id = NEW.account_id AND position >= since AND position < NEW.position\n                    ), 0);\n                    RETURN NEW;\n                ", hash='62f58f62ea3aa1f61dd786213c5f3be3400c6f36', operation='INSERT OR UPDATE', pgid='pgtrigger_computed_0361c', table='ledger_snapshot', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='transaction',
            trigger=pgtrigger.compiler.Trigger(name='approved', sql=core.db.IndexGuardSql(condition="WHEN (NEW.kind = 'adjustment' OR NEW.source LIKE 'adj%')", constraint='CONSTRAINT', func='\n                    PERFORM 1 FROM public.ledger_transaction t WHERE t.id = NEW.id AND \n    EXISTS (\n        SELECT 1 FROM public.ledger_adjustment j\n        JOIN public.staff_approval a\n            ON a.subject = j.public_id AND a.kind = \'ledger.adjustment\' AND a.maker_id = j.maker_id\n        JOIN public.staff_vote v\n            ON v.approval_id = a.id AND v.decision = \'approve\' AND v.user_id <> a.maker_id\n        WHERE j.public_id = t.source AND j.status = \'posted\' AND a.status = \'approved\' AND j.livemode = t.livemode\n            AND t.kind = CASE WHEN j.reverses_id IS NULL THEN \'adjustment\' ELSE \'reversal\' END\n            AND j.reverses_id IS NOT DISTINCT FROM t.reverses_id\n            AND j.legs = (\n                SELECT jsonb_agg(\n                    jsonb_build_object(\'account\', c.code, \'amount\', e.amount) ORDER BY e.amount < 0, c.code COLLATE "C"\n                )\n                FROM public.ledger_entry e JOIN public.ledger_account c ON c.id = e.account_id\n                WHERE e.transaction_id = t.id\n            )\n    )\n;\n                    IF NOT FOUND THEN\n                        RAISE EXCEPTION \'ledger: % is not what a second person approved\', NEW.public_id\n                            USING ERRCODE = \'check_violation\', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RETURN NULL;\n                ', hash='d1e250b364d7a05235567b9692bfae27f7181228', operation='INSERT', pgid='pgtrigger_approved_94fca', table='ledger_transaction', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
    ]
