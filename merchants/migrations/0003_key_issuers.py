"""The function behind approvals that an API key proposes: who may know its secret."""

from django.db import migrations

FUNCTION = """
-- The accounts of those who may know the secret of an API key: who issued it, the keys that it replaces and the keys
-- that rolled one of these. NULL among them: an unknown person, by a command on the host. NULL: there is no such key.
CREATE FUNCTION public.merchants_key_issuers(key text) RETURNS integer[] LANGUAGE sql AS $$
    WITH RECURSIVE chain AS (
        SELECT id, replaces_id, created_by_id, created_by_key_id FROM public.merchants_apikey WHERE public_id = key
        UNION
        SELECT k.id, k.replaces_id, k.created_by_id, k.created_by_key_id
        FROM chain c JOIN public.merchants_apikey k ON k.id IN (c.replaces_id, c.created_by_key_id)
    )
    SELECT array_agg(DISTINCT created_by_id) FROM chain WHERE created_by_key_id IS NULL
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("merchants", "0002_event_counter")]

    operations = [migrations.RunSQL(FUNCTION, migrations.RunSQL.noop)]
