"""When the n-th request from now can be sent, over all accounts.

Times are epoch seconds.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, repeat, takewhile

from proxy.scheduling.quota import KEPT, LONGEST_SENDING, day_end

#: How long a place is taken by whoever waited for it: told whole seconds he comes up
#: to one late, and nobody knows yet when his request will have been counted.
ROUND = 1.0 + LONGEST_SENDING + KEPT


@dataclass(frozen=True, slots=True)
class Supply:
    """What one account can take, if nobody else asks.

    From ``opens`` on it may be used at all; ``ends`` are the times at which its
    counted requests stop to count, soonest first; ``left_today`` is what its daily
    quota still allows and ``rpd`` that quota. Of ``seats`` nobody knows when one that
    is taken will be free.
    """

    opens: float
    ends: Sequence[float] = ()
    rpm: int | None = None
    left_today: int | None = None
    rpd: int | None = None
    seats: int | None = None


def nth(supplies: Iterable[Supply], place: int, now: float) -> float | None:
    """Return when the ``place``-th request can be sent, the first being number 1."""
    merged = heapq.merge(*(openings(supply, now) for supply in supplies))
    return next(islice(merged, max(place, 1) - 1, None), None)


def openings(supply: Supply, now: float) -> Iterator[float]:
    """Yield the times at which an account can take one more request, in order."""
    return islice(_by_day(supply, now), supply.seats)


def _by_day(supply: Supply, now: float) -> Iterator[float]:
    """Yield the times that the quota of the day allows."""
    floor, left = max(supply.opens, now), supply.left_today
    if supply.rpm is not None and supply.rpm <= 0:
        return
    if left is None:
        yield from _by_minute(supply, floor)
        return
    day = day_end(now)
    today = takewhile(lambda at: at < day, _by_minute(supply, floor))
    yield from islice(today, left)
    # Nobody stands in line for longer: one minute of tomorrow stands for all of it.
    yield from repeat(max(day, floor), supply.rpd or 0)


def _by_minute(supply: Supply, floor: float) -> Iterator[float]:
    """Yield the times that the quota of the minute allows, for ever."""
    rpm = supply.rpm
    if rpm is None:
        while True:
            yield floor
    spare = max(0, rpm - len(supply.ends))
    # Of more than the quota allows, only the last ones are in the way.
    turns = [floor] * spare + [max(at, floor) for at in supply.ends[-rpm:]]
    while True:
        yield from turns
        turns = [at + ROUND for at in turns]
