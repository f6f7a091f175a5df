"""The API key as the maker of an approval: the database writes down who issued it."""

from __future__ import annotations

import pgtrigger

from core.db import Guard
from staff.models import Approval


class KeyApproval(Approval):
    """``staff_approval``: a proxy to declare a trigger, because staff knows no API keys."""

    class Meta:
        proxy = True
        default_permissions = ()
        triggers = [
            Guard(
                name="issuers",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                condition=pgtrigger.Condition("NEW.maker_key <> ''"),
                func="""
                    NEW.issuers = public.merchants_key_issuers(NEW.maker_key);
                    IF NEW.issuers IS NULL THEN
                        RAISE EXCEPTION 'merchants: there is no API key %', NEW.maker_key
                            USING ERRCODE = 'foreign_key_violation', TABLE = TG_TABLE_NAME;
                    END IF;
                    RETURN NEW;
                """,
            )
        ]
