"""Quota windows and seats that all server processes count together, in Redis.

One script, one round trip: the first candidate that fits is taken for all processes
at once. While Redis does not answer, every method that asks it raises SharedAway, at
once after the first time; the pool then counts for itself alone.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

import redis.asyncio
from redis.exceptions import RedisError

from gemproxy.lib import clock
from proxy.scheduling import shared_scripts as scripts
from proxy.wire.google_errors import seconds_to_quota_reset

logger = logging.getLogger(__name__)

PREFIX = "gemproxy:quota:"
#: While this key is there, the counters are as old as their windows.
MARK = f"{PREFIX}mark"
#: The provider counts at its own clock, and not before a request arrives there.
COUNTS_MS = 60_250
#: Nobody takes longer to send a request; what is under way counts for so much longer.
SENDING_MS = 3_000
DAY_KEPT_SECONDS = 2 * 86_400
#: A seat is held so long after its process died; a living one renews it.
SEAT_MS = 60_000
RENEW_SECONDS = 15.0
SOCKET_SECONDS = 1.0
#: Hundreds may ask at once: they take turns, for Redis answers one at a time anyway.
CONNECTIONS = 16
WAIT_SECONDS = 2.0
#: How long nobody asks a Redis that has just failed.
AWAY_SECONDS = 1.0
WARN_EVERY = 30.0
MOST_ENDS = 200
SEEDED_AT_ONCE = 200


class SharedAway(Exception):
    """Redis does not answer: count for this process alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An account that may be taken for a request, with its limits (None: none).

    ``joint`` names the day that several windows share, if there is one, and
    ``together`` is its limit.
    """

    account_id: int
    window: str
    seat: str
    concurrency: int
    rpm: int | None
    tpm: int | None
    rpd: int | None
    tokens: int
    day: str
    joint: str = ""
    together: int | None = None


@dataclass(slots=True)
class Taken:
    """What became of a reservation.

    ``index`` says which candidate was taken, -1 for none. ``waits`` tells for each
    that was refused before how many seconds later it might fit; infinity stands for
    "when a seat is given back".
    """

    index: int
    member: str
    waits: list[float]


@dataclass(frozen=True, slots=True)
class Usage:
    """What counts in a window now.

    ``ends`` are the seconds until each of its oldest requests counts no more, and
    the tokens of that request.
    """

    requests: int
    tokens: int
    requests_today: int
    tokens_today: int
    ends: tuple[tuple[float, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """What a window should hold at least, by the ledger.

    ``minute`` lists the age in seconds and the tokens of its latest requests.
    """

    window: str
    day: str
    requests_today: int
    tokens_today: int
    minute: tuple[tuple[float, int], ...] = ()


@dataclass(slots=True)
class _Here:
    """What belongs to one event loop."""

    redis: Any
    reserve: Any
    settle: Any
    usage: Any
    seed: Any
    seats: dict[str, str] = field(default_factory=dict)
    renewing: asyncio.Task[None] | None = None
    loose: set[asyncio.Task[None]] = field(default_factory=set)


class SharedWindows:
    """Counts for all processes that use the same Redis."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _Here] = (
            WeakKeyDictionary()
        )
        self._away_until = 0.0
        self._warned = -WARN_EVERY
        self._lost = False
        #: Called once when Redis turns out to have lost the counters: seed them.
        self.on_lost: Callable[[], None] = lambda: None

    async def reserve(self, candidates: Sequence[Candidate], *, now: float) -> Taken:
        """Take the first candidate that fits. ``now`` (epoch s) dates a day's end."""
        member = secrets.token_hex(8)
        if not candidates:
            return Taken(-1, member, [])
        keys = [MARK]
        arguments: list[Any] = [
            member,
            COUNTS_MS + SENDING_MS,
            SEAT_MS,
            DAY_KEPT_SECONDS,
        ]
        for candidate in candidates:
            keys += _keys(candidate)
            arguments += _limits(candidate)
        async with self._asking() as here:
            work = asyncio.ensure_future(here.reserve(keys=keys, args=arguments))
            try:
                number, marked, *waits = await asyncio.shield(work)
            except asyncio.CancelledError:
                # Redis may have counted it by now, and nobody else knows.
                self._later(here, self._undo(work, member, candidates))
                raise
        if not marked and not self._lost:
            self._lost = True
            self.on_lost()
        taken = Taken(number - 1, member, [_seconds(wait, now) for wait in waits])
        if number and candidates[taken.index].concurrency:
            self._hold(here, member, _seat_key(candidates[taken.index].seat))
        return taken

    async def settle(
        self, taken: Taken, candidate: Candidate, *, tokens: int | None, sent: bool
    ) -> None:
        """Give the seat back; correct the tokens, or undo what was never sent."""
        arguments = [
            taken.member,
            -1 if tokens is None else tokens,
            int(sent),
            COUNTS_MS,
            candidate.tokens,
            int(bool(candidate.joint)),
        ]
        for here in self._loops.values():
            here.seats.pop(taken.member, None)
        async with self._asking() as here:
            await here.settle(keys=_keys(candidate), args=arguments)

    async def _undo(
        self,
        work: Awaitable[list[int]],
        member: str,
        candidates: Sequence[Candidate],
    ) -> None:
        try:
            index = (await work)[0] - 1
            if index >= 0:
                taken = Taken(index, member, [])
                await self.settle(taken, candidates[index], tokens=None, sent=False)
        except RedisError as error:
            self._fail(error)
        except SharedAway:
            logger.debug("A reservation that nobody uses ends by itself")

    def _later(self, here: _Here, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        here.loose.add(task)
        task.add_done_callback(here.loose.discard)

    async def usage(self, windows: Sequence[str], *, day: str) -> dict[str, Usage]:
        """Return what counts in these windows now; ``day`` is California's date."""
        if not windows:
            return {}
        keys = [key for window in windows for key in _window_keys(window, day)]
        async with self._asking() as here:
            rows = await here.usage(keys=keys, args=[MOST_ENDS])
        return {
            window: Usage(*row[:4], ends=_ends(row[4]))
            for window, row in zip(windows, rows, strict=True)
        }

    async def seed(self, seeds: Sequence[Seed]) -> int:
        """Raise counters to what the ledger knows; return how many windows changed.

        May be called at any time and by many processes: nothing is counted twice.
        """
        changed = 0
        # If this fails, the next reservation asks for it again.
        self._lost = False
        async with self._asking() as here:
            for start in range(0, len(seeds), SEEDED_AT_ONCE):
                async with here.redis.pipeline(transaction=False) as pipe:
                    for seed in seeds[start : start + SEEDED_AT_ONCE]:
                        keys = _window_keys(seed.window, seed.day)
                        arguments = _seed_arguments(seed)
                        await here.seed(keys=keys, args=arguments, client=pipe)
                    changed += sum(await pipe.execute())
            await here.redis.set(MARK, 1)
        return changed

    async def aclose(self) -> None:
        """Close what the running loop has opened; its seats are given back."""
        here = self._loops.get(asyncio.get_running_loop())
        if here is None:
            return
        if here.renewing is not None:
            here.renewing.cancel()
        tasks = filter(None, (here.renewing, *here.loose))
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            await _give_back(here)
        except RedisError as error:
            self._fail(error)
        self._loops.pop(asyncio.get_running_loop(), None)
        await here.redis.aclose()

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[_Here]:
        """Give the running loop's client; turn Redis's trouble into SharedAway."""
        if clock.monotonic() < self._away_until:
            raise SharedAway
        try:
            yield self._here()
        except RedisError as error:
            self._fail(error)
            raise SharedAway from error

    def _here(self) -> _Here:
        loop = asyncio.get_running_loop()
        found = self._loops.get(loop)
        if found is None:
            pool = redis.asyncio.BlockingConnectionPool.from_url(
                self._url,
                max_connections=CONNECTIONS,
                timeout=WAIT_SECONDS,
                socket_timeout=SOCKET_SECONDS,
                socket_connect_timeout=SOCKET_SECONDS,
            )
            client = redis.asyncio.Redis.from_pool(pool)
            names = (scripts.RESERVE, scripts.SETTLE, scripts.USAGE, scripts.SEED)
            found = _Here(client, *map(client.register_script, names))
            self._loops[loop] = found
        return found

    def _fail(self, error: RedisError) -> None:
        now = clock.monotonic()
        self._away_until = now + AWAY_SECONDS
        if now - self._warned >= WARN_EVERY:
            self._warned = now
            logger.warning(
                "Redis is away (%s): quotas are counted by each process alone",
                type(error).__name__,
            )

    def _hold(self, here: _Here, member: str, key: str) -> None:
        here.seats[member] = key
        if here.renewing is None or here.renewing.done():
            here.renewing = asyncio.create_task(self._renew_all(here))

    async def _renew_all(self, here: _Here) -> None:
        """Keep the seats of this loop, until it holds none."""
        while here.seats:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                await _renew(here)
            except RedisError as error:
                self._fail(error)


async def _renew(here: _Here) -> None:
    seconds, micros = await here.redis.time()
    until = seconds * 1000 + micros // 1000 + SEAT_MS
    async with here.redis.pipeline(transaction=False) as pipe:
        for member, key in here.seats.items():
            # Only what is still there: who left meanwhile must not come back.
            pipe.zadd(key, {member: until}, xx=True)
            pipe.pexpire(key, SEAT_MS)
        await pipe.execute()


async def _give_back(here: _Here) -> None:
    if not here.seats:
        return
    async with here.redis.pipeline(transaction=False) as pipe:
        for member, key in here.seats.items():
            pipe.zrem(key, member)
        await pipe.execute()


def _window_keys(window: str, day: str) -> list[str]:
    return [
        f"{PREFIX}window:{window}",
        f"{PREFIX}tokens:{window}",
        f"{PREFIX}day:{day}:{window}",
    ]


def _seat_key(seat: str) -> str:
    return f"{PREFIX}seats:{seat}"


def _keys(candidate: Candidate) -> list[str]:
    return [
        *_window_keys(candidate.window, candidate.day),
        _seat_key(candidate.seat),
        # Without one the script gets a key that it leaves alone.
        _window_keys(candidate.joint or candidate.window, candidate.day)[2],
    ]


def _limits(candidate: Candidate) -> list[int]:
    limits = (candidate.rpm, candidate.tpm, candidate.rpd)
    return [
        candidate.concurrency,
        *(-1 if limit is None else limit for limit in limits),
        candidate.tokens,
        _joint_limit(candidate),
    ]


def _joint_limit(candidate: Candidate) -> int:
    if not candidate.joint:
        return scripts.NOT_JOINT
    return -1 if candidate.together is None else candidate.together


def _seed_arguments(seed: Seed) -> list[Any]:
    fresh = sorted(entry for entry in seed.minute if entry[0] * 1000 < COUNTS_MS)
    arguments: list[Any] = [
        DAY_KEPT_SECONDS,
        seed.requests_today,
        seed.tokens_today,
        len(fresh),
        COUNTS_MS + SENDING_MS,
    ]
    # The oldest first: of those that are there already, the newest are.
    for age, tokens in reversed(fresh):
        left = round(COUNTS_MS - age * 1000)
        arguments += [secrets.token_hex(8), left, tokens]
    return arguments


def _ends(flat: Sequence[int]) -> tuple[tuple[float, int], ...]:
    pairs = zip(flat[::2], flat[1::2], strict=True)
    return tuple((left / 1000, tokens) for left, tokens in pairs)


def _seconds(wait: int, now: float) -> float:
    if wait == scripts.NO_SEAT:
        return float("inf")
    if wait == scripts.DAY_OVER:
        return seconds_to_quota_reset(datetime.fromtimestamp(now, UTC))
    return wait / 1000
