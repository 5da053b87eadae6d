"""What alike failures of several accounts prove, and against what.

Attempts share a way out (the egress), a model and the request itself. An account that
fails alone is judged alone. When several fail alike within seconds, and nothing came
through in between, it is what they share that failed. Pure: the caller brings time.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, TypeVar
from urllib.parse import urlsplit

from proxy.errors import (
    AccountRefused,
    Fault,
    Overloaded,
    RateLimited,
    UpstreamRefused,
    Verdict,
)

What = Literal["egress", "model", "request"]
#: ``connect``: nothing could be sent; ``lost``: the answer stayed away or broke off;
#: ``overload``: the model has no room; ``unclear``: a limit that may be the prompt's
#: doing; ``crash``: any other failure of the provider.
Kind = Literal["connect", "lost", "overload", "unclear", "crash"]
K = TypeVar("K")
T = TypeVar("T")

WINDOW_SECONDS: Final = 10.0
ENOUGH_ACCOUNTS: Final = 3
#: So long an account that was used counts as one of those that could have failed.
KNOWN_SECONDS: Final = 600.0
#: So long a failure on one request makes an account a poor witness against another.
WITNESS_SECONDS: Final = 60.0
MOST_REMEMBERED: Final = 5_000
DIRECT: Final = "direct"
TRANSPORT: Final = frozenset({"connect", "lost"})
_LOST_CAUSES = frozenset({"stream_cut", "stalled", "timeout"})
_UNCLEAR_CAUSES = frozenset({"throttled_unclear"})
#: Faults that only an answer of the provider can mean: the way to it is sound.
_ANSWERS = (UpstreamRefused, RateLimited, AccountRefused, Overloaded)


@dataclass(frozen=True, slots=True)
class Shared:
    """What an attempt shares with others.

    ``egress`` is an ``egress_key``; ``model`` the kind and upstream model;
    ``fingerprint`` a ``fingerprint`` of the request, or empty: a request's first
    attempt may go without one.
    """

    egress: str
    model: str
    fingerprint: str = ""


class Thing(NamedTuple):
    """One of the things that attempts share."""

    what: What
    key: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed attempt that may prove something. Times in epoch seconds."""

    at: float
    started: float
    account_id: int
    model: str
    shared: Shared
    kind: Kind
    cause: str

    def is_like(self, other: "Failure") -> bool:
        """Tell whether both failed in the same way."""
        if self.kind in TRANSPORT and other.kind in TRANSPORT:
            return True
        return self.kind == other.kind and (
            self.kind == "overload" or self.cause == other.cause
        )


@dataclass(frozen=True, slots=True)
class Accusation:
    """A thing that alike failures speak against."""

    thing: Thing
    failures: tuple[Failure, ...]


@dataclass(slots=True)
class _Streak:
    """Failures over one thing since an attempt over it last succeeded."""

    failures: list[Failure] = field(default_factory=list)

    def within(self, now: float) -> list[Failure]:
        self.failures = [f for f in self.failures if f.at > now - WINDOW_SECONDS]
        return self.failures


def egress_key(proxy_url: str, base_url: str = "") -> str:
    """Return the key of a way out: its proxy, and the host at its end if not usual.

    What stands before a ``#`` may be shown: it holds hosts and ports only. Proxies
    of one host that differ in their user are different ways.
    """
    way = DIRECT
    if proxy_url:
        digest = hashlib.blake2b(proxy_url.encode(), digest_size=8).hexdigest()
        way = f"{_host(proxy_url)}#{digest}"
    if not base_url:
        return way
    shown, mark, digest = way.partition("#")
    return f"{shown} to {_host(base_url)}{mark}{digest}"


def shared_of(
    *, kind: str, model: str, proxy_url: str, base_url: str, request: str = ""
) -> Shared:
    """Return what an attempt on an account shares; ``request`` is a ``fingerprint``."""
    return Shared(egress_key(proxy_url, base_url), f"{kind}:{model}", request)


def fingerprint(method: str, model: str, body: bytes) -> str:
    """Return a hash by which the same request is known when it comes again."""
    digest = hashlib.blake2b(f"{method}\0{model}\0".encode(), digest_size=16)
    digest.update(body)
    return digest.hexdigest()


def things_of(shared: Shared) -> list[Thing]:
    """Return what an attempt shares, in the order in which it is suspected."""
    found = [Thing("egress", shared.egress), Thing("model", shared.model)]
    if shared.fingerprint:
        found.append(Thing("request", shared.fingerprint))
    return found


def kind_of(verdict: Verdict) -> Kind | None:
    """Return how an attempt failed; None if that is no evidence against others.

    A caller's fault, an account's own limit and a refused credential say nothing
    about what other accounts would meet.
    """
    if verdict.attention or verdict.blame in ("caller", "gateway"):
        return None
    if verdict.scope == "model":
        return "overload"
    if verdict.scope == "egress" or verdict.blame == "egress":
        return "connect"
    if verdict.cause in _UNCLEAR_CAUSES:
        return "unclear"
    if not verdict.strike:
        return None
    return "lost" if verdict.cause in _LOST_CAUSES else "crash"


def was_answered(fault: Fault) -> bool:
    """Tell whether the provider itself said no, so that the way to it is sound."""
    return fault.google is not None or isinstance(fault, _ANSWERS)


class Evidence:
    """The failures and successes of the last seconds, of one process."""

    def __init__(self) -> None:
        self._streaks: OrderedDict[Thing, _Streak] = OrderedDict()
        self._known: OrderedDict[Thing, OrderedDict[int, float]] = OrderedDict()
        self._sound_requests: OrderedDict[str, float] = OrderedDict()
        self._running: OrderedDict[str, int] = OrderedDict()
        self._troubled: OrderedDict[int, dict[str, float]] = OrderedDict()

    def begin(self, shared: Shared) -> None:
        """An attempt starts."""
        if shared.fingerprint:
            count = self._running.get(shared.fingerprint, 0)
            _keep(self._running, shared.fingerprint, count + 1)

    def end(self, shared: Shared) -> None:
        """An attempt ended, or has shown how it will end."""
        count = self._running.get(shared.fingerprint, 0)
        if count > 1:
            self._running[shared.fingerprint] = count - 1
        else:
            self._running.pop(shared.fingerprint, None)

    def acquit(
        self, shared: Shared, *, account_id: int, started: float, now: float
    ) -> None:
        """First content came: what this attempt used works."""
        self._see(shared, account_id, now)
        self._troubled.pop(account_id, None)
        if shared.fingerprint:
            _keep(self._sound_requests, shared.fingerprint, now)
        for thing in things_of(shared):
            self._clear(thing, started)

    def acquit_egress(self, shared: Shared, started: float) -> None:
        """The provider answered, if only with an error: the way to it works."""
        self._clear(Thing("egress", shared.egress), started)

    def add(self, failure: Failure) -> None:
        """An attempt failed in a way that may prove something."""
        self._see(failure.shared, failure.account_id, failure.at)
        for thing in things_of(failure.shared):
            streak = self._streaks.get(thing) or _Streak()
            streak.failures.append(failure)
            streak.within(failure.at)
            _keep(self._streaks, thing, streak)
        marks = self._troubled.get(failure.account_id, {})
        if len(marks) >= ENOUGH_ACCOUNTS:
            marks.pop(min(marks, key=lambda mark: marks[mark]))
        marks[failure.shared.fingerprint] = failure.at
        _keep(self._troubled, failure.account_id, marks)

    def accuse(self, new: Failure) -> Accusation | None:
        """Return what the newest failure, with those before it, speaks against."""
        checks = {
            "egress": self._against_egress,
            "model": self._against_model,
            "request": self._against_request,
        }
        for thing in things_of(new.shared):
            alike = [f for f in self._recent(thing, new.at) if f.is_like(new)]
            found = checks[thing.what](thing, alike, new)
            if found:
                return Accusation(thing, tuple(found))
        return None

    def _against_egress(
        self, thing: Thing, alike: list[Failure], new: Failure
    ) -> list[Failure]:
        if new.kind not in TRANSPORT:
            return []
        found = [f for f in alike if f.kind in TRANSPORT]
        # Answers that stay away on one model only are that model's doing.
        if not _connects(found) and len({f.shared.model for f in found}) < 2:
            return []
        accounts = _accounts(found)
        if accounts < self._needed(thing, new.at):
            return []
        if accounts == 1 and (not _connects(found) or self._others_fail(thing, new.at)):
            return []
        return found

    def _against_model(
        self, thing: Thing, alike: list[Failure], new: Failure
    ) -> list[Failure]:
        needed = max(2, self._needed(thing, new.at))
        if new.kind == "unclear" or _accounts(alike) < needed:
            return []
        if _connects(alike) and len({f.shared.egress for f in alike}) < 2:
            return []
        # One request, tried on account after account, says nothing about the others.
        excused = new.kind == "overload" or _connects(alike)
        return alike if excused or _requests(alike) > 1 else []

    def _against_request(
        self, thing: Thing, alike: list[Failure], new: Failure
    ) -> list[Failure]:
        if new.kind in ("connect", "overload"):
            return []
        if thing.key in self._sound_requests or self._running.get(thing.key):
            return []
        found = [f for f in alike if f.cause == new.cause and self._is_witness(f, new)]
        known = self._known_accounts(Thing("model", new.shared.model), new.at)
        needed = max(2, min(ENOUGH_ACCOUNTS, known))
        return found if _accounts(found) >= needed else []

    def _is_witness(self, failure: Failure, new: Failure) -> bool:
        """Tell whether the account has not failed on other requests as well."""
        marks = self._troubled.get(failure.account_id, {})
        since = new.at - WITNESS_SECONDS
        own = failure.shared.fingerprint
        return not any(mark != own and at > since for mark, at in marks.items())

    def _others_fail(self, thing: Thing, now: float) -> bool:
        """Tell whether other ways out fail too, so that it is none of them."""
        others = (t for t in self._streaks if t.what == "egress" and t != thing)
        return any(
            failure.kind in TRANSPORT
            for other in others
            for failure in self._recent(other, now)
        )

    def _needed(self, thing: Thing, now: float) -> int:
        """Return how many accounts must fail alike: half of a few, three of many."""
        known = self._known_accounts(thing, now)
        return known if known < 2 else min(ENOUGH_ACCOUNTS, max(2, (known + 1) // 2))

    def _known_accounts(self, thing: Thing, now: float) -> int:
        """Count the accounts lately used over a thing; beyond a few it does not matter."""
        seen: dict[int, float] = self._known.get(thing) or {}
        return sum(at > now - KNOWN_SECONDS for at in seen.values())

    def _see(self, shared: Shared, account_id: int, now: float) -> None:
        for thing in things_of(shared)[:2]:
            seen = self._known.get(thing) or OrderedDict()
            _keep(seen, account_id, now, most=2 * ENOUGH_ACCOUNTS)
            _keep(self._known, thing, seen)

    def _recent(self, thing: Thing, now: float) -> list[Failure]:
        streak = self._streaks.get(thing)
        return streak.within(now) if streak else []

    def _clear(self, thing: Thing, started: float) -> None:
        """End a streak, unless the attempt began before all that failed."""
        streak = self._streaks.get(thing)
        if streak and started >= min(
            (f.started for f in streak.failures), default=started
        ):
            del self._streaks[thing]


def _accounts(failures: list[Failure]) -> int:
    return len({failure.account_id for failure in failures})


def _connects(failures: list[Failure]) -> bool:
    return any(failure.kind == "connect" for failure in failures)


def _requests(failures: list[Failure]) -> int:
    """Return how many requests failed at least; each has one attempt without mark."""
    marks = [failure.shared.fingerprint for failure in failures]
    return max(marks.count(""), len({mark for mark in marks if mark}))


def _host(url: str) -> str:
    """Return host:port of a URL, without anything secret."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "?", parts.port
    except ValueError:
        return "?"
    return f"{host}:{port}" if port else host


def _keep(
    store: "OrderedDict[K, T]", key: K, value: T, *, most: int = MOST_REMEMBERED
) -> None:
    """Remember a value as the latest; the oldest are forgotten."""
    store[key] = value
    store.move_to_end(key)
    while len(store) > most:
        store.popitem(last=False)
