from __future__ import annotations

from functools import partial

import pgtrigger
from django.db import models
from django.utils.translation import gettext_lazy as _

from core import clock, ids
from core.db import AppendOnly, Guard


class Event(models.Model):
    """Something that happened to a merchant's object: what the feed shows and outbound webhooks carry.

    ``sequence`` holds the database transaction's number (or a later one's) in its upper bits, so the feed can stop
    before whatever is still uncommitted (``merchants.services.event.feed``). The database assigns it; a value given by
    a caller is overwritten. ``object_sequence`` counts an object's events from 1 without gaps, under that object's row
    lock; both sequences order an object's events alike.
    """

    public_id = models.CharField(max_length=40, unique=True, default=partial(ids.new_id, "event"))
    sequence = models.BigIntegerField(_("sequence"), unique=True, default=0)
    merchant = models.ForeignKey("merchants.Merchant", models.PROTECT, related_name="events", db_index=False)
    livemode = models.BooleanField(_("live"))
    type = models.CharField(_("type"), max_length=64)
    object_id = models.CharField(_("object"), max_length=40)
    object_sequence = models.PositiveIntegerField()
    data = models.JSONField(help_text="The object as the API showed it at that moment, and what changed.")
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ["-sequence"]
        constraints = [
            models.UniqueConstraint(fields=["object_id", "object_sequence"], name="event_object_sequence"),
        ]
        indexes = [models.Index(fields=["merchant", "livemode", "sequence"], name="event_feed")]
        triggers = [
            AppendOnly(),
            Guard(
                name="assign_sequence",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                declare=[("base", "bigint"), ("own", "bigint"), ("last", "bigint")],
                func="""
                    SELECT last_value INTO base FROM public.merchants_event_base;
                    own := pg_current_xact_id()::text::bigint;
                    -- What this object, and this transaction, came to last: another transaction may have got its
                    -- number later than this one and the object's lock earlier.
                    SELECT sequence INTO last FROM public.merchants_event
                        WHERE object_id = NEW.object_id ORDER BY object_sequence DESC LIMIT 1;
                    last := greatest(last, nullif(current_setting('payments.event_sequence', true), '')::bigint);
                    NEW.sequence := base + (own << 16) + (NEW.id & 65535);
                    IF NEW.sequence <= last THEN
                        NEW.sequence := base + ((last - base) >> 16 << 16) + (NEW.id & 65535);
                        IF NEW.sequence <= last THEN
                            NEW.sequence := NEW.sequence + 65536;
                        END IF;
                    END IF;
                    IF (NEW.sequence - base) >> 16
                        > greatest(own, pg_snapshot_xmax(pg_current_snapshot())::text::bigint) + 1 THEN
                        RAISE EXCEPTION 'merchants_event: too many events in one transaction'
                            USING ERRCODE = 'program_limit_exceeded', TABLE = TG_TABLE_NAME;
                    END IF;
                    PERFORM set_config('payments.event_sequence', NEW.sequence::text, true);
                    RETURN NEW;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.object_id}"
