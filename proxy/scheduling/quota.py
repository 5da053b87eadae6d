"""What an account has used of its quotas, counted before each call.

A provider counts a request when it arrives, by a clock of its own. Between our
sending and its first answer we do not know when that was; so a request counts here
for a minute from the latest moment at which it can have arrived.

All times are epoch seconds.
"""

import functools
from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from operator import attrgetter

from proxy.wire.google_errors import seconds_to_quota_reset

#: A minute of the provider's, and what its clock may be off.
KEPT = 60.0 + 0.25
#: No request is longer under way to the provider, whenever its answer comes.
LONGEST_SENDING = 3.0
HOUR = 3600

_ends = attrgetter("ends")


@dataclass(frozen=True, slots=True)
class Limits:
    """Requests and input tokens a minute, requests a day; None where unknown.

    ``together`` is of a day too, for all models that are counted together.
    """

    rpm: int | None = None
    tpm: int | None = None
    rpd: int | None = None
    together: int | None = None

    def over(self, other: "Limits") -> "Limits":
        """Return these limits, with the other's where these say nothing."""
        # Who says what one model may be asked a day knows better than a common sum.
        daily = other if self.rpd is None and self.together is None else self
        return Limits(
            other.rpm if self.rpm is None else self.rpm,
            other.tpm if self.tpm is None else self.tpm,
            daily.rpd,
            daily.together,
        )


UNKNOWN = Limits()

# What Google grants a free project, by the words in a model's name; the first whose
# words are all there counts. Refusals teach the real figures soon enough.
FREE = (
    (("embedding",), Limits(100, 30_000, 1000)),
    (("flash", "lite"), Limits(15, 250_000, 1000)),
    (("flash",), Limits(10, 250_000, 250)),
    (("pro",), Limits(5, 250_000, 100)),
)


@dataclass(frozen=True, slots=True)
class DayLimit:
    """What the models whose names fit are asked a day, for want of better knowledge.

    A pattern with ``*`` stands for all that it fits, together.
    """

    pattern: str
    requests: int

    @property
    def joint(self) -> bool:
        return "*" in self.pattern

    @property
    def limits(self) -> Limits:
        return (
            Limits(together=self.requests) if self.joint else Limits(rpd=self.requests)
        )


def day_limit(usual: Iterable[DayLimit], model: str) -> DayLimit | None:
    """Return the first limit that fits a model."""
    return next((each for each in usual if fnmatchcase(model, each.pattern)), None)


def tier_limits(tier: str, model: str) -> Limits:
    """Return what a tier grants for a model; nothing is known of paid ones."""
    if tier.lower() != "free":
        return UNKNOWN
    found = (limits for words, limits in FREE if all(word in model for word in words))
    return next(found, UNKNOWN)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a window has counted in the last minute and today."""

    requests: int
    tokens: int
    day_requests: int
    day_tokens: int


class Reservation:
    """One counted request. ``ends`` is when it stops counting for the minute."""

    __slots__ = ("at", "day", "ends", "tokens", "window")

    def __init__(self, window: "Window", at: float, tokens: int, day: float) -> None:
        self.window = window
        self.at = at
        self.ends = at + LONGEST_SENDING + KEPT
        self.tokens = tokens
        self.day = day

    def settle(self, now: float, tokens: int | None = None) -> None:
        """Say that the answer has begun, and what it cost if that is known."""
        self.window.settle(self, now, tokens)

    def cancel(self) -> None:
        """Say that the request was never sent."""
        self.window.cancel(self)


class Day:
    """The requests of a day to several models together; ``name`` is their pattern."""

    __slots__ = ("_ends", "_requests", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._ends = 0.0
        self._requests = 0

    def add(self, now: float, requests: int) -> None:
        self._requests = self.requests(now) + requests

    def take_back(self, day: float) -> None:
        """Count one request less, of the day that ends then."""
        if day == self._ends:
            self._requests -= 1

    def requests(self, now: float) -> int:
        """Return how many count today."""
        if now >= self._ends:
            self._ends = day_end(now)
            self._requests = 0
        return self._requests


class Window:
    """The requests that count against the quotas of one account and model.

    ``together`` counts them along with those of other models.
    """

    __slots__ = (
        "_counted",
        "_day_ends",
        "_day_requests",
        "_day_tokens",
        "_tokens",
        "together",
    )

    def __init__(self, together: Day | None = None) -> None:
        self.together = together
        # By the time at which they stop to count, soonest first.
        self._counted: list[Reservation] = []
        self._tokens = 0
        self._day_ends = 0.0
        self._day_requests = 0
        self._day_tokens = 0

    def reserve(self, now: float, tokens: int, limits: Limits) -> Reservation | float:
        """Count a request, or return the seconds until there is room for it."""
        wait = self.wait(now, tokens, limits)
        return wait if wait > 0 else self.count(now, tokens)

    def count(self, now: float, tokens: int) -> Reservation:
        """Count a request, whether there is room for it or not."""
        self._advance(now)
        made = Reservation(self, now, tokens, self._day_ends)
        self._keep(made)
        self._day_requests += 1
        self._day_tokens += tokens
        if self.together is not None:
            self.together.add(now, 1)
        return made

    def wait(self, now: float, tokens: int, limits: Limits) -> float:
        """Return the seconds until a request of so many tokens has room."""
        self._advance(now)
        wait = 0.0
        if limits.rpm is not None:
            wait = self._until_requests(now, limits.rpm)
        if limits.tpm is not None:
            wait = max(wait, self._until_tokens(now, tokens, limits.tpm))
        left = self.left_today(now, limits)
        if left is not None and left <= 0:
            wait = max(wait, self._day_ends - now)
        return wait

    def left_today(self, now: float, limits: Limits) -> int | None:
        """Return how many more requests the day allows; None for any number."""
        self._advance(now)
        used = (
            (limits.rpd, self._day_requests),
            (limits.together, self.together.requests(now) if self.together else 0),
        )
        spare = [most - count for most, count in used if most is not None]
        return max(0, min(spare)) if spare else None

    def settle(self, made: Reservation, now: float, tokens: int | None) -> None:
        """Shorten a reservation to what is now known of it."""
        place = self._place(made)
        more = 0 if tokens is None else tokens - made.tokens
        made.tokens += more
        if made.day == self._day_ends:
            self._day_tokens += more
        if place is None:
            return
        self._tokens += more
        ends = min(made.ends, max(now, made.at) + KEPT)
        if ends < made.ends:
            del self._counted[place]
            made.ends = ends
            insort(self._counted, made, key=_ends)

    def cancel(self, made: Reservation) -> None:
        """Take a reservation back."""
        place = self._place(made)
        if place is not None:
            del self._counted[place]
            self._tokens -= made.tokens
        if made.day == self._day_ends:
            self._day_requests -= 1
            self._day_tokens -= made.tokens
        if self.together is not None:
            self.together.take_back(made.day)

    def seed(self, now: float, used: Iterable[tuple[float, int]]) -> None:
        """Take in (time, tokens) of requests that an earlier process sent."""
        self._advance(now)
        for at, tokens in used:
            made = Reservation(self, at, tokens, 0.0)
            made.ends = at + KEPT
            if made.ends > now:
                self._keep(made)

    def seed_day(self, now: float, requests: int, tokens: int) -> None:
        """Take in what earlier processes used today."""
        self._advance(now)
        self._day_requests += requests
        self._day_tokens += tokens
        if self.together is not None:
            self.together.add(now, requests)

    def absorb(self, other: "Window", now: float) -> None:
        """Take over all that another window has counted: both share their quotas."""
        self._advance(now)
        other._advance(now)
        for made in other._counted:
            made.window = self
            self._keep(made)
        self._day_requests += other._day_requests
        self._day_tokens += other._day_tokens

    def headroom(self, now: float, limits: Limits) -> float:
        """Return how much of the scarcest quota is left, 0 to 1."""
        if limits == UNKNOWN:
            return 1.0
        self._advance(now)
        used = (
            (len(self._counted), limits.rpm),
            (self._tokens, limits.tpm),
            (self._day_requests, limits.rpd),
            (self.together.requests(now) if self.together else 0, limits.together),
        )
        spare = [
            1 - count / most if most else 0.0
            for count, most in used
            if most is not None
        ]
        return max(0.0, min(spare, default=1.0))

    def usage(self, now: float) -> Usage:
        self._advance(now)
        return Usage(
            len(self._counted), self._tokens, self._day_requests, self._day_tokens
        )

    def recent(self) -> int:
        """Return how many requests counted when last somebody asked; cheap."""
        return len(self._counted)

    def ends(self, now: float) -> list[float]:
        """Return when each counted request stops to count, soonest first."""
        self._advance(now)
        return [made.ends for made in self._counted]

    def _advance(self, now: float) -> None:
        """Forget what no longer counts."""
        if now >= self._day_ends:
            self._day_ends = day_end(now)
            self._day_requests = self._day_tokens = 0
        counted = self._counted
        if not counted or counted[0].ends > now:
            return
        over = 0
        for made in counted:
            if made.ends > now:
                break
            self._tokens -= made.tokens
            over += 1
        del counted[:over]

    def _keep(self, made: Reservation) -> None:
        self._tokens += made.tokens
        if self._counted and self._counted[-1].ends > made.ends:
            insort(self._counted, made, key=_ends)
        else:
            self._counted.append(made)

    def _place(self, made: Reservation) -> int | None:
        place = bisect_left(self._counted, made.ends, key=_ends)
        while place < len(self._counted) and self._counted[place].ends == made.ends:
            if self._counted[place] is made:
                return place
            place += 1
        return None

    def _until_requests(self, now: float, rpm: int) -> float:
        surplus = len(self._counted) - rpm
        if surplus < 0:
            return 0.0
        if rpm <= 0:
            return KEPT
        return self._counted[surplus].ends - now

    def _until_tokens(self, now: float, tokens: int, tpm: int) -> float:
        # What is larger than the quota itself goes when nothing else counts.
        surplus = self._tokens + min(max(tokens, 1), tpm) - tpm
        wait = 0.0
        for made in self._counted:
            if surplus <= 0:
                break
            surplus -= made.tokens
            wait = made.ends - now
        return wait


def day_end(now: float) -> float:
    """Return when the provider's daily quotas start anew."""
    return _day_end(int(now // HOUR))


@functools.lru_cache(maxsize=64)
def _day_end(hour: int) -> float:
    # Midnights in California fall on full hours.
    start = hour * HOUR
    return start + seconds_to_quota_reset(datetime.fromtimestamp(start, UTC))
