"""The admin's front page: what goes on, what is wrong, what to do.

Each number comes from an index, a roll-up or a capped look-back, so the page costs
the same on a million rows. Roll-ups run behind; the last two hours are therefore
read from the log itself, unless so much was logged that the roll-up must do.
"""

import datetime
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import TruncHour
from django.http import HttpRequest
from django.urls import reverse

from accounts.admin.displays import NOTHING, ago, compact, milliseconds
from accounts.models import Account, Token, UsageHour, UsageRecord
from gemproxy.lib import clock
from proxy.admin import health
from proxy.admin.figures import (
    CHART_BOX,
    CHART_STEP,
    Ranked,
    Segment,
    Tile,
    Trouble,
    bars,
    change,
    names,
    percentile,
    ranked,
)
from proxy.wire.causes import cause_of

PERMISSIONS = ("accounts.view_usagerecord", "accounts.view_account")
HOURS = 24
HOUR = datetime.timedelta(hours=1)
DAY = datetime.timedelta(hours=HOURS)
LATENCY_ROWS = 1_000
FAILURE_ROWS = 200
FAILURE_GROUPS = 10
COUNT_CAP = 100_000
LIVE_CAP = 20_000
TOP = 5
TOKENS = ("prompt_tokens", "output_tokens", "thoughts_tokens")
STATES = (
    (Account.State.ACTIVE, "Active", "good"),
    (Account.State.NEW, "New", "info"),
    (Account.State.NEEDS_ATTENTION, "Needs attention", "bad"),
    (Account.State.DISABLED, "Disabled", "quiet"),
)


@dataclass(slots=True)
class Sums:
    """Requests by hour and outcome over 48 hours, tokens over the last 24."""

    requests: dict[datetime.datetime, Counter[str]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    tokens: Counter[str] = field(default_factory=Counter)

    def between(self, start: datetime.datetime, end: datetime.datetime) -> Counter[str]:
        total: Counter[str] = Counter()
        for hour, counts in self.requests.items():
            if start <= hour < end:
                total += counts
        return total


def context(request: HttpRequest, values: dict[str, Any]) -> dict[str, Any]:
    """Add the overview for those who may see its parts."""
    if not request.user.has_perms(PERMISSIONS):
        return values
    return {**values, "overview": overview(clock.now())}


def overview(now: datetime.datetime) -> dict[str, Any]:
    """Return everything the front page shows."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    start = hour - (HOURS - 1) * HOUR
    source = _Source(start, hour)
    sums = _sums(source, start)
    states = _by_state()
    return {
        "steps": _first_steps(states),
        "tiles": _tiles(sums, start, now),
        "states": _strip(states),
        "attention": _attention(),
        "bars": bars([start + n * HOUR for n in range(HOURS)], sums.requests),
        "chart": {"width": HOURS * CHART_STEP, **CHART_BOX},
        "troubles": _troubles(now),
        "health": health.latest(now),
        "models": _top_models(source),
        "tokens": _top_tokens(source),
    }


class _Source:
    """Usage since a time: old hours from the roll-up, fresh ones from the log."""

    def __init__(self, start: datetime.datetime, hour: datetime.datetime) -> None:
        fresh = hour - HOUR
        log = UsageRecord.objects.filter(started_at__gte=fresh)
        self.start = start
        self.live = log[: LIVE_CAP + 1].count() <= LIVE_CAP
        self._log = log if self.live else log.none()
        self._end = fresh if self.live else hour + HOUR

    def rolled(self, start: datetime.datetime) -> QuerySet:
        return UsageHour.objects.filter(hour__gte=start, hour__lt=self._end).order_by()

    def fresh(self) -> QuerySet:
        return self._log.order_by()

    def ranking(self, key: str) -> list[tuple[Any, int]]:
        """Return the keys with most requests since the start."""
        rolled = self.rolled(self.start).values(key).annotate(n=Sum("requests"))
        fresh = self.fresh().values(key).annotate(n=Count("id"))
        total: Counter[Any] = Counter()
        # Ten times as deep as shown: near enough, and bounded on many keys.
        for rows in (
            rolled.order_by("-n")[: TOP * 10],
            fresh.order_by("-n")[: TOP * 10],
        ):
            for row in rows:
                total[row[key]] += row["n"]
        return total.most_common(TOP)


def _sums(source: _Source, start: datetime.datetime) -> Sums:
    sums = Sums()
    tokens = {f"{name}_sum": Sum(name) for name in TOKENS}
    hour = TruncHour("started_at", tzinfo=datetime.UTC)
    rolled = source.rolled(start - DAY).values("hour", "outcome")
    fresh = source.fresh().annotate(hour=hour).values("hour", "outcome")
    for rows in (
        rolled.annotate(n=Sum("requests"), **tokens),
        fresh.annotate(n=Count("id"), **tokens),
    ):
        for row in rows:
            sums.requests[row["hour"]][row["outcome"]] += row["n"]
            if row["hour"] >= start:
                sums.tokens.update({name: row[f"{name}_sum"] for name in TOKENS})
    return sums


def _tiles(sums: Sums, start: datetime.datetime, now: datetime.datetime) -> list[Tile]:
    day = sums.between(start, now)
    before = sums.between(start - DAY, start).total()
    usage = _usage()
    return [
        _hour_tile(now, f"{usage}?window=1h"),
        Tile(
            "Requests, 24 h",
            compact(day.total()),
            change(day.total(), before, "the 24 h before"),
            f"{usage}?window=24h",
        ),
        _success_tile(day, f"{usage}?window=24h&outcome__exact=fault"),
        _latency_tile(usage),
        Tile(
            "Tokens in, 24 h",
            compact(sums.tokens["prompt_tokens"]),
            "sent to providers",
        ),
        Tile(
            "Tokens out, 24 h",
            compact(sums.tokens["output_tokens"]),
            f"{compact(sums.tokens['thoughts_tokens'])} more for thinking",
        ),
    ]


def _hour_tile(now: datetime.datetime, href: str) -> Tile:
    count = _capped(UsageRecord.objects.filter(started_at__gte=now - HOUR))
    before = _capped(
        UsageRecord.objects.filter(
            started_at__gte=now - 2 * HOUR, started_at__lt=now - HOUR
        )
    )
    more = "+" if count == COUNT_CAP else ""
    note = "" if more else change(count, before, "the hour before")
    return Tile("Requests, last hour", compact(count) + more, note, href)


def _capped(rows: QuerySet) -> int:
    return rows.order_by()[:COUNT_CAP].count()


def _success_tile(day: Counter[str], href: str) -> Tile:
    finished = day["ok"] + day["fault"]
    if not finished:
        return Tile("Answered, 24 h", NOTHING, "no request yet", href)
    share = 100 * day["ok"] / finished
    # Rounding must not turn a failure into “100 %”.
    shown = "100" if not day["fault"] else f"{min(share, 99.9):.1f}"
    tone = "good" if share >= 99 else "warn" if share >= 95 else "bad"
    return Tile(
        "Answered, 24 h", f"{shown} %", f"{compact(day['fault'])} failed", href, tone
    )


def _latency_tile(href: str) -> Tile:
    latest = UsageRecord.objects.order_by("-id").values_list(
        "duration_ms", "first_token_ms", "outcome"
    )[:LATENCY_ROWS]
    answered = [row for row in latest if row[2] == "ok"]
    if not answered:
        return Tile("Latency", NOTHING, "no answer yet", href)
    lengths = sorted(row[0] for row in answered)
    firsts = sorted(row[1] for row in answered if row[1] is not None)
    note = f"p95 {milliseconds(percentile(lengths, 95))}"
    if firsts:
        note += f"; first token {milliseconds(percentile(firsts, 50))}"
    return Tile(
        f"Median latency, last {len(answered)}",
        milliseconds(percentile(lengths, 50)),
        note,
        href,
    )


def _by_state() -> dict[str, int]:
    rows = Account.objects.order_by().values("state").annotate(n=Count("id"))
    return {row["state"]: row["n"] for row in rows}


def _strip(states: dict[str, int]) -> list[Segment]:
    accounts = reverse("admin:accounts_account_changelist")
    return [
        Segment(tone, title, states.get(state, 0), f"{accounts}?state__exact={state}")
        for state, title, tone in STATES
    ]


def _attention() -> list[dict[str, Any]]:
    waiting = Account.objects.filter(state=Account.State.NEEDS_ATTENTION)
    return [
        {
            "account": account,
            "advice": cause_of(account.state_cause, of_account=True),
            "since": ago(account.state_since),
            "href": reverse("admin:accounts_account_change", args=[account.pk]),
        }
        for account in waiting.order_by("-state_since")[:TOP]
    ]


def _first_steps(states: dict[str, int]) -> list[dict[str, Any]]:
    """Return what a new operator has to do, or nothing once a request was served."""
    if UsageRecord.objects.exists():
        return []
    issued = Token.objects.filter(
        Q(expires_at=None) | Q(expires_at__gt=clock.now()), revoked_at=None
    ).exists()
    return [
        {
            "title": "Add upstream accounts",
            "note": "Gemini API keys that answer the requests.",
            "href": reverse("admin:accounts_account_paste"),
            "done": bool(states),
        },
        {
            "title": "Issue a token",
            "note": "Programs send it as their API key.",
            "href": reverse("admin:accounts_token_add"),
            "done": issued,
        },
        {
            "title": "Send a request",
            "note": "Code to paste comes with each token of your own.",
            "href": reverse("tokens"),
            "done": False,
        },
    ]


def _troubles(now: datetime.datetime) -> list[Trouble]:
    """Group the latest failures of the day by cause."""
    rows = (
        UsageRecord.objects.filter(outcome="fault", started_at__gte=now - DAY)
        .order_by("-started_at")
        .values("cause", "started_at", "model_asked")[:FAILURE_ROWS]
    )
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["cause"]].append(row)
    return [
        Trouble(
            cause=cause or "unknown",
            advice=cause_of(cause),
            count=len(found),
            last=ago(found[0]["started_at"]),
            models=names(row["model_asked"] for row in found),
        )
        for cause, found in list(groups.items())[:FAILURE_GROUPS]
    ]


def _top_models(source: _Source) -> list[Ranked]:
    rows = source.ranking("model_asked")
    return ranked(((name, n, {"model_asked": name}) for name, n in rows), _usage())


def _top_tokens(source: _Source) -> list[Ranked]:
    rows = source.ranking("token_id")
    tokens = Token.objects.select_related("user").in_bulk([pk for pk, _ in rows if pk])
    lines = (
        (f"{tokens[pk].user}: {tokens[pk].name}", n, {"token_id": pk})
        for pk, n in rows
        if pk in tokens
    )
    return ranked(lines, _usage())


def _usage() -> str:
    return reverse("admin:accounts_usagerecord_changelist")
