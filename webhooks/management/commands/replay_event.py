"""Command ``replay_event``: applies stored notices again."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q, QuerySet
from django.utils.dateparse import parse_datetime

from core import clock
from core.errors import IllegalTransition
from core.money import format_mxn
from core.state import Origin, TransitionRow
from webhooks.inbound.models import ProviderEvent
from webhooks.inbound.services import replay
from webhooks.inbound.services.replay import Effect

REPLAYABLE = ["received", "retry", "ignored", "conflict", "dead"]


class Command(BaseCommand):
    """Preview the replay of stored notices and, with --yes, execute it."""

    help = (
        "Apply stored provider events again, by id or by filters. Without --yes only a preview is shown. An event that "
        "was applied is never applied twice."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("ids", nargs="*", metavar="pev_…", help="Events by their public id.")
        parser.add_argument("--status", choices=REPLAYABLE, help="Only events in this state.")
        parser.add_argument("--provider", choices=["stp", "conekta"], help="Only events of this provider.")
        parser.add_argument("--type", help="Only events of this type, e.g. order.paid.")
        parser.add_argument("--reason", default="", help="Only events whose reason or last error begins like this.")
        parser.add_argument("--since", type=moment, help="Received at or after, e.g. 2026-11-23T00:00:00-06:00.")
        parser.add_argument("--until", type=moment, help="Received before.")
        parser.add_argument("--limit", type=int, default=1_000, help="Maximum number of events (default 1000).")
        parser.add_argument("--yes", action="store_true", help="Execute the replay.")
        parser.add_argument("--by", default="", help="Your name (required with --yes).")
        parser.add_argument("--why", default="", help="The reason (required with --yes).")

    def handle(self, *args: Any, **options: Any) -> None:
        chosen = _chosen(options)
        if options["yes"] and not (options["by"].strip() and options["why"].strip()):
            raise CommandError("--yes requires your name (--by) and the reason (--why); both are stored.")
        origin = Origin(TransitionRow.Cause.STAFF, options["by"].strip()[:100], "replay_event")
        counts = {"changed": 0, "nothing": 0, "refused": 0, "failed": 0}
        for event in chosen:
            try:
                if options["yes"]:
                    effect = replay.replay(event.pk, origin=origin, reason=options["why"].strip())
                else:
                    effect = replay.preview(event.pk)
            except IllegalTransition as refused:
                counts["refused"] += 1
                self.stdout.write(f"{event.public_id} {event.event_type} {event.status}: {refused.message}")
                continue
            except Exception as error:  # noqa: BLE001 - one that fails must not stop the others
                counts["failed"] += 1
                self.stdout.write(f"{event.public_id} {event.event_type} {event.status}: {type(error).__name__}")
                continue
            counts["nothing" if effect.changes_nothing else "changed"] += 1
            self.stdout.write(f"{event.public_id} {event.event_type} {event.status} → {in_words(effect)}")
        self.stdout.write(
            f"{counts['changed']} {'changed' if options['yes'] else 'would change'} something, "
            f"{counts['nothing']} nothing, {counts['refused']} refused, {counts['failed']} failed."
        )
        if counts["changed"] and not options["yes"]:
            self.stdout.write("Nothing was done. Add --yes --by NAME --why REASON to do it.")


def in_words(effect: Effect) -> str:
    """The effect in one line."""
    told = [f"{effect.status} ({effect.reason})"]
    told += [f"{payment} {before} → {after}" for payment, before, after in effect.payments]
    told += [f"{deposit} {status} {format_mxn(amount)}" for deposit, status, amount in effect.deposits]
    if effect.postings:
        told.append(f"{effect.postings} posting(s)")
    if effect.events:
        told.append(f"{effect.events} event(s) for merchants")
    return ", ".join(told)


def moment(text: str) -> datetime:
    """Parse a date and time, by default in Mexico City's time zone; raises ``ArgumentTypeError``."""
    try:
        parsed = parse_datetime(text)
    except ValueError:
        parsed = None
    if parsed is None:
        raise argparse.ArgumentTypeError("write a date and time like 2026-11-23T00:00:00-06:00")
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=clock.MEXICO_CITY)


def _chosen(options: dict[str, Any]) -> list[ProviderEvent]:
    """The selected events in the order of arrival. Raises ``CommandError`` without a selection or for an unknown id."""
    ids = options["ids"]
    filters = {
        "status": options["status"],
        "account__provider": options["provider"],
        "event_type": options["type"],
        "received_at__gte": options["since"],
        "received_at__lt": options["until"],
    }
    given = {name: value for name, value in filters.items() if value}
    if not ids and not given and not options["reason"]:
        raise CommandError(
            "Give event ids or at least one of --status, --provider, --type, --reason, --since, --until."
        )
    if options["limit"] < 1:
        raise CommandError("--limit must be at least 1.")
    events: QuerySet[ProviderEvent] = ProviderEvent.objects.filter(**given).order_by("id")
    if ids:
        unknown = sorted(
            set(ids) - set(ProviderEvent.objects.filter(public_id__in=ids).values_list("public_id", flat=True))
        )
        if unknown:
            raise CommandError(f"There is no such event: {', '.join(unknown)}")
        events = events.filter(public_id__in=ids)
    elif not options["status"]:
        events = events.filter(status__in=REPLAYABLE)
    if options["reason"]:
        begins = options["reason"]
        events = events.filter(Q(reason__startswith=begins) | Q(reason="", last_error__startswith=begins))
    return list(events[: options["limit"]])
