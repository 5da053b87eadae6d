"""Shapes of the front page: tiles, bars, lists. Numbers go in, no query is made."""

import datetime
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from accounts.admin.displays import compact
from proxy.wire.causes import Cause

CHART_HEIGHT = 120
CHART_STEP = 30
BAR_WIDTH = 22
CHART_BOX = {
    "height": CHART_HEIGHT + 20,
    "base": CHART_HEIGHT + 15,
    "floor": CHART_HEIGHT,
    "bar": BAR_WIDTH,
    "middle": BAR_WIDTH // 2,
}
OUTCOMES = ("ok", "cancelled", "fault")
NAMED = 2


@dataclass(frozen=True, slots=True)
class Tile:
    """One number, what it means, and where it leads."""

    title: str
    value: str
    note: str = ""
    href: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Segment:
    """Accounts of one state."""

    tone: str
    title: str
    count: int
    href: str


@dataclass(frozen=True, slots=True)
class Part:
    """The requests of one outcome in a bar."""

    outcome: str
    y: int
    height: int


@dataclass(frozen=True, slots=True)
class Bar:
    """One hour of the chart."""

    x: int
    label: str
    title: str
    parts: list[Part]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Failures of one cause among the latest."""

    cause: str
    advice: Cause
    count: int
    last: str
    models: str


@dataclass(frozen=True, slots=True)
class Ranked:
    """A line of a top list; ``share`` is its part of the first in percent."""

    name: str
    count: str
    share: int
    href: str


def percentile(ordered: list[int], percent: int) -> int:
    """Return the nearest-rank percentile of sorted numbers."""
    rank = -(-percent * len(ordered) // 100)
    return ordered[max(rank, 1) - 1]


def change(now: int, before: int, since: str) -> str:
    """Return how much more or less there is than ``before``."""
    if not before:
        return f"none in {since}" if now else ""
    difference = round(100 * (now - before) / before)
    if not difference:
        return f"as in {since}"
    return f"{abs(difference)} % {'more' if difference > 0 else 'less'} than in {since}"


def bars(
    hours: list[datetime.datetime],
    requests: Mapping[datetime.datetime, Counter[str]],
) -> list[Bar]:
    """Return one stacked bar for each hour; the highest fills the chart."""
    counts = [requests.get(hour, Counter()) for hour in hours]
    most = max((count.total() for count in counts), default=0)
    return [
        Bar(
            x=n * CHART_STEP,
            label=f"{hour:%H}" if n % 3 == 0 else "",
            title=_bar_title(hour, count),
            parts=list(_stacked(count, most)),
        )
        for n, (hour, count) in enumerate(zip(hours, counts, strict=True))
    ]


def _stacked(counts: Counter[str], most: int) -> Iterator[Part]:
    y = CHART_HEIGHT
    for outcome in OUTCOMES:
        if not counts[outcome]:
            continue
        # The least failure must be seen beside ten thousand answers.
        height = max(2, round((CHART_HEIGHT - 4) * counts[outcome] / most))
        y -= height
        yield Part(outcome, y, height)


def _bar_title(hour: datetime.datetime, counts: Counter[str]) -> str:
    text = f"{hour:%Y-%m-%d %H:00 %Z}: {counts.total()} requests"
    return f"{text}, {counts['fault']} failed" if counts["fault"] else text


def names(found: Iterable[str]) -> str:
    """Return the most frequent names and how many others there are."""
    counted = Counter(found).most_common()
    others = len(counted) - NAMED
    more = f" and {others} more" if others > 0 else ""
    return ", ".join(name for name, _ in counted[:NAMED]) + more


def ranked(
    rows: Iterable[tuple[str, int, Mapping[str, object]]], base: str
) -> list[Ranked]:
    """Return top-list lines from (name, requests, filter of the list at ``base``)."""
    found = list(rows)
    most = max((count for _, count, _ in found), default=1)
    return [
        Ranked(
            name=name,
            count=compact(count),
            share=max(1, round(100 * count / most)),
            href=f"{base}?{urlencode(query)}",
        )
        for name, count, query in found
    ]
