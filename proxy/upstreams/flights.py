"""Work that many ask for at the same moment is done once."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Flights(Generic[T]):
    """Runs one task for each key; who asks meanwhile gets its outcome.

    Whoever stops waiting does not stop the task. For one event loop.
    """

    def __init__(self) -> None:
        self._running: dict[Hashable, asyncio.Task[T]] = {}

    async def share(
        self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]
    ) -> T:
        """Return what ``work`` returns, or the same work that runs already; raise
        what it raises."""
        running = self._running.get(key)
        if running is None:
            running = asyncio.ensure_future(work())
            self._running[key] = running
            running.add_done_callback(lambda done: self._over(key, done))
        return await asyncio.shield(running)

    async def aclose(self) -> None:
        """Stop what runs."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _over(self, key: Hashable, done: asyncio.Task[T]) -> None:
        self._running.pop(key, None)
        if not done.cancelled():
            # Everybody who asked may have left: somebody must look at it.
            done.exception()
