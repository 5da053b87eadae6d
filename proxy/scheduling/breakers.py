"""A breaker on something that accounts share. Pure: the caller brings time."""

import copy
import math
from dataclasses import dataclass
from typing import Final

from proxy.errors import Fault
from proxy.scheduling.evidence import (
    ENOUGH_ACCOUNTS,
    Accusation,
    Failure,
    Shared,
    Thing,
    What,
)

#: First and longest pause between canaries, in seconds. Egress and model: service is
#: back within two seconds of them, the canary's own time included.
PAUSES: Final[dict[What, tuple[float, float]]] = {
    "egress": (0.5, 1.0),
    "model": (0.5, 1.0),
    "request": (5.0, 60.0),
}
#: A provider that shuts an address out is not asked every second.
SHUT_OUT: Final = frozenset({"ip_blocked", "egress_region"})
SHUT_OUT_PAUSES: Final = (10.0, 60.0)
PAUSE_GROWTH: Final = 1.5
MOST_NAMED: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A breaker as others may know it. Times in epoch seconds.

    ``which`` is safe to show: hosts and ports, a model, or a model with the start of
    a request's hash. ``until`` is None while it lasts. ``count`` is of failures,
    ``accounts`` names at most 50 of the ``account_count`` that met it.
    """

    number: int
    what: What
    which: str
    cause: str
    why: str
    since: float
    until: float | None
    accounts: tuple[int, ...]
    account_count: int
    count: int


class Breaker:
    """An open breaker."""

    def __init__(self, number: int, accused: Accusation, fault: Fault) -> None:
        newest = accused.failures[-1]
        self.number = number
        self.thing = accused.thing
        self.sample = newest
        self.fault = fault
        self.since = newest.at
        self.why = _why(accused)
        # An attempt begun before all that failed proves nothing by its success.
        self.first_started = min(f.started for f in accused.failures)
        self.ways = {failure.shared.egress for failure in accused.failures}
        self.accounts = {failure.account_id for failure in accused.failures}
        self.count = len(accused.failures)
        self.last_at = newest.at
        pauses = PAUSES[self.thing.what]
        if newest.cause in SHUT_OUT:
            pauses = SHUT_OUT_PAUSES
        self._pause, self._longest = pauses
        # Little evidence is tested at once.
        weak = len(self.accounts) < ENOUGH_ACCOUNTS and self.thing.what != "request"
        self.next_try = newest.at if weak else newest.at + self._pause

    def covers(self, failure: Failure) -> bool:
        """Tell whether a failure is one more of what opened this."""
        if self.thing.what == "request":
            return failure.kind != "connect"
        return failure.is_like(self.sample)

    def tests(self, started: float) -> bool:
        """Tell whether an attempt was a canary: nothing else starts over a breaker."""
        return started >= self.since

    def try_one(self, now: float) -> None:
        """A canary starts; a slow one holds back the next for a pause only."""
        self.last_at = now
        self.next_try = now + self._pause

    def hit(self, failure: Failure) -> None:
        self.count += 1
        self.accounts.add(failure.account_id)
        self.ways.add(failure.shared.egress)
        self.last_at = failure.at
        if self.tests(failure.started):
            self._pause = min(self._pause * PAUSE_GROWTH, self._longest)
            self.next_try = failure.at + self._pause

    def told(self, now: float) -> Fault:
        """Return a fault for one caller; raised twice, one object would mix traces."""
        fault = copy.copy(self.fault)
        fault.retry_after = float(math.ceil(max(1.0, self.next_try - now)))
        return fault

    def trouble(self, until: float | None = None) -> Trouble:
        return Trouble(
            number=self.number,
            what=self.thing.what,
            which=_shown(self.thing, self.sample.shared),
            cause=self.sample.cause,
            why=self.why,
            since=self.since,
            until=until,
            accounts=tuple(sorted(self.accounts)[:MOST_NAMED]),
            account_count=len(self.accounts),
            count=self.count,
        )


def _why(accused: Accusation) -> str:
    failures = accused.failures
    accounts = len({failure.account_id for failure in failures})
    who = "1 account" if accounts == 1 else f"{accounts} accounts"
    span = max(0.1, failures[-1].at - failures[0].at)
    causes = ", ".join(sorted({failure.cause for failure in failures}))
    alike = " alike" if accounts > 1 else ""
    return f"{who} failed{alike} within {span:.1f} s: {causes}"


def _shown(thing: Thing, shared: Shared) -> str:
    if thing.what == "request":
        return f"{shared.model} {thing.key[:12]}"
    return thing.key.partition("#")[0]
