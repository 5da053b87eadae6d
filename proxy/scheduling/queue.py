"""Who runs, who waits, and in which order: one line for each model.

A place is the right to run. Whoever holds one may still have to stand and wait for an
account; both waits are fair between callers' keys and first come, first served within
one. Whoever cannot be served in time is told so at once, with the time at which it
will be his turn. For one event loop.
"""

import asyncio
import itertools
import math
from bisect import bisect, insort
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from gemproxy.lib import clock
from proxy.errors import Busy

Estimate = Callable[[int], float | None]

#: How much the latest stay counts in the usual length of one.
NEWEST_SHARE: Final = 0.2
USUAL_STAY_SECONDS: Final = 5.0
MOST_PROMISES: Final = 10_000
#: So many look, one after the other, at what was freed and the first could not use.
MOST_LOOKS: Final = 4


@dataclass(order=True, slots=True)
class _Ticket:
    """A turn: lower ``tag`` first, of equal ones the older.

    ``looks`` is how many more may look if it was called in vain.
    """

    tag: int
    number: int
    looks: int = field(default=0, compare=False)
    called: asyncio.Future[None] | None = field(default=None, compare=False)


class _Row:
    """Tickets in fair order.

    The n-th ticket of a key comes after the n-th of each key that came before it,
    counted from the turn that was called last: keys take turns, whatever they hold.
    """

    def __init__(self) -> None:
        self._tickets: list[_Ticket] = []
        self._last_tags: dict[str, int] = {}
        self._turn = 0
        self._numbers = itertools.count()

    def __len__(self) -> int:
        return len(self._tickets)

    def ticket(self, key: str) -> _Ticket:
        """Return a new turn for a key; it does not wait yet."""
        tag = self._next_tag(key)
        self._last_tags[key] = tag
        return _Ticket(tag, next(self._numbers))

    def place_for(self, key: str) -> int:
        """Return the 1-based place that a new ticket would have."""
        return bisect(self._tickets, (self._next_tag(key), math.inf), key=_order) + 1

    def place_of(self, ticket: _Ticket) -> int:
        upto = bisect(self._tickets, _order(ticket), key=_order)
        waits = upto > 0 and self._tickets[upto - 1] is ticket
        return upto if waits else upto + 1

    def put(self, ticket: _Ticket) -> asyncio.Future[None]:
        """Let a ticket wait; the future is done when its turn is called."""
        ticket.called = asyncio.get_running_loop().create_future()
        insort(self._tickets, ticket)
        return ticket.called

    def pass_on(self, ticket: _Ticket) -> None:
        """Call the next after one that was called in vain."""
        looks, ticket.looks = ticket.looks, 0
        if looks:
            self.call(after=ticket, looks=looks)

    def call(self, after: _Ticket | None = None, looks: int = MOST_LOOKS) -> bool:
        """Call the first ticket, or the next after one; return False if none waits."""
        start = bisect(self._tickets, _order(after), key=_order) if after else 0
        while start < len(self._tickets):
            ticket = self._tickets.pop(start)
            called, ticket.called = ticket.called, None
            ticket.looks = looks - 1
            self._advance(ticket.tag)
            if called is not None and not called.done():
                called.set_result(None)
                return True
        return False

    def drop(self, ticket: _Ticket) -> None:
        """Let a ticket wait no more."""
        if ticket.called is None:
            return
        ticket.called = None
        if self._tickets[0] is ticket:
            self._advance(ticket.tag)
        self._tickets.remove(ticket)
        if not self._tickets:
            self._advance(max(self._last_tags.values(), default=0))

    def _next_tag(self, key: str) -> int:
        return max(self._turn, self._last_tags.get(key, 0)) + 1

    def _advance(self, turn: int) -> None:
        self._turn = max(self._turn, turn)
        if len(self._last_tags) > 2 * len(self._tickets) + 16:
            tags = self._last_tags.items()
            self._last_tags = {key: tag for key, tag in tags if tag > self._turn}


class _Line:
    """One model: places that run, callers that wait for one, places that stand."""

    def __init__(self) -> None:
        self.running = 0
        self.limit: int | None = None
        self.waiting = _Row()
        self.standing = _Row()
        #: Those whom a guard holds: a free account is no use to them.
        self.held = _Row()
        self.stay = USUAL_STAY_SECONDS
        #: A turn that was called while nobody stood; the next who stands has it.
        self.spare = False
        self._promises: deque[float] = deque(maxlen=MOST_PROMISES)

    @property
    def has_room(self) -> bool:
        return self.limit is None or self.running < self.limit

    @property
    def is_idle(self) -> bool:
        return not (self.running or self.held_up() or self._promises)

    def held_up(self) -> int:
        return len(self.waiting) + len(self.standing) + len(self.held)

    def promised(self, now: float) -> int:
        """Count those who were told to come back, and have not been due yet."""
        self._promises = deque(
            (at for at in self._promises if at > now), maxlen=MOST_PROMISES
        )
        return len(self._promises)

    def promise(self, at: float) -> None:
        self._promises.append(at)

    def usual_wait(self, place: int) -> float:
        """Return how long the n-th in line may wait, by the usual stay."""
        return math.ceil(place / max(1, self.limit or 1)) * self.stay

    def learn(self, stay: float) -> None:
        self.stay += NEWEST_SHARE * (stay - self.stay)

    def admit(self) -> None:
        """Give free places to those who wait for one."""
        while self.has_room and self.waiting.call():
            self.running += 1

    def wake(self) -> None:
        if not self.standing.call():
            self.spare = True


class Place:
    """The right to run; an async context manager, or left by ``leave``."""

    def __init__(self, queue: "Queue", model: str, line: _Line, key: str) -> None:
        self._queue = queue
        self._model = model
        self._line = line
        self._key = key
        self._ticket: _Ticket | None = None
        self._since = queue.time()
        self._left = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.leave()

    def position(self) -> int:
        """Return the 1-based place among those who stand; 1 means none is before.

        Asked before standing, it is the place this one would have.
        """
        row = self._line.standing
        if self._ticket is None:
            return row.place_for(self._key)
        return row.place_of(self._ticket)

    async def stand(self, seconds: float, *, held: bool = False) -> None:
        """Wait for a turn to look for an account, at most so many seconds.

        Whoever has to stand again keeps the turn of the first time. ``held``: an
        account would be no use now; only ``wake_all`` ends that wait before its time.
        """
        line = self._line
        row = line.held if held else line.standing
        if line.spare and not held:
            line.spare = False
            await asyncio.sleep(0)
            return
        if self._ticket is None:
            self._ticket = line.standing.ticket(self._key)
        line.standing.pass_on(self._ticket)
        called = row.put(self._ticket)
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                await called
        except TimeoutError:
            return
        except asyncio.CancelledError:
            if _was_called(called):
                # The turn was ours already: it must not be lost.
                line.wake()
            raise
        finally:
            row.drop(self._ticket)

    def leave(self) -> None:
        """Give the place back; a second time does nothing."""
        if self._left:
            return
        self._left = True
        self._queue.left(self._model, self._line, self._since)
        if self._ticket is not None:
            # What it was called for, if it left in vain, is for the next.
            self._line.wake()


class Queue:
    """All lines of this process.

    ``most_running`` bounds what runs for one model (0: no bound of its own),
    ``most_waiting`` those who wait or stand for one model.
    """

    def __init__(
        self,
        most_running: int,
        most_waiting: int,
        *,
        time: Callable[[], float] = clock.monotonic,
    ) -> None:
        self.time = time
        self._most_running = most_running
        self._most_waiting = most_waiting
        self._lines: dict[str, _Line] = {}

    async def enter(
        self,
        model: str,
        key: str,
        *,
        most: int | None,
        patience: float,
        estimate: Estimate,
    ) -> Place:
        """Return a place to run, after a wait in line of at most ``patience`` seconds.

        ``most`` places fit the pool now (None: any number). ``estimate(n)`` is the
        seconds until the n-th in line gets an account, None where that is unknown.
        Raises Busy (429, ``queue_full``) at once if too many wait or the wait will be
        longer than ``patience``, and when that is over.
        """
        line = self._line(model)
        line.limit = self._limit(most)
        line.admit()
        if line.held_up() >= self._most_waiting:
            raise self.turn_away(model, estimate)
        if line.has_room and not len(line.waiting):
            line.running += 1
        else:
            await self._wait(model, line, key, patience, estimate)
        return Place(self, model, line, key)

    def wake(self) -> None:
        """Something was freed in the pool: the first who stands in each line looks."""
        for line in self._lines.values():
            line.wake()

    def wake_all(self) -> None:
        """What held everybody back is over: all who stand look."""
        for line in self._lines.values():
            for row in (line.standing, line.held):
                while row.call():
                    pass

    def turn_away(self, model: str, estimate: Estimate) -> Busy:
        """Return the fault for one more caller, with the time of a turn of his own.

        Each is promised a later turn than those before him, so that all who come
        back when they are told find room.
        """
        now = self.time()
        line = self._line(model)
        place = line.held_up() + line.promised(now) + 1
        wait = estimate(place)
        if wait is None:
            wait = line.usual_wait(place)
        line.promise(now + wait)
        return _queue_full(wait)

    def counts(self) -> dict[str, tuple[int, int, int]]:
        """Return for each model how many run, wait for a place, and stand."""
        return {
            model: (line.running, len(line.waiting), line.held_up() - len(line.waiting))
            for model, line in self._lines.items()
        }

    def left(self, model: str, line: _Line, since: float) -> None:
        """A place was given back."""
        line.learn(self.time() - since)
        self._give_back(model, line)

    def _line(self, model: str) -> _Line:
        line = self._lines.get(model)
        if line is None:
            line = self._lines[model] = _Line()
        return line

    def _limit(self, most: int | None) -> int | None:
        limits = [n for n in (self._most_running or None, most) if n is not None]
        return max(1, min(limits)) if limits else None

    async def _wait(
        self, model: str, line: _Line, key: str, patience: float, estimate: Estimate
    ) -> None:
        expected = estimate(line.waiting.place_for(key) + len(line.standing))
        if expected is not None and expected > patience:
            raise self.turn_away(model, estimate)
        ticket = line.waiting.ticket(key)
        called = line.waiting.put(ticket)
        try:
            async with asyncio.timeout(patience):
                await called
        except TimeoutError:
            line.waiting.drop(ticket)
            if not _was_called(called):
                raise self.turn_away(model, estimate) from None
        except asyncio.CancelledError:
            if _was_called(called):
                self._give_back(model, line)
            raise
        finally:
            line.waiting.drop(ticket)

    def _give_back(self, model: str, line: _Line) -> None:
        line.running -= 1
        line.admit()
        if line.is_idle and self._lines.get(model) is line:
            del self._lines[model]


def _order(ticket: _Ticket) -> tuple[int, float]:
    return ticket.tag, ticket.number


def _was_called(called: asyncio.Future[None]) -> bool:
    return called.done() and not called.cancelled()


def _queue_full(wait: float) -> Busy:
    return Busy(
        "Too many requests wait for this model; come back later.",
        status=429,
        code="queue_full",
        retry_after=float(max(1, math.ceil(wait))),
        should_retry=True,
    )
