"""How accounts stand to a request now, as rows of a page. No query is made here."""

import datetime
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from accounts.admin.displays import (
    NOTHING,
    ago,
    badge,
    compact,
    milliseconds,
    two_lines,
)
from accounts.models import Account
from gemproxy.lib.redaction import redact
from proxy.admin.standing import ahead
from proxy.catalog import TargetPlan
from proxy.scheduling.outlook import READY, TRIED, Standing
from proxy.scheduling.slots import ATTENTION, CANARY, SEATS
from proxy.wire.causes import cause_of, is_limit

#: The account's kind lacks something that the request needs, and does not imitate it.
UNABLE = "unable"
DISABLED = "disabled"
NEVER = float("inf")
LONGEST_DETAIL = 200
_STATES = {
    READY: ("Ready", "good"),
    ATTENTION: ("Needs attention", "bad"),
    DISABLED: ("Disabled", "quiet"),
    SEATS: ("Busy", "info"),
    CANARY: ("On trial", "info"),
    UNABLE: ("Unable", "quiet"),
    TRIED: ("Asked", "quiet"),
}
_WORDS = {
    READY: "Ready",
    TRIED: "Asked by this request already",
    UNABLE: "Its kind cannot do what the request needs",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked for: a model by the name that callers use.

    ``needs`` are capabilities; ``tried`` tells of accounts that were asked already how
    that ended, and ``at`` when the question was a request's.
    """

    model: str
    needs: frozenset[str] = frozenset()
    tried: Mapping[int, str] = field(default_factory=dict)
    at: datetime.datetime | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    """What of a request's needs a target ``lacks``, and what else it ``imitates``."""

    lacks: frozenset[str] = frozenset()
    imitates: frozenset[str] = frozenset()


#: (kind, upstream model) → how that target fits.
Fits = Mapping[tuple[str, str], Fit]


@dataclass(frozen=True, slots=True)
class Group:
    """The candidates for which the same holds."""

    reason: str
    title: str
    tone: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One account with one model, ready to be shown."""

    account: SafeString
    kind: str
    model: str
    imitates: str
    asked: str
    state: SafeString
    why: str
    detail: str
    until: str | SafeString
    used: str | SafeString
    health: SafeString
    in_flight: int
    order: str


def meaning(reason: str, detail: str = "") -> str:
    """Return a reason in words; ``detail`` is why an account is set aside."""
    if reason in (ATTENTION, DISABLED) and detail:
        return cause_of(detail, of_account=True).meaning
    return _WORDS.get(reason) or cause_of(reason, of_account=True).meaning


def tone(reason: str) -> str:
    """Return the colour of a reason; what passes by itself warns."""
    return _STATES.get(reason, ("", "warn"))[1]


def account_link(account_id: int, label: object) -> SafeString:
    url = reverse("admin:accounts_account_change", args=[account_id])
    return format_html('<a class="gp-link" href="{}">{}</a>', url, label)


def fit_of(needs: Set[str], able: Set[str], emulates: Set[str]) -> Fit:
    """Return how a target that is ``able`` to so much fits what a request needs."""
    return Fit(
        lacks=frozenset(needs - able - emulates), imitates=frozenset(emulates - able)
    )


def reason_of(standing: Standing, fits: Fits) -> str:
    """Return why an account takes no request, or ``ready``."""
    return UNABLE if _fit(standing, fits).lacks else standing.reason


def _fit(standing: Standing, fits: Fits) -> Fit:
    return fits.get((standing.kind, standing.model), Fit())


def in_order(
    found: Iterable[Standing],
    targets: Sequence[TargetPlan],
    fits: Fits,
) -> list[Standing]:
    """Return who is ready first, as the targets follow; then who comes back soonest."""
    places = {(t.kind, t.upstream_model): place for place, t in enumerate(targets)}

    def key(one: Standing) -> tuple[bool, float, int, int, int]:
        reason = reason_of(one, fits)
        until = 0.0 if reason == READY else _end(one, reason)
        place = places.get((one.kind, one.model), len(places))
        return reason != READY, until, place, one.priority, one.account_id

    return sorted(found, key=key)


def groups(found: Iterable[Standing], fits: Fits) -> list[Group]:
    """Return how many there are for each reason: the ready ones, then the most."""
    counts = Counter(reason_of(one, fits) for one in found)
    ordered = sorted(counts.items(), key=lambda pair: (pair[0] != READY, -pair[1]))
    return [
        Group(reason, meaning(reason), tone(reason), count) for reason, count in ordered
    ]


def shown(one: Standing, question: Question, fits: Fits) -> Candidate:
    """Return the row of an account."""
    reason, fit = reason_of(one, fits), _fit(one, fits)
    why, detail = _why(one, reason, fit)
    return Candidate(
        account=account_link(one.account_id, one.label),
        kind=dict(Account.Kind.choices).get(one.kind, one.kind),
        model=one.model,
        imitates=", ".join(sorted(fit.imitates)),
        asked=question.tried.get(one.account_id, ""),
        state=_state(one, reason),
        why=why,
        detail=detail,
        until=_until(_end(one, reason), reason),
        used=_used(one),
        health=_health(one),
        in_flight=one.in_flight,
        order=f"{one.priority} / {one.weight}",
    )


def _state(one: Standing, reason: str) -> SafeString:
    usual = "At a limit" if is_limit(reason) else "Resting"
    word, colour = _STATES.get(reason, (usual, "warn"))
    if reason == READY and one.canary:
        return badge("Ready, on trial", "info", "One request tests it")
    return badge(word, colour)


def _why(one: Standing, reason: str, fit: Fit) -> tuple[str, str]:
    """Return a reason in words, and what more is known of it."""
    if reason == UNABLE:
        return meaning(reason), ", ".join(sorted(fit.lacks))
    if reason == READY:
        return (
            "Rested after failures: its next call is a test" if one.canary else "",
            "",
        )
    words = meaning(reason, one.detail)
    if reason in (ATTENTION, DISABLED):
        return words, ""
    # What is in memory only has not passed the store, which redacts it.
    return words, redact(one.detail)[:LONGEST_DETAIL]


def _end(one: Standing, reason: str) -> float:
    """Return when time alone ends it, in epoch seconds; infinity for never."""
    return NEVER if reason == UNABLE or one.until is None else one.until


def _until(end: float, reason: str) -> str | SafeString:
    if end == NEVER:
        ends = {ATTENTION: "until you act", DISABLED: "until you enable it"}
        return ends.get(reason, NOTHING)
    moment = _moment(end)
    return two_lines(ahead(moment), f"{moment:%Y-%m-%d %H:%M:%S} UTC")


def _used(one: Standing) -> SafeString:
    """Return what is used of the known quotas, and the part of the scarcest left."""
    usage, limits = one.usage, one.limits
    uses = (
        (usage.requests, limits.rpm, "a minute"),
        (usage.tokens, limits.tpm, "tokens a minute"),
        (usage.day_requests, limits.rpd, "a day"),
    )
    known = [
        (f"{compact(used)} / {compact(most)}", unit)
        for used, most, unit in uses
        if most is not None
    ]
    if not known:
        minute, day = compact(usage.requests), compact(usage.day_requests)
        return two_lines("no known limit", f"{minute} a minute, {day} a day")
    lines = format_html_join("", '<span class="gp-line">{} {}</span>', known)
    return two_lines(lines, f"{_percent(one.headroom)} left")


def _health(one: Standing) -> SafeString:
    """Return how many calls succeed, and how quick they are or when one failed."""
    if one.latency_ms is None and not one.failed_at:
        return two_lines("no call yet", "")
    known = [] if one.latency_ms is None else [milliseconds(one.latency_ms)]
    if one.strikes > 1:
        known.append(f"{one.strikes} failures in a row")
    if one.failed_at:
        known.append(format_html("failed {}", ago(_moment(one.failed_at))))
    more = format_html_join(", ", "{}", ((part,) for part in known))
    return two_lines(f"{_percent(one.success)} succeed", more)


def _percent(share: float) -> str:
    # Rounding must not turn a failure into “100 %”.
    return f"{math.floor(100 * share)} %"


def _moment(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
