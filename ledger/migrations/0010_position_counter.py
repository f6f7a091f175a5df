"""Positions come from a sequence, and only transactions that post hold balances' snapshots and lists back.

The counter starts 2^20 transactions above ``ledger_position_base``, so that processes of the release before show no
transaction too early; see ``merchants.0009_event_counter``.
"""

import core.db
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations


LOCK = "LOCK TABLE public.ledger_transaction IN SHARE ROW EXCLUSIVE MODE"  # writers of the old positions have ended
CREATE = "CREATE SEQUENCE public.ledger_position_counter"
START = """
SELECT setval('public.ledger_position_counter', greatest(
    base.last_value + pg_snapshot_xmax(pg_current_snapshot())::text::bigint + 1048576,
    (SELECT max(position) + 1 FROM public.ledger_transaction),
    (SELECT max(position) + 1 FROM public.ledger_snapshot)
)) FROM public.ledger_position_base base
"""


class Migration(migrations.Migration):

    dependencies = [
        ('ledger', '0009_plans_of_a_young_site'),
        ('merchants', '0009_event_counter'),
    ]

    operations = [
        migrations.RunSQL([LOCK, CREATE, START], "DROP SEQUENCE public.ledger_position_counter"),
        pgtrigger.migrations.RemoveTrigger(
            model_name='entry',
            name='balanced',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='snapshot',
            name='computed',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='transaction',
            name='stamp',
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='entry',
            trigger=pgtrigger.compiler.Trigger(name='balanced', sql=core.db.IndexGuardSql(declare='DECLARE fault text;', func="\n                    SELECT judged.fault INTO fault FROM (\n                        SELECT CASE\n                            WHEN t.id IS NULL THEN 'an entry cannot come without its transaction'\n                            WHEN legs.count <> stored.count THEN\n                                'all entries come at once: an entry cannot join an earlier transaction'\n                            WHEN t.position < (SELECT max(position) FROM public.ledger_snapshot) THEN\n                                'positions fell behind the snapshots of another cluster: run manage.py release'\n                            WHEN legs.lowest <> t.position OR legs.highest <> t.position\n                                    OR legs.earliest <> t.effective_at OR legs.latest <> t.effective_at THEN\n                                'an entry and its transaction differ in position or moment'\n                            WHEN stored.of_its_account < stored.count THEN\n                                'an entry and its account differ in mode or currency'\n                            WHEN legs.count < 2 THEN 'entries come two or more at once'\n                            WHEN legs.total <> 0 OR legs.a_currency <> legs.z_currency THEN\n                                'entries do not sum to zero in one currency'\n                        END AS fault\n                        FROM (\n                            SELECT transaction_id, count(*) AS count, sum(amount) AS total,\n                                min(position) AS lowest, max(position) AS highest,\n                                min(effective_at) AS earliest, max(effective_at) AS latest,\n                                min(currency) AS a_currency, max(currency) AS z_currency\n                            FROM added GROUP BY transaction_id\n                        ) legs\n                        LEFT JOIN public.ledger_transaction t ON t.id = legs.transaction_id\n                        CROSS JOIN LATERAL (\n                            SELECT count(*) AS count,\n                                count(*) FILTER (WHERE a.livemode = t.livemode AND a.currency = e.currency)\n                                    AS of_its_account\n                            FROM public.ledger_entry e LEFT JOIN public.ledger_account a ON a.id = e.account_id\n                            WHERE e.transaction_id = legs.transaction_id\n                        ) stored\n                    ) judged\n                    WHERE judged.fault IS NOT NULL LIMIT 1;\n                    IF fault IS NOT NULL THEN\n                        RAISE EXCEPTION 'ledger: %', fault USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RETURN NULL;\n                ", hash='a52ec75fe157fb590ca906ab1a978e5909fb63d2', level='STATEMENT', operation='INSERT', pgid='pgtrigger_balanced_ea973', referencing='REFERENCING NEW TABLE AS added ', table='ledger_entry', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='snapshot',
            trigger=pgtrigger.compiler.Trigger(name='computed', sql=core.db.IndexGuardSql(declare='DECLARE since bigint := 0; known bigint := 0;', func="\n                    IF TG_OP = 'UPDATE' THEN\n                        since := OLD.position;\n                        known := OLD.total;\n                        IF NEW.account_id <> OLD.account_id OR NEW.position < since\n                                OR (NEW.position = since AND NEW.total <> known) THEN\n                            RAISE EXCEPTION 'ledger_snapshot: it moves forward and changes in no other way'\n                                USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n                        END IF;\n                        IF NEW.position = since THEN\n                            RETURN NEW;\n                        END IF;\n                    ELSIF EXISTS (SELECT 1 FROM public.ledger_snapshot WHERE account_id = NEW.account_id) THEN\n                        RETURN NEW;  -- it meets the row that is there: refused, or turned into an update of that\n                    END IF;\n                    IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN\n                        RAISE EXCEPTION 'ledger_snapshot: taken at an isolation level that hides other entries'\n                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    -- First the horizon, then the sum: a statement each, so that the sum sees all that lies below.\n                    NEW.position := least(NEW.position, public.horizon('public.ledger_position_counter'::regclass, 473702));\n                    IF NEW.position <= since THEN\n                        NEW.position := since;\n                        NEW.total := known;\n                        RETURN NEW;\n                    END IF;\n                    NEW.total := known + coalesce((\n                        SELECT sum(amount) FROM public.ledger_entry\n                        WHERE account_id = NEW.account_id AND position >= since AND position < NEW.position\n                    ), 0);\n                    RETURN NEW;\n                ", hash='d4ad068f45e00e26aaf4f6d93e469cbdc8e371c1', operation='INSERT OR UPDATE', pgid='pgtrigger_computed_0361c', table='ledger_snapshot', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='transaction',
            trigger=pgtrigger.compiler.Trigger(name='stamp', sql=core.db.GuardSql(declare="DECLARE given bigint := pg_sequence_last_value('public.ledger_position_counter'::regclass); marker bigint := nullif(current_setting('payments.ledger_position_counter', true), '')::bigint; kept text;", func="\n            IF marker IS NULL OR marker > given OR marker < given - 536870912 THEN\n                marker := given;\n                kept := set_config('payments.ledger_position_counter', marker::text, true);\n            END IF;\n            IF NOT pg_try_advisory_xact_lock_shared(473702, (marker & 2147483647)::integer) THEN\n                RAISE EXCEPTION 'ledger_position_counter: another session locks the marker of this transaction'\n                    USING ERRCODE = 'lock_not_available', TABLE = TG_TABLE_NAME;\n            END IF;\n            NEW.position := nextval('public.ledger_position_counter'::regclass);\n         RETURN NEW;", hash='10cad2f972a9fcef7af7b51887dcfafaa407bd35', operation='INSERT', pgid='pgtrigger_stamp_3b639', table='ledger_transaction', when='BEFORE')),
        ),
    ]
