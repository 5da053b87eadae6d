"""Takes accounts out of use that have done nothing but fail for days (sync).

Only what an account itself is to blame for counts: an outage of the provider or of the
way out, and a spent quota, disable nobody. What a person did to an account in between
gives it the same time once more.
"""

import datetime
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import QuerySet

from accounts.models import Account, AccountEvent, UsageHour, UsageRecord
from accounts.retention import EVENTS_KEPT
from accounts.rollups import hour_of
from gemproxy.lib import clock
from proxy.scheduling.history import Attempt
from proxy.wire.causes import cause_of, is_limit

CLEAN_UP = "clean-up"
#: Longer than events are kept nobody could tell what happened in between.
MOST_DAYS = EVENTS_KEPT.days
#: Fewer failures than this may be chance, however far apart they are.
LEAST_FAILURES = 5
HOUR = datetime.timedelta(hours=1)
DAY = datetime.timedelta(days=1)
State = Account.State
#: Our own key is missing then; the account may be sound.
NOT_ITS_FAULT = frozenset({"unreadable"})


@dataclass(slots=True)
class Streak:
    """What an account's attempts were like, told from the ledger."""

    first: datetime.datetime | None = None
    last: datetime.datetime | None = None
    answered: bool = False
    causes: Counter[str] = field(default_factory=Counter)

    def add(self, attempt: Attempt) -> None:
        """Take in an attempt: a success, a failure of the account's own, or neither."""
        if attempt.code == "ok":
            self.answered = True
        own = attempt.blame == "account" and not attempt.shared
        if not own or is_limit(attempt.code):
            return
        at = datetime.datetime.fromtimestamp(attempt.at, datetime.UTC)
        self.first = min(self.first or at, at)
        self.last = max(self.last or at, at)
        self.causes[attempt.code] += 1

    def lasted(self, cutoff: datetime.datetime, now: datetime.datetime) -> bool:
        """Tell whether it failed since before ``cutoff``, and still does."""
        return (
            not self.answered
            and self.first is not None
            and self.last is not None
            and self.first <= cutoff
            and self.last >= now - DAY
            and self.causes.total() >= LEAST_FAILURES
        )


@dataclass(frozen=True, slots=True)
class Failing:
    """An account that has failed for long, since when and of what."""

    account_id: int
    kind: str
    since: datetime.datetime
    cause: str


def disable_failing(days: int) -> str:
    """Disable what has failed for so many days; say in words what was done."""
    cutoff = clock.now() - days * DAY
    found = [*_set_aside(cutoff), *_never_answering(cutoff)]
    kept = disabled = 0
    # Who failed last is the most likely to recover, and the one to be kept.
    for failing in sorted(found, key=lambda failing: failing.since):
        if _disable(failing, days):
            disabled += 1
        else:
            kept += 1
    text = f"{disabled} disabled"
    return f"{text}, {kept} kept as the last of their kind" if kept else text


def _set_aside(cutoff: datetime.datetime) -> Iterator[Failing]:
    """Yield accounts that have waited for a person since then."""
    rows = Account.objects.filter(
        state=State.NEEDS_ATTENTION, state_since__lte=cutoff
    ).exclude(state_cause__in=NOT_ITS_FAULT)
    for account in _untouched(rows, cutoff):
        yield Failing(
            account.pk, account.kind, account.state_since, account.state_cause
        )


def _never_answering(cutoff: datetime.datetime) -> Iterator[Failing]:
    """Yield accounts in use whose every attempt has failed since then."""
    since = cutoff - DAY
    answered = UsageHour.objects.filter(
        outcome=UsageRecord.Outcome.OK, hour__gte=hour_of(since), account__isnull=False
    )
    rows = Account.objects.filter(
        state__in=Account.USABLE, state_since__lte=cutoff
    ).exclude(pk__in=list(answered.values_list("account_id", flat=True).distinct()))
    kinds = {account.pk: account.kind for account in _untouched(rows, cutoff)}
    now = clock.now()
    for pk, streak in _streaks(set(kinds), since, now).items():
        if streak.first is not None and streak.lasted(cutoff, now):
            [(cause, _)] = streak.causes.most_common(1)
            yield Failing(pk, kinds[pk], streak.first, cause)


def _untouched(rows: QuerySet, cutoff: datetime.datetime) -> Iterator[Account]:
    """Yield those that no person has done anything to since then."""
    touched = set(
        AccountEvent.objects.filter(at__gte=cutoff)
        .exclude(by__in=("", CLEAN_UP))
        .values_list("account_id", flat=True)
    )
    for account in rows.filter(created_at__lte=cutoff).defer("secret", "proxy_url"):
        cleared = account.cleared_at is not None and account.cleared_at >= cutoff
        if account.pk not in touched and not cleared:
            yield account


def _streaks(
    accounts: set[int], since: datetime.datetime, now: datetime.datetime
) -> dict[int, Streak]:
    streaks = {pk: Streak() for pk in accounts}
    hour = hour_of(since)
    # Hour by hour: one long read would keep SQLite from folding in what is written.
    while streaks and hour <= now:
        for attempt in _attempts(hour):
            streak = streaks.get(attempt.account_id)
            if streak is not None:
                streak.add(attempt)
        streaks = {pk: streak for pk, streak in streaks.items() if not streak.answered}
        hour += HOUR
    return streaks


def _attempts(hour: datetime.datetime) -> Iterator[Attempt]:
    rows = UsageRecord.objects.filter(started_at__gte=hour, started_at__lt=hour + HOUR)
    values = rows.order_by().values("started_at", "model_served", "attempts")
    for row in values.iterator(chunk_size=2000):
        found: Iterable[object] = row["attempts"] or ()
        for attempt in found:
            if isinstance(attempt, dict) and "account" in attempt:
                yield Attempt.read(row, attempt, 0)


def _disable(failing: Failing, days: int) -> bool:
    """Disable an account unless its kind would be left without one."""
    with transaction.atomic():
        # All rows of the kind, so that no two are counted on to be the other's rest.
        rows = Account.objects.select_for_update().filter(kind=failing.kind)
        states = dict(rows.order_by("pk").values_list("pk", "state"))
        mine = states.pop(failing.account_id, State.DISABLED)
        if mine == State.DISABLED:
            return False
        usable = mine in Account.USABLE
        needed = Account.USABLE if usable else {*State.values} - {State.DISABLED}
        if not any(state in needed for state in states.values()):
            return False
        account = Account.objects.get(pk=failing.account_id)
        meaning = cause_of(failing.cause, of_account=True).meaning
        account.move(
            State.DISABLED,
            cause=f"disabled by {CLEAN_UP}",
            advice=f"It has failed since {failing.since:%Y-%m-%d} without a success, "
            f"longer than FAILING_ACCOUNT_DAYS={days} allows ({meaning}). "
            "Replace its credential, then enable it.",
            by=CLEAN_UP,
        )
    return True
