"""How much background work goes into one transaction, and how long it rests then."""

import contextlib
import gc
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from gemproxy.lib import clock


@dataclass(slots=True)
class Pace:
    """Keeps transactions short, and gaps between them long enough for other writers.

    SQLite knows one writer, and who waits for it looks again at growing distances of
    up to 25 ms in the first tenth of a second. A rest that is longer than that, after
    work that is shorter, lets every waiting writer in.
    """

    until: float = math.inf
    size: int = 50
    most: int = 500
    aim_seconds: float = 0.01
    rest_seconds: float = 0.03
    longest: float = 0.0
    done: int = 0
    _rest: threading.Event = field(default_factory=threading.Event)

    @property
    def is_over(self) -> bool:
        return clock.monotonic() >= self.until

    @contextlib.contextmanager
    def step(self, rows: int) -> Iterator[None]:
        """Surround one transaction over about ``size`` rows."""
        began = clock.monotonic()
        with _no_collection():
            yield
        self.worked(clock.monotonic() - began, rows)

    def worked(self, seconds: float, rows: int) -> None:
        """Learn from a transaction how many rows the next one should have; rest."""
        self.done += rows
        self.longest = max(self.longest, seconds)
        factor = min(2.0, self.aim_seconds / max(seconds, 0.001))
        self.size = max(1, min(self.most, int(self.size * factor)))
        self._rest.wait(max(self.rest_seconds, 2 * seconds))


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Put off Python's garbage collector, whose full run takes some 50 ms.

    In a transaction that would be 50 ms in which nobody else can write.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
