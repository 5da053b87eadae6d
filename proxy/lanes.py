"""Threads that take whatever has gathered since they last looked."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.db import connections

from gemproxy.lib import clock

BATCH = 500


@dataclass(slots=True, eq=False)
class Waiting:
    """An entry on its way to safety, and the coroutine that waits for it."""

    entry: Any
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[None]
    timer: asyncio.TimerHandle | None = None
    durable: bool = False


def settle(batch: Iterable[Waiting]) -> None:
    """Wake the coroutines, with one call for each loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Waiting]] = {}
    for waiting in batch:
        by_loop.setdefault(waiting.loop, []).append(waiting)
    for loop, group in by_loop.items():
        try:
            loop.call_soon_threadsafe(_release, group)
        except RuntimeError:
            # The loop is closed: nobody waits there any more.
            continue


def _release(group: list[Waiting]) -> None:
    for waiting in group:
        if waiting.timer:
            waiting.timer.cancel()
        if not waiting.future.done():
            waiting.future.set_result(None)


class Lane:
    """A thread that hands what gathers to ``work``, up to BATCH rows at a time.

    ``work`` is also called without rows, after a nudge and after as many seconds as
    it returned (None: never). ``since`` is when its present call began.
    """

    def __init__(
        self, name: str, work: Callable[[list[Waiting]], float | None]
    ) -> None:
        self.since: float | None = None
        self._gathered: deque[Waiting] = deque()
        self._in_hand: list[Waiting] = []
        self._wake = threading.Event()
        self._stopping = False
        self._work = work
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __len__(self) -> int:
        return len(self._gathered)

    def start(self) -> None:
        self._thread.start()

    def put(self, waiting: Waiting) -> None:
        self._gathered.append(waiting)
        self.nudge()

    def nudge(self) -> None:
        """Have the work called soon."""
        if not self._wake.is_set():
            self._wake.set()

    def stop(self, timeout: float) -> list[Waiting]:
        """End the thread; return the rows that it did not get done in time."""
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout)
        if not self._thread.is_alive():
            return []
        return [*self._in_hand, *self._gathered]

    def _run(self) -> None:
        pause: float | None = None
        while not self._stopping or self._gathered:
            self._wake.wait(pause)
            self._wake.clear()
            self._in_hand = self._take()
            self.since = clock.monotonic()
            pause = self._work(self._in_hand)
            self.since = None
            self._in_hand = []
            if self._gathered:
                pause = 0
        connections.close_all()

    def _take(self) -> list[Waiting]:
        return [self._gathered.popleft() for _ in range(min(len(self), BATCH))]
