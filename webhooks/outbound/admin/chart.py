"""Attempts over time as bars of an SVG that the server draws; the template is ``webhooks/attempts_chart.html``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from core.admin import format_moment
from webhooks.outbound.services.figures import Record, hour_after

WIDTH, HEIGHT = 560, 96


@dataclass(frozen=True, slots=True)
class Bar:
    """Failures on top of successes, in the units of the SVG."""

    x: int
    width: int
    good_y: int
    good_height: int
    bad_y: int
    bad_height: int
    title: str


def rate(made: int, good: int) -> str:
    """``97.5 %``, rounded down; "" without attempts."""
    tenths = good * 1000 // made if made else 0
    return f"{tenths // 10}.{tenths % 10} %" if made else ""


def chart(record: Record, *, now: datetime, title: Any, bars: int, hours: int) -> dict[str, Any]:
    """``bars`` bars of ``hours`` hours each, the last one with the present hour."""
    end, span = hour_after(now), timedelta(hours=hours)
    starts = [end - span * (bars - number) for number in range(bars)]
    numbers = [record.between(start, start + span) for start in starts]
    most = max(1, *(made for made, _good in numbers))
    step = WIDTH // bars
    made, good = record.between(starts[0], end)
    return {
        "title": title,
        "summary": _("%(rate)s of %(attempts)s attempts succeeded")
        % {"rate": rate(made, good), "attempts": f"{made:,}"}
        if made
        else _("no attempts"),
        "is_empty": not made,
        "bars": [
            _bar(step * number, step - 2, *numbers[number], most, format_moment(start))
            for number, start in enumerate(starts)
        ],
        "width": WIDTH,
        "height": HEIGHT,
        "first": format_moment(starts[0]),
        "last": format_moment(end),
    }


def _bar(x: int, width: int, made: int, good: int, most: int, start: str) -> Bar:
    good_height = _height(good, most)
    bad_height = min(_height(made - good, most), HEIGHT - good_height)
    title = _("%(start)s: %(good)s succeeded, %(bad)s failed") % {"start": start, "good": good, "bad": made - good}
    good_y = HEIGHT - good_height
    return Bar(x, width, good_y, good_height, good_y - bad_height, bad_height, title)


def _height(count: int, most: int) -> int:
    """Any attempt at all is at least two units high."""
    return max(2, count * HEIGHT // most) if count else 0
