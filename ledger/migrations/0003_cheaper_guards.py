"""Guards that look at each posting once: no foreign keys of entries, which ``balanced`` and frozen ids stand in for.

The base of positions counts as set from now on: ``pg_sequence_last_value`` says nothing of a sequence never used.
"""

import core.db
import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('ledger', '0002_totals'),
    ]

    operations = [
        migrations.RunSQL(
            "SELECT setval('public.ledger_position_base', last_value) FROM public.ledger_position_base",
            migrations.RunSQL.noop,
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='account',
            name='frozen',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='entry',
            name='balanced',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='transaction',
            name='stamp',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='transaction',
            name='complete',
        ),
        migrations.AlterField(
            model_name='entry',
            name='account',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='entries', to='ledger.account'),
        ),
        migrations.AlterField(
            model_name='entry',
            name='transaction',
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='entries', to='ledger.transaction'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='account',
            trigger=pgtrigger.compiler.Trigger(name='frozen', sql=core.db.GuardSql(func="\n            IF (NEW.id, NEW.code, NEW.purpose, NEW.merchant_id, NEW.livemode, NEW.currency, NEW.normal_side, NEW.floor) IS DISTINCT FROM (OLD.id, OLD.code, OLD.purpose, OLD.merchant_id, OLD.livemode, OLD.currency, OLD.normal_side, OLD.floor) THEN\n                RAISE EXCEPTION 'ledger_account: id, code, purpose, merchant_id, livemode, currency, normal_side, floor cannot change'\n                    USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;\n            END IF;\n            RETURN NEW;\n        ", hash='d805b492237d5848f5519773ddda5fba0a1c4b62', operation='UPDATE', pgid='pgtrigger_frozen_54fe4', table='ledger_account', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='entry',
            trigger=pgtrigger.compiler.Trigger(name='balanced', sql=core.db.IndexGuardSql(declare="DECLARE fault text; this bigint := pg_sequence_last_value('public.ledger_position_base'::regclass) + pg_current_xact_id()::text::bigint;", func="\n                    SELECT judged.fault INTO fault FROM (\n                        SELECT CASE\n                            WHEN t.position IS DISTINCT FROM this THEN\n                                'an entry cannot join an earlier transaction'\n                            WHEN legs.lowest <> this OR legs.highest <> this\n                                    OR legs.earliest <> t.effective_at OR legs.latest <> t.effective_at THEN\n                                'an entry and its transaction differ in position or moment'\n                            WHEN stored.of_its_account < stored.count THEN\n                                'an entry and its account differ in mode or currency'\n                            WHEN legs.count < 2 THEN 'entries come two or more at once'\n                            WHEN legs.total <> 0 OR legs.a_currency <> legs.z_currency THEN\n                                'entries do not sum to zero in one currency'\n                            WHEN legs.count <> stored.count THEN 'a transaction gets all its entries at once'\n                        END AS fault\n                        FROM (\n                            SELECT transaction_id, count(*) AS count, sum(amount) AS total,\n                                min(position) AS lowest, max(position) AS highest,\n                                min(effective_at) AS earliest, max(effective_at) AS latest,\n                                min(currency) AS a_currency, max(currency) AS z_currency\n                            FROM added GROUP BY transaction_id\n                        ) legs\n                        LEFT JOIN public.ledger_transaction t ON t.id = legs.transaction_id\n                        CROSS JOIN LATERAL (\n                            SELECT count(*) AS count,\n                                count(*) FILTER (WHERE a.livemode = t.livemode AND a.currency = e.currency)\n                                    AS of_its_account\n                            FROM public.ledger_entry e LEFT JOIN public.ledger_account a ON a.id = e.account_id\n                            WHERE e.transaction_id = legs.transaction_id\n                        ) stored\n                    ) judged\n                    WHERE judged.fault IS NOT NULL LIMIT 1;\n                    IF fault IS NOT NULL THEN\n                        RAISE EXCEPTION 'ledger: %', fault USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RETURN NULL;\n                ", hash='577594211bdbe0ecc563e716358e7936609ed793', level='STATEMENT', operation='INSERT', pgid='pgtrigger_balanced_ea973', referencing='REFERENCING NEW TABLE AS added ', table='ledger_entry', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='transaction',
            trigger=pgtrigger.compiler.Trigger(name='stamp', sql=core.db.GuardSql(func="\n                    NEW.position := pg_sequence_last_value('public.ledger_position_base'::regclass) + pg_current_xact_id()::text::bigint;\n                    RETURN NEW;\n                ", hash='a2d86da851ab939b4e7bae5019645c72f1f5aed6', operation='INSERT', pgid='pgtrigger_stamp_3b639', table='ledger_transaction', when='BEFORE')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='transaction',
            trigger=pgtrigger.compiler.Trigger(name='complete', sql=core.db.IndexGuardSql(constraint='CONSTRAINT', declare='DECLARE legs bigint; debited bigint[]; account record; found bigint;', func="\n                    SELECT count(*), array_agg(a.id) FILTER (\n                        WHERE a.floor IS NOT NULL AND (e.amount > 0) = (a.normal_side = 'credit')\n                    ) INTO legs, debited\n                    FROM public.ledger_entry e LEFT JOIN public.ledger_account a ON a.id = e.account_id\n                    WHERE e.transaction_id = NEW.id;\n                    IF legs = 0 THEN\n                        RAISE EXCEPTION 'ledger: transaction % has no entries', NEW.public_id\n                            USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    IF debited IS NULL THEN\n                        RETURN NULL;\n                    END IF;\n                    FOR account IN\n                        SELECT id, code, floor, normal_side FROM public.ledger_account\n                        WHERE id = ANY (debited) ORDER BY id\n                    LOOP\n                        IF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN\n                            RAISE EXCEPTION 'ledger: % is debited at an isolation level that hides other debits',\n                                account.code USING ERRCODE = 'check_violation', TABLE = 'ledger_account';\n                        END IF;\n                        PERFORM 1 FROM public.ledger_account WHERE id = account.id FOR NO KEY UPDATE;\n                        found := public.ledger_total(account.id);\n                        IF account.normal_side = 'credit' THEN\n                            found := -found;\n                        END IF;\n                        IF found < account.floor THEN\n                            RAISE EXCEPTION 'ledger: % would fall to %, below its floor', account.code, found\n                                USING ERRCODE = 'check_violation', TABLE = 'ledger_account',\n                                    CONSTRAINT = 'account_floor';\n                        END IF;\n                    END LOOP;\n                    RETURN NULL;\n                ", hash='345e751718cce19fdf277bb75f2a68ab94869b6d', operation='INSERT', pgid='pgtrigger_complete_f25ac', table='ledger_transaction', timing='DEFERRABLE INITIALLY DEFERRED', when='AFTER')),
        ),
    ]
