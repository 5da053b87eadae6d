"""Breakers on what accounts share, so that one trouble does not burn them all.

While a breaker is open, attempts over it wait; one at a time goes ahead as a canary,
and the first that comes through closes it. What failed because of it is no fault of
the accounts. One guard per process, for its event loop. Pure: the caller brings time.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from proxy.errors import Fault, Verdict
from proxy.scheduling.breakers import Breaker, Trouble
from proxy.scheduling.evidence import (
    TRANSPORT,
    Accusation,
    Evidence,
    Failure,
    Shared,
    Thing,
    What,
    kind_of,
    things_of,
    was_answered,
)

#: A breaker that nobody has asked about for so long is given up.
IDLE_SECONDS: Final = 600.0
#: So long after its end a breaker explains failures of attempts begun before it.
ECHO_SECONDS: Final = 900.0
SWEEP_SECONDS: Final = 1.0


class Listener(Protocol):
    """Whoever keeps a record of troubles; must return at once."""

    def opened(self, trouble: Trouble) -> None: ...

    def updated(self, trouble: Trouble) -> None: ...

    def ended(self, trouble: Trouble) -> None: ...


class Nobody:
    """A listener that keeps nothing."""

    def opened(self, trouble: Trouble) -> None:
        """Nothing is kept."""

    updated = ended = opened


@dataclass(frozen=True, slots=True)
class Gate:
    """Whether an attempt may start now.

    ``canary``: it may, and tests for all others. ``held``: it may not before
    ``retry_at`` (epoch seconds; sooner if ``on_close`` rings), because of
    ``trouble``; ``fault`` is what its caller is told if that is too late.
    """

    state: Literal["open", "canary", "held"]
    retry_at: float = 0.0
    trouble: Trouble | None = None
    fault: Fault | None = None

    @property
    def is_open(self) -> bool:
        return self.state == "open"

    @property
    def is_canary(self) -> bool:
        return self.state == "canary"

    @property
    def is_held(self) -> bool:
        return self.state == "held"

    @property
    def worth_waiting(self) -> bool:
        """False if the request itself is at fault: its caller is told at once."""
        return self.trouble is None or self.trouble.what != "request"


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether a failure is the account's own.

    ``shared``: it is not, the account stays clean. ``forgive``: (account, model)
    pairs that were blamed in the last seconds and are innocent too. ``until``: when
    the next canary may go, epoch seconds. ``what`` is at fault; of ``request`` the
    caller is told, no further account is asked.
    """

    shared: bool
    forgive: tuple[tuple[int, str], ...] = ()
    until: float | None = None
    what: What | None = None


OPEN: Final = Gate("open")
OWN: Final = Judgement(shared=False)


@dataclass(frozen=True, slots=True)
class _Ended:
    """A breaker that was closed at an epoch second."""

    at: float
    breaker: Breaker


class Guard:
    """Notices shared trouble and holds attempts back while it lasts.

    For each attempt: ``gate`` before it starts, then exactly one of ``note`` (it
    failed), ``passed`` (first content came) or ``abandoned``; ``note`` may follow
    ``passed``. ``on_close`` is called when held attempts may look again.
    """

    def __init__(self, listener: Listener | None = None) -> None:
        self._listener: Listener = listener or Nobody()
        self._evidence = Evidence()
        self._open: dict[Thing, Breaker] = {}
        self._ended: dict[Thing, _Ended] = {}
        self._numbers = itertools.count(1)
        self._next_sweep = 0.0
        self.on_close: Callable[[], None] = lambda: None

    def gate(self, shared: Shared, *, now: float) -> Gate:
        """Return whether an attempt may start now."""
        if self._open:
            self.sweep(now)
            breakers = list(self._breakers(shared))
            if breakers:
                return self._try(breakers, shared, now)
        self._evidence.begin(shared)
        return OPEN

    def passed(
        self, shared: Shared, *, account_id: int, started: float, now: float
    ) -> None:
        """First content came: what the attempt proves to work is free again."""
        self._evidence.end(shared)
        self._evidence.acquit(shared, account_id=account_id, started=started, now=now)
        for breaker in list(self._breakers(shared)):
            if started >= breaker.first_started:
                self._close(breaker, now)

    def note(
        self,
        shared: Shared,
        verdict: Verdict,
        *,
        account_id: int,
        model: str,
        started: float,
        fault: Fault,
        now: float,
    ) -> Judgement:
        """Take in a failed attempt; return whether it was the account's own.

        ``model`` is the name under which the pool counts it, for ``forgive``.
        """
        self._evidence.end(shared)
        self.sweep(now)
        kind = kind_of(verdict)
        if kind != "connect" and was_answered(fault):
            self._free_egress(shared, started, now)
        if kind is None:
            self._release(shared, started, now)
            return OWN
        failure = Failure(now, started, account_id, model, shared, kind, verdict.cause)
        known = self._covered(failure)
        # What looks like a model's trouble may turn out to be that of the way to it.
        if known and (known.what != "model" or kind not in TRANSPORT):
            return known
        return self._suspect(failure, fault) or known or OWN

    def abandoned(self, shared: Shared, *, started: float, now: float) -> None:
        """An attempt was left without an outcome; another canary may go."""
        self._evidence.end(shared)
        self._release(shared, started, now)

    def troubles(self) -> list[Trouble]:
        """Return what is wrong now, the oldest first."""
        return [breaker.trouble() for breaker in self._open.values()]

    def wants_fingerprints(self) -> bool:
        """Tell whether a request is held back by its fingerprint now."""
        return any(thing.what == "request" for thing in self._open)

    def sweep(self, now: float) -> None:
        """Give up breakers that nobody asks about; forget those long ended."""
        if now < self._next_sweep:
            return
        self._next_sweep = now + SWEEP_SECONDS
        for breaker in list(self._open.values()):
            if breaker.last_at < now - IDLE_SECONDS:
                self._close(breaker, now)
        for thing, ended in list(self._ended.items()):
            if ended.at < now - ECHO_SECONDS:
                del self._ended[thing]

    def _breakers(self, shared: Shared) -> Iterator[Breaker]:
        return (self._open[t] for t in things_of(shared) if t in self._open)

    def _try(self, breakers: list[Breaker], shared: Shared, now: float) -> Gate:
        worst = max(breakers, key=lambda breaker: breaker.next_try)
        for breaker in breakers:
            breaker.last_at = now
        if worst.next_try > now:
            trouble, fault = worst.trouble(), worst.told(now)
            return Gate("held", worst.next_try, trouble, fault)
        for breaker in breakers:
            breaker.try_one(now)
        self._evidence.begin(shared)
        return Gate("canary", trouble=worst.trouble())

    def _free_egress(self, shared: Shared, started: float, now: float) -> None:
        self._evidence.acquit_egress(shared, started)
        breaker = self._open.get(Thing("egress", shared.egress))
        if breaker and started >= breaker.first_started:
            self._close(breaker, now)

    def _release(self, shared: Shared, started: float, now: float) -> None:
        """The canary has proved nothing: the next may go at once."""
        freed = [b for b in self._breakers(shared) if b.tests(started)]
        for breaker in freed:
            breaker.next_try = now
        if freed:
            self.on_close()

    def _covered(self, failure: Failure) -> Judgement | None:
        """Judge a failure that a breaker, open or lately closed, explains."""
        over = [b for b in self._breakers(failure.shared) if b.covers(failure)]
        for breaker in over:
            breaker.hit(failure)
            self._listener.updated(breaker.trouble())
        if over:
            until = max(breaker.next_try for breaker in over)
            return Judgement(True, (), until, over[0].thing.what)
        for thing in things_of(failure.shared):
            ended = self._ended.get(thing)
            if ended and failure.started <= ended.at and ended.breaker.covers(failure):
                return Judgement(True, (), None, thing.what)
        return None

    def _suspect(self, failure: Failure, fault: Fault) -> Judgement | None:
        """Weigh a failure with those before it; return a judgement if that is news."""
        self._evidence.add(failure)
        accused = self._evidence.accuse(failure)
        if accused is None or accused.thing in self._open:
            return None
        breaker = Breaker(next(self._numbers), accused, fault)
        self._open[accused.thing] = breaker
        self._listener.opened(breaker.trouble())
        for other in list(self._replaced(accused)):
            self._close(other, failure.at)
        forgive = {(f.account_id, f.model) for f in accused.failures}
        until = breaker.next_try
        return Judgement(True, tuple(sorted(forgive)), until, accused.thing.what)

    def _replaced(self, accused: Accusation) -> Iterator[Breaker]:
        """Yield breakers that a better explanation replaces.

        A model that fails over many ways out clears the ways that one account each
        spoke against; a way out that fails clears the models it was mistaken for.
        """
        for breaker in self._open.values():
            if accused.thing.what == "model" and breaker.thing.what == "egress":
                ways = {failure.shared.egress for failure in accused.failures}
                if len(breaker.accounts) == 1 and breaker.thing.key in ways:
                    yield breaker
            if accused.thing.what == "egress" and breaker.thing.what == "model":
                lost = breaker.sample.kind in TRANSPORT
                if lost and breaker.ways == {accused.thing.key}:
                    yield breaker

    def _close(self, breaker: Breaker, now: float) -> None:
        del self._open[breaker.thing]
        self._ended[breaker.thing] = _Ended(now, breaker)
        self._listener.ended(breaker.trouble(until=now))
        self.on_close()
