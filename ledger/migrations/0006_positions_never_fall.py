"""No posting in a restored database whose positions were not raised yet: its entries would lie below snapshots."""

import core.db
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('ledger', '0005_snapshot_position'),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name='entry',
            name='balanced',
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='entry',
            trigger=pgtrigger.compiler.Trigger(name='balanced', sql=core.db.IndexGuardSql(declare="DECLARE fault text; this bigint := pg_sequence_last_value('public.ledger_position_base'::regclass) + pg_current_xact_id()::text::bigint;", func="\n                    SELECT judged.fault INTO fault FROM (\n                        SELECT CASE\n                            WHEN this < (SELECT max(position) FROM public.ledger_snapshot) THEN\n                                'positions fell behind the snapshots of another cluster: run manage.py release'\n                            WHEN t.position IS DISTINCT FROM this THEN\n                                'an entry cannot join an earlier transaction'\n                            WHEN legs.lowest <> this OR legs.highest <> this\n                                    OR legs.earliest <> t.effective_at OR legs.latest <> t.effective_at THEN\n                                'an entry and its transaction differ in position or moment'\n                            WHEN stored.of_its_account < stored.count THEN\n                                'an entry and its account differ in mode or currency'\n                            WHEN legs.count < 2 THEN 'entries come two or more at once'\n                            WHEN legs.total <> 0 OR legs.a_currency <> legs.z_currency THEN\n                                'entries do not sum to zero in one currency'\n                            WHEN legs.count <> stored.count THEN 'a transaction gets all its entries at once'\n                        END AS fault\n                        FROM (\n                            SELECT transaction_id, count(*) AS count, sum(amount) AS total,\n                                min(position) AS lowest, max(position) AS highest,\n                                min(effective_at) AS earliest, max(effective_at) AS latest,\n                                min(currency) AS a_currency, max(currency) AS z_currency\n                            FROM added GROUP BY transaction_id\n                        ) legs\n                        LEFT JOIN public.ledger_transaction t ON t.id = legs.transaction_id\n                        CROSS JOIN LATERAL (\n                            SELECT count(*) AS count,\n                                count(*) FILTER (WHERE a.livemode = t.livemode AND a.currency = e.currency)\n                                    AS of_its_account\n                            FROM public.ledger_entry e LEFT JOIN public.ledger_account a ON a.id = e.account_id\n                            WHERE e.transaction_id = legs.transaction_id\n                        ) stored\n                    ) judged\n                    WHERE judged.fault IS NOT NULL LIMIT 1;\n                    IF fault IS NOT NULL THEN\n                        RAISE EXCEPTION 'ledger: %', fault USING ERRCODE = 'check_violation', TABLE = TG_TABLE_NAME;\n                    END IF;\n                    RETURN NULL;\n                ", hash='0909b27976cf438a42beca8355df625d8b43f3a3', level='STATEMENT', operation='INSERT', pgid='pgtrigger_balanced_ea973', referencing='REFERENCING NEW TABLE AS added ', table='ledger_entry', when='AFTER')),
        ),
    ]
