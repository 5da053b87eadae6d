"""How an account stands: what is wrong now, why, until when, and what to do."""

import datetime
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.contrib import admin
from django.db.models import (
    Case,
    Exists,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Value,
    When,
)
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.admin.displays import NOTHING, ago, badge, two_lines
from accounts.models import Account, CoolDown
from accounts.models.upstream import Happened
from gemproxy.lib import clock
from proxy.wire.causes import cause_of

State = Account.State
TONES: dict[str, str] = {
    State.NEEDS_ATTENTION: "bad",
    State.NEW: "info",
    State.ACTIVE: "good",
    State.DISABLED: "quiet",
    Happened.RESTING: "warn",
    Happened.RESTED: "good",
    Happened.CLEARED: "info",
}
WORDS: dict[str, str] = {
    **dict(State.choices),
    **dict(Happened.choices),
    State.NEW: "New",
}
HOUR, DAY = 3600, 86_400
_RESTS = CoolDown.objects.filter(account=OuterRef("pk"), until__gt=Now())
#: Accounts in trouble first: those a human must look at, then those at rest.
TROUBLE = Case(
    When(state=State.NEEDS_ATTENTION, then=Value(0)),
    When(state=State.DISABLED, then=Value(4)),
    When(Exists(_RESTS.filter(model="")), then=Value(1)),
    When(Exists(_RESTS), then=Value(2)),
    default=Value(3),
    output_field=IntegerField(),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """``until`` is the end of a rest; None with ``ends`` saying what ends it else."""

    word: str
    tone: str
    why: str = ""
    since: datetime.datetime | None = None
    until: datetime.datetime | None = None
    ends: str = ""
    todo: str = ""
    link: str = ""


def standing(account: Account, rests: Sequence[CoolDown]) -> Standing:
    """Return how an account stands that has these rests now."""
    if account.state == State.DISABLED:
        return Standing(
            word="Disabled",
            tone="quiet",
            why=account.state_cause,
            since=account.state_since,
            ends="you enable it",
            todo=account.state_advice,
        )
    if account.state == State.NEEDS_ATTENTION:
        cause = cause_of(account.state_cause, of_account=True)
        return Standing(
            word=WORDS[account.state],
            tone="bad",
            why=cause.meaning if account.state_cause else "",
            since=account.state_since,
            ends="you act",
            todo=account.state_advice or cause.action,
            link=account.state_link or cause.link,
        )
    if rests:
        return _at_rest(rests)
    return Standing(
        word=WORDS[account.state],
        tone=TONES[account.state],
        since=account.state_since,
    )


def _at_rest(rests: Sequence[CoolDown]) -> Standing:
    whole = next((rest for rest in rests if not rest.model), None)
    worst = whole or max(rests, key=lambda rest: rest.until)
    cause = cause_of(worst.cause, of_account=True)
    why = because(worst.cause, worst.by)
    if whole is None:
        others = len(rests) - 1
        why = f"{worst.model}: {why}" + (f"; {others} more" if others else "")
    return Standing(
        word="Resting" if whole else "Partly resting",
        tone="warn",
        why=why,
        since=worst.since,
        until=worst.until,
        todo=cause.action,
        link=cause.link,
    )


def because(cause: str, by: str = "") -> str:
    """Return a cause in words, and who was behind it."""
    if not cause:
        return ""
    meaning = cause_of(cause, of_account=True).meaning
    named = by and by in meaning
    return f"{meaning}, by {by}" if by and not named else meaning


def running_rests(accounts: Iterable[int]) -> dict[int, list[CoolDown]]:
    """Return the rests that these accounts have now, in one query."""
    found: dict[int, list[CoolDown]] = defaultdict(list)
    for rest in CoolDown.objects.running(clock.now()).filter(account__in=accounts):
        found[rest.account_id].append(rest)
    return found


def of(account: Account) -> Standing:
    """Return how an account stands; a list has put it there beforehand."""
    found: Standing | None = getattr(account, "stands", None)
    if found is None:
        found = standing(account, running_rests([account.pk])[account.pk])
        account.stands = found
    return found


def state_badge(state: str) -> SafeString:
    return badge(WORDS.get(state, state), TONES.get(state, "quiet"))


def shown(now: Standing) -> SafeString:
    return two_lines(badge(now.word, now.tone), now.why)


def shown_end(now: Standing) -> str | SafeString:
    """Return until when it lasts, over since when it does."""
    if not (now.until or now.ends):
        return NOTHING
    end = ahead(now.until) if now.until else f"until {now.ends}"
    return two_lines(end, format_html("since {}", ago(now.since)))


def ahead(moment: datetime.datetime | None) -> str | SafeString:
    """Return how far a moment is ahead, to the minute; the exact time is its title."""
    seconds = int((moment - clock.now()).total_seconds()) if moment else 0
    if moment is None or seconds <= 0:
        return ago(moment)
    minutes, hours, days = seconds // 60, seconds // HOUR, seconds // DAY
    if not minutes:
        length = f"{seconds} s"
    elif not hours:
        length = f"{minutes} min"
    elif not days:
        length = f"{hours} h {minutes % 60} min"
    else:
        length = f"{days} d {hours % 24} h"
    return format_html(
        '<time datetime="{}" title="{}">in {}</time>',
        moment.isoformat(),
        f"{moment:%Y-%m-%d %H:%M:%S %Z}",
        length,
    )


def shown_todo(now: Standing) -> str | SafeString:
    if not now.todo:
        return NOTHING
    return format_html(
        '<div><span class="gp-second">{} {}</span></div>', now.todo, outward(now.link)
    )


def outward(link: str) -> str | SafeString:
    """Return a link to a provider's page that tells the provider nothing of us."""
    if not link:
        return ""
    return format_html(
        '<a class="gp-link gp-line" href="{}" target="_blank"'
        ' rel="noopener noreferrer">{} ↗</a>',
        link,
        urlsplit(link).netloc,
    )


class CauseFilter(admin.SimpleListFilter):
    """Accounts by what is wrong with them now."""

    title = "cause"
    parameter_name = "cause"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        refused = Account.objects.filter(state=State.NEEDS_ATTENTION).order_by()
        resting = CoolDown.objects.running(clock.now()).order_by()
        causes = {
            *refused.values_list("state_cause", flat=True).distinct(),
            *resting.values_list("cause", flat=True).distinct(),
        }
        named = [(cause, because(cause)) for cause in causes if cause]
        return sorted(named, key=lambda entry: entry[1])

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        cause = self.value()
        if not cause:
            return queryset
        resting = CoolDown.objects.running(clock.now()).filter(cause=cause).order_by()
        return queryset.filter(
            Q(state=State.NEEDS_ATTENTION, state_cause=cause)
            | Q(pk__in=resting.values("account"))
        )


class RestFilter(admin.SimpleListFilter):
    """Accounts by what of them rests now."""

    title = "rest"
    parameter_name = "rest"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("whole", "The whole account"),
            ("models", "Some of its models"),
            ("none", "Nothing rests"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        running = CoolDown.objects.running(clock.now()).filter(account=OuterRef("pk"))
        wanted = {
            "whole": Exists(running.filter(model="")),
            "models": Exists(running.exclude(model="")),
            "none": ~Exists(running),
        }.get(self.value() or "")
        return queryset if wanted is None else queryset.filter(wanted)
