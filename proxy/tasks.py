"""Background work that shutdown waits for."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")
#: Why a task was cancelled: not its client, but another of its group failed.
SIBLING = "sibling failed"


class Tasks:
    """Keeps running tasks referenced until they are done."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start work that outlives whoever started it."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def finish(self, seconds: float) -> int:
        """Wait for the tasks, those they start included; return how many are left."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._running:
                    await asyncio.wait(set(self._running))
        return len(self._running)


async def gather(*works: Coroutine[Any, Any, T]) -> list[T]:
    """Run works side by side; the first failure cancels the others and is raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        await stop_all(tasks)


async def stop_all(tasks: list[asyncio.Task[Any]]) -> None:
    """Cancel what still runs of a group, and wait until all have ended."""
    for task in tasks:
        task.cancel(SIBLING)
    await asyncio.gather(*tasks, return_exceptions=True)
