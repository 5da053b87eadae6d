"""Answers that nobody fetched, kept for the caller who asks again.

A run is work that goes on when its reader leaves. It then lies here under the key of
its request, and whoever asks for the same first takes it away, from its beginning on.
All of this is in the memory of one process: a repeat that reaches another one is a new
request. Pictures come to the library in any case.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.conf import settings

from proxy.calls import Audience, Event
from proxy.tasks import Tasks

T = TypeVar("T")
#: What all answers that wait may weigh together, in bytes; the oldest go first.
MOST_BYTES = 256 * 1024 * 1024


class Run(Generic[T]):
    """Work in a task of its own; what it brings can be read again and again."""

    def __init__(
        self, source: AsyncGenerator[T, None], audience: Audience, tasks: Tasks
    ) -> None:
        self.audience = audience
        self._found: list[T] = []
        self._news = asyncio.Event()
        self.task = tasks.spawn(self._work(source))
        self.task.add_done_callback(self._ended)

    async def items(self) -> AsyncGenerator[T, None]:
        """Yield all that the work has brought and brings; raise what ends it."""
        place = 0
        while True:
            while place < len(self._found):
                yield self._found[place]
                place += 1
            if self.task.done():
                self.task.result()
                return
            self._news.clear()
            await self._news.wait()

    def weight(self) -> int:
        """Return about how many bytes it holds."""
        return _weight(self._found)

    @property
    def failed(self) -> bool:
        """Whether it has ended, and not well."""
        ended = self.task.done()
        return ended and (self.task.cancelled() or self.task.exception() is not None)

    async def _work(self, source: AsyncGenerator[T, None]) -> None:
        async with aclosing(source) as items:
            async for item in items:
                self._found.append(item)
                self._news.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        # Looked at, so that a fault nobody is left to hear is no complaint.
        if not task.cancelled():
            task.exception()
        self._news.set()


@dataclass(slots=True, eq=False)
class _Left:
    """A run on the shelf; the timer ends the run, or its stay here."""

    key: str
    run: Run[Any]
    timer: asyncio.TimerHandle
    weight: int = 0


class Shelf:
    """Holds the runs of callers who left before they had the answer."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._left: list[_Left] = []
        self._closed = False

    def start(self, source: AsyncGenerator[T, None], audience: Audience) -> Run[T]:
        """Begin work that outlives its reader."""
        return Run(source, audience, self._tasks)

    def take(self, key: str) -> Run[Any] | None:
        """Take the oldest run of a request away; None if there is none."""
        for left in self._left:
            if left.key == key and not left.run.failed:
                self._remove(left)
                return left.run
        return None

    async def read(self, key: str, run: Run[T]) -> AsyncGenerator[T, None]:
        """Yield what a run brings; who stops before its end leaves it here."""
        try:
            async with aclosing(run.items()) as items:
                async for item in items:
                    yield item
        except (asyncio.CancelledError, GeneratorExit):
            self._leave(key, run)
            raise

    def close(self) -> None:
        """Give up what nobody waits for, and keep nothing from now on."""
        self._closed = True
        for left in list(self._left):
            self._remove(left)
            left.run.task.cancel()

    def _leave(self, key: str, run: Run[Any]) -> None:
        run.audience.gone = True
        # Before an account was asked nothing is paid for, and nothing lost.
        wanted = run.audience.asked and not self._closed
        if not wanted or not settings.IMAGE_KEEP_SECONDS:
            run.task.cancel()
            return
        loop = asyncio.get_running_loop()
        most = settings.UPSTREAM_TOTAL_SECONDS
        left = _Left(key, run, loop.call_later(most, run.task.cancel))
        self._left.append(left)
        # If it has ended, this is called soon.
        run.task.add_done_callback(lambda _task: self._rest(left))

    def _rest(self, left: _Left) -> None:
        """Keep a run that has ended for a while, unless it was fetched before."""
        if left not in self._left:
            return
        self._remove(left)
        if left.run.failed:
            return
        loop = asyncio.get_running_loop()
        seconds = settings.IMAGE_KEEP_SECONDS
        left.timer = loop.call_later(seconds, self._remove, left)
        left.weight = left.run.weight()
        self._left.append(left)
        self._trim()

    def _trim(self) -> None:
        total = sum(left.weight for left in self._left)
        for left in [one for one in self._left if one.weight]:
            if total <= MOST_BYTES:
                return
            total -= left.weight
            self._remove(left)

    def _remove(self, left: _Left) -> None:
        left.timer.cancel()
        if left in self._left:
            self._left.remove(left)


def _weight(value: object) -> int:
    if isinstance(value, (str, bytes)):
        return len(value)
    if isinstance(value, Event):
        return len(value.raw) + _weight(value.data)
    if isinstance(value, dict):
        return sum(map(_weight, value.values()))
    if isinstance(value, (list, tuple)):
        return sum(map(_weight, value))
    return 0
