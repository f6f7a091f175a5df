"""Extensions, and the functions behind every search (``core.search``): the indexes of the tables need them.

Accents are folded by the extension unaccent, whose own function is STABLE because its rules could be replaced; indexes
need an IMMUTABLE one. After a change of the rules the indexes must be rebuilt. Every name inside has its schema, so that
no search_path changes what an index holds.
"""

from django.db import migrations

EXTENSIONS = ("btree_gin", "btree_gist", "pg_trgm", "unaccent")
FOLD = r"""
CREATE FUNCTION public.search_fold(value text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 100 AS $$
BEGIN
    IF pg_catalog.octet_length(value) = pg_catalog.length(value) THEN  -- ASCII has no accents
        RETURN pg_catalog.lower(value);
    END IF;
    RETURN pg_catalog.lower(
        public.unaccent('public.unaccent'::pg_catalog.regdictionary, pg_catalog.normalize(value, 'NFC'))
    );
END $$
"""
PATTERN = r"""
CREATE FUNCTION public.search_pattern(wanted text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 100 AS $$
DECLARE
    folded text := public.search_fold(pg_catalog.btrim(wanted));
    literal text := pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(
        folded, '\', '\\'), '%', '\%'), '_', '\_');
BEGIN
    -- Trigrams find three characters anywhere, and one or two only where a word begins.
    RETURN CASE WHEN pg_catalog.length(folded) < 3 THEN '% ' ELSE '%' END || literal || '%';
END $$
"""
TEXT = r"""
CREATE FUNCTION public.search_text(VARIADIC texts text[]) RETURNS text
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST 200 AS $$
BEGIN
    RETURN public.search_fold(
        ' ' || pg_catalog.array_to_string(pg_catalog.array_remove(texts, ''), E'\n ')
    );
END $$
"""


class Migration(migrations.Migration):
    dependencies: list[tuple[str, str]] = []

    operations = [
        migrations.RunSQL(
            [f"CREATE EXTENSION IF NOT EXISTS {name} SCHEMA public" for name in EXTENSIONS], migrations.RunSQL.noop
        ),
        *(migrations.RunSQL(function, migrations.RunSQL.noop) for function in (FOLD, PATTERN, TEXT)),
    ]
