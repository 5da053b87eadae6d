"""How values look in admin lists: badges, ages, durations, numbers."""

import datetime
import json
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from gemproxy.lib import clock

NOTHING = "-"
LONGEST_JSON = 20_000
UNITS = ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k"))


def badge(text: str, tone: str, title: str = "") -> SafeString:
    """Return a coloured word; ``tone`` is good, bad, warn, info or quiet."""
    return format_html(
        '<span class="gp-badge gp-{}" title="{}">{}</span>', tone, title, text
    )


def two_lines(first: object, second: object) -> SafeString:
    """Return a cell with a quiet second line, or the first alone."""
    if not second:
        return format_html("{}", first)
    return format_html('<div>{}<span class="gp-second">{}</span></div>', first, second)


def ago(moment: datetime.datetime | None) -> str | SafeString:
    """Return how long ago a moment was; the exact time is its title."""
    if moment is None:
        return NOTHING
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        f"{moment:%Y-%m-%d %H:%M:%S %Z}",
        _age(moment),
    )


def _age(moment: datetime.datetime) -> str:
    now = clock.now()
    seconds = (now - moment).total_seconds()
    if abs(seconds) < 5:
        return "just now"
    if abs(seconds) < 60:
        length = f"{abs(int(seconds))} s"
    else:
        length = timesince(min(now, moment), max(now, moment), depth=1)
    return f"{length} ago" if seconds > 0 else f"in {length}"


def milliseconds(value: float | None) -> str:
    """Return 340 ms, 1.2 s or 3 min 5 s."""
    if value is None:
        return NOTHING
    if value < 1000:
        return f"{value:.0f} ms"
    if value < 60_000:
        return f"{value / 1000:.1f} s"
    minutes, seconds = divmod(round(value / 1000), 60)
    return f"{minutes} min {seconds} s"


def compact(number: int) -> str:
    """Return 950, 12.3k or 4.5M."""
    for size, unit in UNITS:
        if number >= size:
            return f"{number / size:.1f}".removesuffix(".0") + unit
    return str(number)


def pretty_json(value: Any) -> SafeString:
    """Return indented JSON, cut at a length that a page can hold."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    if len(text) > LONGEST_JSON:
        text = text[:LONGEST_JSON] + "\n…"
    return format_html('<pre class="gp-json">{}</pre>', text)
